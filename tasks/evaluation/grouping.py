"""Groups of reviews that are alike, such as those of one film, and the review variance that follows from them.

Reviews of a group are not independent: a model that misjudges one review of a film is likely to misjudge the next.
Where groups are known, a group is therefore the sampling unit. The contributions of its reviews are added up, and the
variance is computed between groups. This is the cluster-robust variance of a linearized mean. Sources: Liang & Zeger
1986, "Longitudinal data analysis using generalized linear models"; Woodruff 1971, "A simple method for approximating
the variance of a complicated estimate".

**Few or unequal groups.** The variance contains the factor G / (G - 1), and quantiles are those of a t distribution
with G - 1 degrees of freedom. G is the effective number of groups, n^2 / (sum of the squared sizes), which is the
number of groups if they have the same size. Source: Carter, Schnepel & Steigerwald 2017, "Asymptotic behavior of a
t-test robust to cluster heterogeneity".
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy  # submodules load on first use, so training processes do not pay for them
from numpy.typing import NDArray

from tasks.config.errors import DamagedFileError
from tasks.evaluation.metrics import Floats

GROUP_COLUMN = "cluster"


@dataclass(frozen=True, eq=False)
class ReviewGroups:
    """The group of each review of a split.

    Attributes:
        order: (reviews,) int, the reviews sorted by group.
        starts: (groups,) int, the place in `order` of the first review of each group.
        sizes: (groups,) int, number of reviews of each group.
    """

    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @property
    def effective(self) -> float:
        """Effective number of groups: between 1 and the number of groups."""
        return effective_groups(self.sizes)

    @property
    def df(self) -> float:
        """Degrees of freedom of a variance between groups, at least 1; of one between reviews for a single group."""
        return max((self.effective if len(self.sizes) > 1 else len(self.order)) - 1, 1.0)

    def sum(self, values: Floats) -> Floats:
        """Return the sum over the reviews of each group: (..., reviews) to (..., groups)."""
        return np.asarray(np.add.reduceat(values[..., self.order], self.starts, axis=-1))


def effective_groups(sizes: NDArray[np.int64] | Floats) -> float:
    """Return the number of groups of the same size that give a mean the same variance: n^2 / (sum of squared sizes).

    Args:
        sizes: (groups,) sizes or weights of the groups, at least 0, not all 0.
    """
    return float(sizes.sum() ** 2 / np.square(sizes, dtype=np.float64).sum())


def make_groups(numbers: NDArray[np.integer[Any]]) -> ReviewGroups | None:
    """Return the groups of reviews, or None if every review is a group of its own.

    Args:
        numbers: (reviews,) int, the same number for all reviews of a group.
    """
    _, inverse, sizes = np.unique(numbers, return_inverse=True, return_counts=True)
    if len(sizes) == len(numbers):
        return None
    return ReviewGroups(np.argsort(inverse, kind="stable"), np.cumsum(sizes) - sizes, sizes)


def add_groups(predictions: pd.DataFrame, reviews: pd.DataFrame) -> pd.DataFrame:
    """Return predictions with the column `GROUP_COLUMN`, the number of the group of each review.

    Args:
        predictions: Columns review_id among others.
        reviews: Columns review_id, split and, where it is known, `GROUP_COLUMN`.

    Returns:
        The predictions as they are if no two reviews of a predicted split belong together.

    Raises:
        DamagedFileError: If there are predictions of other reviews.
    """
    if GROUP_COLUMN not in reviews:
        return predictions
    predicted = reviews[reviews["split"] != "train"]
    if not predicted.duplicated(["split", GROUP_COLUMN]).any():
        return predictions
    places = pd.Index(predicted["review_id"].astype(str)).get_indexer(pd.Index(predictions["review_id"].astype(str)))
    if (places < 0).any():
        raise DamagedFileError("There are predictions of reviews that are not in the stored reviews.")
    return predictions.assign(**{GROUP_COLUMN: predicted[GROUP_COLUMN].to_numpy(dtype=np.int64)[places]})


def groups_of_rows(predictions: pd.DataFrame) -> ReviewGroups | None:
    """Return the groups of predictions with one row for each review; None if they are not known."""
    if GROUP_COLUMN not in predictions or not pd.api.types.is_integer_dtype(predictions[GROUP_COLUMN]):
        return None
    return make_groups(predictions[GROUP_COLUMN].to_numpy(dtype=np.int64))


def group_contributions(contributions: Floats, groups: ReviewGroups) -> Floats:
    """Return the contribution of each group to a score: (..., reviews) to (..., groups).

    The mean over the groups is the score. The variance of that mean, computed as if the groups were independent
    observations, is the cluster-robust variance of the score with its correction for few groups. A single group says
    nothing about other groups; its reviews are then returned as if they were independent.
    """
    if len(groups.sizes) == 1:
        return contributions
    scores = contributions.mean(axis=-1, keepdims=True)
    count, effective = len(groups.sizes), groups.effective
    # The variance of a mean of `count` values contains count / (count - 1) already.
    correction = (effective / (effective - 1) * (count - 1) / count) ** 0.5
    return np.asarray(scores + correction * count / contributions.shape[-1] * groups.sum(contributions - scores))


def proportion_interval(
    successes: NDArray[np.bool_], inside: NDArray[np.bool_], groups: ReviewGroups, *, level: float = 0.95
) -> tuple[float, float]:
    """Return the interval of a share among some of the reviews: 0 <= low <= share <= high <= 1.

    This is Wilson's interval at the effective number of reviews, with a quantile of the t distribution. Sources: Korn &
    Graubard 1998; Dean & Pagano 2015.

    Args:
        successes: (reviews,) bool.
        inside: (reviews,) bool, which reviews count.
        groups: The group of each review.
        level: Confidence level, in (0, 1).

    Returns:
        (0, 1) if the reviews are of a single group, because nothing is known about other groups.
    """
    sizes = groups.sum(inside.astype(np.float64))
    effective = effective_groups(sizes) if sizes.any() else 0.0
    if np.count_nonzero(sizes) < 2:
        return 0.0, 1.0
    number, share = float(sizes.sum()), float(successes[inside].mean())
    residuals = groups.sum(np.where(inside, successes - share, 0.0))
    variance = effective / (effective - 1) * float(np.square(residuals).sum()) / number**2
    spread = share * (1 - share)
    # Without any failure or success, nothing shows how alike the reviews of a group are, so each group counts once.
    size = min(spread / variance, number) if spread > 0 and variance > 0 else effective
    quantile = float(scipy.stats.t.ppf((1 + level) / 2, max(effective - 1, 1.0)))
    weight = quantile**2 / size
    center, half = (share + weight / 2) / (1 + weight), quantile * ((spread + weight / 4) / size) ** 0.5 / (1 + weight)
    return max(min(center - half, share), 0.0), min(max(center + half, share), 1.0)


def compare_proportions(successes: NDArray[np.bool_], inside: NDArray[np.bool_], groups: ReviewGroups) -> float | None:
    """Test whether a share is the same inside and outside of a part of the reviews (a cluster-robust score test).

    Args:
        successes: (reviews,) bool.
        inside: (reviews,) bool; some reviews are inside and some are not.
        groups: The group of each review. A group may have reviews on both sides.

    Returns:
        The two-sided p-value, or None if one side is in so few groups that nothing can be tested.
    """
    weights = inside / inside.sum() - ~inside / (~inside).sum()
    effective = effective_groups(groups.sum(np.square(weights)))
    if effective < 2:
        return None
    totals = groups.sum(weights * (successes - successes.mean()))
    variance = effective / (effective - 1) * float(np.square(totals).sum())
    if variance == 0:
        return 1.0
    return float(2 * scipy.stats.t.sf(abs(float(totals.sum())) / variance**0.5, effective - 1))

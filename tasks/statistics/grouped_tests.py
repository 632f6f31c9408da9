"""Tests on predictions of reviews that belong to groups, in place of McNemar's and Cochran's tests."""

import numpy as np
import scipy  # submodules load on first use, so training processes do not pay for them
from numpy.typing import NDArray

from tasks.evaluation.grouping import ReviewGroups
from tasks.evaluation.metrics import Floats
from tasks.statistics.paired_tests import MAX_ENUMERATED_SEEDS, McNemarResult, sign_flip


def grouped_mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_], groups: ReviewGroups) -> McNemarResult:
    """Test whether two models have the same error rate on the same groups of reviews.

    If the models are equal, the difference of each group could have had the other sign. All signs are tried for up to
    16 groups with a difference; beyond, the distribution is a chi-square. Source: Durkalski et al. 2003, "Analysis of
    clustered matched-pair data". If each review is a group, this is McNemar's test without its correction.

    Args:
        first: (reviews,) bool, whether the prediction of the first model is correct.
        second: (reviews,) bool, the same for the second model.
        groups: Which reviews belong together.
    """
    differences = groups.sum(first.astype(np.float64) - second.astype(np.float64))
    differences = differences[differences != 0]
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    if len(differences) == 0:
        p = 1.0
    elif len(differences) <= MAX_ENUMERATED_SEEDS:
        p, _ = sign_flip(differences)
    else:
        p = float(scipy.stats.chi2.sf(differences.sum() ** 2 / np.square(differences).sum(), 1))
    return McNemarResult(only_first, only_second, p)


def grouped_cochran(correct: NDArray[np.bool_], groups: ReviewGroups) -> tuple[float, float] | None:
    """Test whether several models have the same error rate on the same groups of reviews.

    This is Hotelling's test of the differences between the models, with the groups as observations (Hotelling 1931,
    "The generalization of Student's ratio").

    Args:
        correct: (models, reviews) bool, whether a prediction is correct.
        groups: Which reviews belong together.

    Returns:
        The statistic (of an F distribution) and its p-value; None if there are too few groups.
    """
    if len(groups.sizes) == 1:
        return None
    totals: Floats = groups.sum(correct.astype(np.float64) - correct.mean(axis=0))
    count, shares = groups.effective, totals.mean(axis=1)
    covariance = np.cov(totals, ddof=0) / (count - 1)
    rank = int(np.linalg.matrix_rank(covariance, hermitian=True))
    if rank == 0 or count <= rank + 1:
        return None
    distance = float(shares @ np.linalg.pinv(covariance, hermitian=True) @ shares)
    statistic = distance * (count - rank) / (rank * (count - 1))
    return statistic, float(scipy.stats.f.sf(statistic, rank, count - rank))

"""Variance between training samples, and intervals of differences that contain it.

A score varies by seed, by training reviews and by test reviews (Bouthillier et al. 2021, "Accounting for Variance in
Machine Learning Benchmarks"). The ordinary trials share their training reviews, so they show the first and the last
source only. Further trials are therefore trained on bootstrap resamples of the training reviews, each with a seed of
its own.

**Variance of a difference.** With k seeds on the training reviews at hand, the observed difference has the variance
training + seed / k + test. The variance R between the trials on N resamples estimates training + seed, and the variance
S between the k seeds estimates seed. Hence

    Var(difference) = max(R - S, 0) + S / k + test.

The test variance is that part of the variance between test reviews that the trials on all resamples share. What differs
between them is in R already.

**Distribution of the error.** R and S are estimated with N - 1 and k - 1 degrees of freedom. Given the two chi-square
variables in their estimates, the error is normal. Its distribution is integrated over both variables, and over that of
the test variance if reviews belong to groups. For k = 1 or a baseline this is the Behrens-Fisher distribution of
`confidence_intervals`. This is the generalized p-value of a sum of variance components: Weerahandi 1993, "Generalized
confidence intervals". An interval is never narrower than that without the variance between training samples.

**Only the variance is used.** A resample contains 63% of the distinct training reviews, so its models score lower than
those of the report. The bootstrap assumes that their scores vary as much as those of models that are trained on new
reviews.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import scipy  # submodules load on first use, so training processes do not pay for them

from tasks.evaluation.grouping import ReviewGroups
from tasks.evaluation.metrics import LOWER_IS_BETTER, METRICS, Floats
from tasks.evaluation.predictions import Predictions, metric_contributions
from tasks.statistics.confidence_intervals import VarianceComponents, chi2_quadrature, estimate_variance
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.pairs import match_seeds, paired_differences
from tasks.statistics.significance import INCONCLUSIVE, MIN_SEEDS, NOT_SIGNIFICANT, add_verdicts

MIN_RESAMPLES = MIN_SEEDS  # fewer scores cannot show whether they are normal
TOO_FEW_RESAMPLES = "too few resamples"
COMPONENT_COLUMNS = [
    "architecture", "metric", "seed_variance", "training_variance", "item_variance", "resamples", "diverged",
]  # fmt: skip
TRAINING_PAIR_COLUMNS = [
    "first", "second", "metric", "difference", "low", "high", "p", "p_holm", "p_equivalent_holm", "verdict",
    "claimed", "resamples", "seed_variance", "training_variance", "item_variance", "first_diverged", "second_diverged",
]  # fmt: skip
NODE_STEP = 4  # every fourth node of the quadrature is exact to four digits
Row = dict[str, object]


@dataclass(frozen=True)
class TotalVariance:
    """Variance of a difference from training reviews, seeds and test reviews, in squared units of the metric.

    Attributes:
        run_variance: Variance of a single run between resamples, each with another seed.
        run_df: Its degrees of freedom.
        seed_variance: Variance of a single run between seeds; 0 if there is none, or if one seed cannot tell, because
            `run_variance` contains it.
        seed_df: Its degrees of freedom.
        seeds: Number of seeds of the observed difference.
        test_variance: Variance between test reviews that all runs share.
        test_df: Its degrees of freedom; infinite if it is treated as known.
    """

    run_variance: float
    run_df: float
    seed_variance: float
    seed_df: float
    seeds: int
    test_variance: float
    test_df: float

    @classmethod
    def from_tables(cls, resampled: VarianceComponents, seeds: VarianceComponents, count: int) -> "TotalVariance":
        """Combine the variances of the differences on the resamples and of those of `count` seeds."""
        known = count > 1 and np.isfinite(seeds.variance_per_seed)
        return cls(
            run_variance=resampled.variance_per_seed, run_df=resampled.df,
            seed_variance=seeds.variance_per_seed if known else 0.0, seed_df=seeds.df if known else np.inf,
            seeds=max(count, 1), test_variance=resampled.known_variance, test_df=resampled.known_df,
        )  # fmt: skip

    @property
    def total(self) -> float:
        """Estimated variance of the observed difference."""
        from_seeds = max(self.run_variance - self.seed_variance, 0) + self.seed_variance / self.seeds
        return from_seeds + self.test_variance

    @cached_property
    def possible(self) -> tuple[Floats, Floats]:
        """Variances that the observed difference may have, and the probability of each: two arrays (nodes,)."""
        run, run_weights = _possible_variances(self.run_variance, self.run_df)
        seed, seed_weights = _possible_variances(self.seed_variance, self.seed_df)
        test, test_weights = _possible_variances(self.test_variance, self.test_df)
        trained = np.maximum(run[:, None] - seed, 0) + seed / self.seeds
        weights = (run_weights[:, None] * seed_weights)[..., None] * test_weights
        return (trained[..., None] + test).ravel(), weights.ravel()


def _possible_variances(variance: float, df: float) -> tuple[Floats, Floats]:
    """Return the variances that an estimate with some degrees of freedom may stand for, with their probabilities."""
    if variance == 0 or np.isinf(df):
        return np.array([variance]), np.ones(1)
    values, weights = (array[::NODE_STEP] for array in chi2_quadrature(df))
    return variance * df / values, weights / weights.sum()


def two_sided_p_value(distance: float, variance: TotalVariance) -> float:
    """Return the probability that a difference deviates from its true value by more than a distance, at least 0."""
    if variance.total == 0:
        return float(distance == 0)
    variances, weights = variance.possible
    tails = scipy.special.ndtr(-distance / np.sqrt(np.maximum(variances, np.finfo(float).tiny)))
    return min(float(2 * weights @ tails), 1.0)


def one_sided_p_value(signed: float, variance: TotalVariance) -> float:
    """Return the p-value of the hypothesis that a true difference is at most 0, given the observed difference."""
    tail = two_sided_p_value(abs(signed), variance) / 2
    return tail if signed > 0 else 1 - tail


def margin_of_error(variance: TotalVariance, *, level: float = 0.95) -> float:
    """Return the half-width of the interval of a difference, in units of the metric."""
    high = variance.total**0.5
    if high == 0:
        return 0.0
    while two_sided_p_value(high, variance) > 1 - level:
        high *= 2
    return float(scipy.optimize.brentq(lambda half: two_sided_p_value(half, variance) - (1 - level), 0.0, high))


def compare_training_samples(
    test: Predictions,
    resampled: Predictions | None,
    tables: Mapping[str, pd.DataFrame],
    diverged: Mapping[str, int],
    options: ComparisonOptions,
) -> dict[str, pd.DataFrame]:
    """Estimate the variance between training samples, and compare every pair of architectures with it.

    Args:
        test: Test predictions of the ordinary trials.
        resampled: Test predictions of the trials on resamples, with the number of the resample in place of the seed;
            None if there are none.
        tables: Tables summary and pairs of the ordinary comparison.
        diverged: Number of trials on resamples that diverged, by architecture.
        options: Options of the comparison.

    Returns:
        The table variance_components (`COMPONENT_COLUMNS`), one row per architecture and metric, and the table
        training_pairs (`TRAINING_PAIR_COLUMNS`), one row for each of the table pairs.
    """
    summary, pairs = tables["summary"].query("split == 'test'"), tables["pairs"]
    components: list[Row] = []
    compared: list[Row] = []
    for metric in dict.fromkeys(summary["metric"]):
        values = metric_contributions(test, [metric])[metric]
        own = None if resampled is None else metric_contributions(resampled, [metric])[metric]
        for row in summary[summary["metric"] == metric].to_dict("records"):
            table = _table_of(resampled, own, str(row["architecture"]))
            components.append(_component_row(row, table, diverged, test.groups))
        rows = pairs[pairs["metric"] == metric].to_dict("records")
        compared += _compare_metric(test, values, resampled, own, rows, diverged, options)
    return {
        "variance_components": pd.DataFrame(components, columns=COMPONENT_COLUMNS),
        "training_pairs": _add_verdicts(pd.DataFrame(compared), pairs, options),
    }


def _table_of(predictions: Predictions | None, contributions: Floats | None, architecture: str) -> Floats | None:
    """Return the contributions (resamples, reviews) of an architecture; None with fewer than two resamples."""
    if predictions is None or contributions is None or architecture not in predictions.architectures:
        return None
    index = predictions.architectures.index(architecture)
    table: Floats = contributions[index][predictions.present[index]]
    return table if len(table) > 1 else None


def _component_row(
    row: Mapping[object, object], table: Floats | None, diverged: Mapping[str, int], groups: ReviewGroups | None
) -> Row:
    """Return the row of an architecture in the table variance_components, from its row in the table summary."""
    name, seed_variance = str(row["architecture"]), float(str(row["seed_variance"]))
    run_variance = np.nan if table is None else estimate_variance(table, groups=groups).seed_variance
    return {
        "architecture": name, "metric": row["metric"], "seed_variance": seed_variance,
        "training_variance": float(np.maximum(run_variance - seed_variance, 0)),
        "item_variance": row["item_variance"], "resamples": 0 if table is None else len(table),
        "diverged": diverged.get(name, 0),
    }  # fmt: skip


def _compare_metric(
    test: Predictions,
    contributions: Floats,
    resampled: Predictions | None,
    resampled_contributions: Floats | None,
    rows: list[dict[object, object]],
    diverged: Mapping[str, int],
    options: ComparisonOptions,
) -> list[Row]:
    """Compare the pairs in the rows of the table pairs for one metric."""
    own = {(pair.first, pair.second): pair for pair in match_seeds(test, options.deterministic)}
    other = {} if resampled is None else {
        frozenset((resampled.architectures[pair.first], resampled.architectures[pair.second])): pair
        for pair in match_seeds(resampled, ())
    }  # fmt: skip
    compared = []
    for row in rows:
        names = str(row["first"]), str(row["second"])
        first, second = map(test.architectures.index, names)
        pair, matched = own[first, second], other.get(frozenset(names))
        bounded = METRICS[str(row["metric"])].is_bounded
        table = paired_differences(contributions, pair, test.present)
        seeds = estimate_variance(table, bounded=bounded, deterministic=pair.deterministic, groups=test.groups)
        differences = None
        if matched is not None and len(matched.first_seeds) > 1 and resampled is not None:
            assert resampled_contributions is not None  # noqa: S101
            # The order of the two does not matter for a variance.
            differences = paired_differences(resampled_contributions, matched, resampled.present)
        counts = {"first_diverged": diverged.get(names[0], 0), "second_diverged": diverged.get(names[1], 0)}
        compared.append(
            {**_training_pair(row, differences, seeds, len(pair.first_seeds), test.groups, options), **counts}
        )
    return compared


def _training_pair(
    row: Mapping[object, object],
    differences: Floats | None,
    seeds: VarianceComponents,
    count: int,
    groups: ReviewGroups | None,
    options: ComparisonOptions,
) -> Row:
    """Return a row of the table training_pairs without its verdict.

    Args:
        row: Row of the table pairs.
        differences: (resamples, reviews) differences of contributions; None with fewer than two shared resamples.
        seeds: Variance of the difference between seeds.
        count: Number of shared seeds.
        groups: Groups of the test reviews.
        options: Options of the comparison.
    """
    difference = float(str(row["difference"]))
    result: Row = {
        **{name: row[name] for name in ("first", "second", "metric", "difference")},
        "low": np.nan, "high": np.nan, "p": 1.0, "p_equivalent": 1.0, "resamples": 0,
        "seed_variance": seeds.seed_variance, "training_variance": np.nan, "item_variance": seeds.review_variance,
    }  # fmt: skip
    if differences is None:
        return result
    bounded = METRICS[str(row["metric"])].is_bounded
    resampled = estimate_variance(differences, bounded=bounded, groups=groups)
    total = TotalVariance.from_tables(resampled, seeds, count)
    half = margin_of_error(total)
    low, high = min(difference - half, float(str(row["low"]))), max(difference + half, float(str(row["high"])))
    above, below = (one_sided_p_value(options.margin + sign * difference, total) for sign in (1, -1))
    return result | {
        "low": max(low, -1.0) if bounded else low, "high": min(high, 1.0) if bounded else high,
        "p": max(two_sided_p_value(abs(difference), total), float(str(row["p"]))),
        "p_equivalent": max(above, below), "resamples": len(differences),
        "training_variance": float(np.maximum(resampled.seed_variance - seeds.seed_variance, 0)),
    }  # fmt: skip


def _add_verdicts(rows: pd.DataFrame, pairs: pd.DataFrame, options: ComparisonOptions) -> pd.DataFrame:
    """Add the verdict of the table pairs as `claimed`, and as `verdict` if it also holds for other training samples.

    It does not hold if a training of the better architecture diverged on a resample, or for equivalence of either.
    """
    if rows.empty:
        return pd.DataFrame(columns=TRAINING_PAIR_COLUMNS)
    first_better = (rows["difference"] > 0) != rows["metric"].isin(LOWER_IS_BETTER)
    failed = rows["first_diverged"].where(first_better, rows["second_diverged"]) > 0
    diverged = rows[["first_diverged", "second_diverged"]].gt(0).any(axis=1)
    tested = add_verdicts(
        rows.assign(
            p_with_diverged=rows["p"].mask(failed, 1.0), p_equivalent=rows["p_equivalent"].mask(diverged, 1.0),
            seeds=rows["resamples"], deterministic=False, first_failed=0, second_failed=0,
        ),
        options,
    )  # fmt: skip
    keys = ["first", "second", "metric"]
    claimed = rows[keys].merge(pairs[[*keys, "verdict"]], on=keys, how="left")["verdict"].to_numpy()
    holds = tested["verdict"].to_numpy() == claimed
    few, is_claim = rows["resamples"] < MIN_RESAMPLES, ~np.isin(claimed, [NOT_SIGNIFICANT, INCONCLUSIVE])
    verdict = np.where(holds | ~is_claim, claimed, np.where(few, TOO_FEW_RESAMPLES, NOT_SIGNIFICANT))
    unknown = rows["resamples"] < 2
    tests = {name: tested[name].mask(unknown) for name in ("p", "p_holm", "p_equivalent_holm")}
    return tested.assign(verdict=verdict, claimed=claimed, **tests)[TRAINING_PAIR_COLUMNS]

"""Comparison of every pair of architectures: differences with intervals, tests and effect sizes.

`significance` defines which of the differences are significant.
"""

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.evaluation.grouping import ReviewGroups
from tasks.evaluation.metrics import LOWER_IS_BETTER, METRICS, Floats
from tasks.evaluation.predictions import Predictions, correct_mean_predictions
from tasks.statistics.confidence_intervals import (
    VarianceComponents,
    confidence_interval,
    estimate_variance,
    two_sided_p_value,
)
from tasks.statistics.failed_seeds import chance_contributions, diverged_seeds, find_failed_seeds, without_seed
from tasks.statistics.grouped_tests import grouped_mcnemar
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.paired_tests import (
    McNemarResult,
    cliffs_delta,
    cohens_d_z,
    difference_signs,
    mcnemar,
    sign_flip,
    win_interval,
)
from tasks.statistics.resampling import bootstrap_seed_weights
from tasks.statistics.significance import add_verdicts

PAIR_COLUMNS = [
    "first", "second", "metric", "difference", "low", "high", "p", "p_holm", "p_sign_flip", "smallest_p", "verdict",
    "p_equivalent_holm", "seeds", "noise", "bootstrap_low", "bootstrap_high", "probability_first_better",
    "probability_low", "probability_high", "cliffs_delta", "d_z", "only_first", "only_second", "mcnemar_p",
    "seed_variance", "item_variance", "first_failed", "second_failed", "note",
]  # fmt: skip
Alternative = Literal["two-sided", "greater", "less"]
Row = dict[str, object]


@dataclass(frozen=True)
class ArchitecturePair:
    """Two architectures and their shared seeds, as indices into `Predictions`.

    Attributes:
        first: Index of the first architecture.
        second: Index of the second architecture.
        first_seeds: Indices of the seeds of the first architecture, one for each of `second_seeds`; empty if no seed is
            shared.
        second_seeds: Indices of the seeds of the second architecture.
        deterministic: Whether neither architecture depends on the seed.
    """

    first: int
    second: int
    first_seeds: list[int]
    second_seeds: list[int]
    deterministic: bool


def compare_pairs(
    predictions: Predictions,
    contributions: Mapping[str, Floats],
    resampled_means: Mapping[str, NDArray[np.float32]],
    options: ComparisonOptions,
    trials: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, list[VarianceComponents]]:
    """Compare every pair of architectures in every metric, the main metric first.

    A diverged seed has no predictions, so the difference ignores it. An architecture is called better only if it is
    significantly better as well when its diverged seeds count as a constant prediction, and equivalent only if no seed
    of the pair diverged.

    Args:
        predictions: Predictions of the test split.
        contributions: Metric to (architectures, seeds, reviews) contributions.
        resampled_means: Metric to (architectures, seeds, draws) means over resampled reviews.
        options: Options of the comparison.
        trials: Columns architecture, seed and status, to find diverged seeds; None if unknown.

    Returns:
        The table pairs with the columns `PAIR_COLUMNS`, one row per metric and pair, and the variance of the difference
        of each pair in the main metric, in the order of the rows.
    """
    pairs = match_seeds(predictions, options.deterministic)
    diverged = [diverged_seeds(trials, name) for name in predictions.architectures]
    failed = _count_failed(predictions, contributions[options.metric], diverged, options)
    correct = correct_mean_predictions(predictions)
    groups = predictions.groups
    mcnemar_results = [
        mcnemar(correct[pair.first], correct[pair.second])
        if groups is None
        else grouped_mcnemar(correct[pair.first], correct[pair.second], groups)
        for pair in pairs
    ]
    metrics = [options.metric, *(metric for metric in contributions if metric != options.metric)]
    rows, variances = [], []
    for metric in metrics:
        for pair, result in zip(pairs, mcnemar_results, strict=True):
            row, variance = _compare_pair(
                contributions[metric], resampled_means[metric], pair, predictions.present, metric, options, groups
            )
            row |= {"first_failed": failed[pair.first], "second_failed": failed[pair.second]}
            if diverged[pair.first] or diverged[pair.second]:
                p = _p_value_with_diverged(predictions, contributions[metric], pair, diverged, metric)
                row |= {"p_with_diverged": max(p, float(str(row["p"]))), "p_equivalent": 1.0}
            rows.append({**_pair_names(predictions, pair), **row, **_mcnemar_columns(result)})
            variances.append(variance)
    if not rows:
        return pd.DataFrame(columns=PAIR_COLUMNS), []
    return add_verdicts(pd.DataFrame(rows), options)[PAIR_COLUMNS], variances[: len(pairs)]


def _pair_names(predictions: Predictions, pair: ArchitecturePair) -> Row:
    return {"first": predictions.architectures[pair.first], "second": predictions.architectures[pair.second]}


def _mcnemar_columns(result: McNemarResult) -> Row:
    return {"only_first": result.only_first, "only_second": result.only_second, "mcnemar_p": result.p_value}


def match_seeds(predictions: Predictions, deterministic: Collection[str]) -> list[ArchitecturePair]:
    """Return all pairs of architectures with their shared seeds.

    The single run of a deterministic architecture is paired with every seed of the other architecture.
    """
    seeds = [np.flatnonzero(present).tolist() for present in predictions.present]
    fixed = without_seed(predictions, deterministic).tolist()
    pairs = []
    for a, b in itertools.combinations(range(len(seeds)), 2):
        first_seeds = second_seeds = [seed for seed in seeds[a] if seed in seeds[b]]
        if fixed[a]:
            first_seeds, second_seeds = seeds[a] * len(seeds[b]), seeds[b]
        elif fixed[b]:
            first_seeds, second_seeds = seeds[a], seeds[b] * len(seeds[a])
        pairs.append(ArchitecturePair(a, b, first_seeds, second_seeds, fixed[a] and fixed[b]))
    return pairs


def paired_differences(
    values: Floats | NDArray[np.float32], pair: ArchitecturePair, present: NDArray[np.bool_]
) -> Floats:
    """Return first minus second for each shared seed: (architectures, seeds, ...) to (shared seeds, ...).

    Without a shared seed, the result has one row, the difference of the means over all seeds.
    """
    first, second = (values[index].astype(np.float64, copy=False) for index in (pair.first, pair.second))
    if pair.first_seeds:
        return np.asarray(first[pair.first_seeds] - second[pair.second_seeds])
    means = first[present[pair.first]].mean(axis=0) - second[present[pair.second]].mean(axis=0)
    return np.asarray(means[None])


def _compare_pair(
    contributions: Floats,
    resampled_means: NDArray[np.float32],
    pair: ArchitecturePair,
    present: NDArray[np.bool_],
    metric: str,
    options: ComparisonOptions,
    groups: ReviewGroups | None,
) -> tuple[Row, VarianceComponents]:
    """Compare two architectures in one metric."""
    table = paired_differences(contributions, pair, present)
    bounded = METRICS[metric].is_bounded
    variance = estimate_variance(table, bounded=bounded, deterministic=pair.deterministic, groups=groups)
    difference, seed_differences, seeds = float(table.mean()), table.mean(axis=1), len(pair.first_seeds)
    low, high = confidence_interval(difference, variance)
    if bounded:  # two scores in [0, 1] differ by at most 1
        low, high = max(low, -1.0), min(high, 1.0)
    scores = [contributions[index][present[index]].mean(axis=1) for index in (pair.first, pair.second)]
    row: Row = {
        "metric": metric, "difference": difference, "low": low, "high": high,
        **_p_values(difference, seed_differences, variance, pair, options.margin),
        "seeds": seeds, "deterministic": pair.deterministic,
        "noise": "seeds and reviews" if seeds > 1 else "reviews",
        **_bootstrap(paired_differences(resampled_means, pair, present), options.seed),
        **_win_probability(table, variance, pair, metric),
        "cliffs_delta": cliffs_delta(*scores), "d_z": cohens_d_z(seed_differences),
        "seed_variance": variance.seed_variance, "item_variance": variance.review_variance,
    }  # fmt: skip
    return row, variance


def _count_failed(
    predictions: Predictions, contributions: Floats, diverged: Sequence[Sequence[int]], options: ComparisonOptions
) -> list[int]:
    """Return the number of failed seeds of each architecture, with the diverged ones."""
    failed = find_failed_seeds(predictions, contributions, options.metric, options.deterministic)
    return [int(own.sum()) + len(seeds) for own, seeds in zip(failed, diverged, strict=True)]


def _p_value_with_diverged(
    predictions: Predictions,
    contributions: Floats,
    pair: ArchitecturePair,
    diverged: Sequence[Sequence[int]],
    metric: str,
) -> float:
    """Return the p-value of a pair if the diverged seeds of the better architecture predict a constant.

    It is two-sided for a difference in the observed direction, and 1 if the difference has the other sign then.
    """
    table = paired_differences(contributions, pair, predictions.present)
    difference = float(table.mean())
    first_better = (difference > 0) != (metric in LOWER_IS_BETTER)
    better, other = (pair.first, pair.second) if first_better else (pair.second, pair.first)
    constant = chance_contributions(predictions.labels, metric, predictions.classes)
    available = np.flatnonzero(predictions.present[other])
    runs: dict[int, Floats] = {predictions.seeds[index]: contributions[other, index] for index in available}
    # For a seed that the other architecture does not have, such as every seed of a baseline.
    mean: Floats = contributions[other][available].mean(axis=0)
    added = [constant - runs.get(seed, mean) for seed in diverged[better] if seed not in diverged[other]]
    sign = 1 if first_better else -1
    if added:
        table = np.concatenate([table, sign * np.array(added)])
    variance = estimate_variance(table, bounded=METRICS[metric].is_bounded, groups=predictions.groups)
    direction: Alternative = "greater" if difference > 0 else "less"
    return min(2 * p_value(float(table.mean()), variance, direction), 1.0)


def _p_values(
    difference: float, seed_differences: Floats, variance: VarianceComponents, pair: ArchitecturePair, margin: float
) -> Row:
    """Return the p-values of one pair, not corrected for multiple testing."""
    p_sign_flip, smallest_p = 1.0, 1.0
    if pair.first_seeds and not pair.deterministic:
        p_sign_flip, smallest_p = sign_flip(seed_differences)
    below_upper = p_value(difference - margin, variance, alternative="less")
    above_lower = p_value(difference + margin, variance, alternative="greater")
    return {
        "p": p_value(difference, variance),
        "p_with_diverged": p_value(difference, variance),
        "p_sign_flip": p_sign_flip,
        "smallest_p": smallest_p,
        "p_equivalent": max(below_upper, above_lower),  # two one-sided tests (TOST)
    }


def _bootstrap(resampled: Floats, seed: int) -> dict[str, float]:
    """Return the bootstrap interval of the difference.

    Args:
        resampled: (seeds, draws) float, the difference of each shared seed over resampled reviews.
        seed: Seed of the draws of seeds.
    """
    weights = bootstrap_seed_weights(len(resampled), draws=resampled.shape[1], seed=seed)
    low, high = np.quantile((resampled * weights).sum(axis=0), [0.025, 0.975])
    return {"bootstrap_low": low, "bootstrap_high": high}


def _win_probability(
    table: Floats, variance: VarianceComponents, pair: ArchitecturePair, metric: str
) -> dict[str, float]:
    """Return P(A > B) with its interval, from the differences of contributions (seeds, reviews).

    P(A > B) is the probability that the first architecture is better with a new seed; a tie counts one half. Source:
    Bouthillier et al. 2021, "Accounting for Variance in Machine Learning Benchmarks".
    """
    differences = table.mean(axis=1)
    if metric in LOWER_IS_BETTER:
        differences = -differences
    if METRICS[metric].is_bounded:  # without the part that `estimate_variance` adds: it would break ties
        unbounded = variance.known_variance - 1 / (table.shape[1] + 2) ** 2
        variance = replace(variance, known_variance=max(unbounded, 0.0))
    shared_variance = variance.known_variance_at(0.05)  # few groups of reviews estimate it with an error
    probability = float((difference_signs(differences) + 1).mean() / 2)
    low, high = win_interval(differences if pair.first_seeds else differences[:0], shared_variance=shared_variance)
    return {
        "probability_first_better": probability,
        "probability_low": min(low, probability),
        "probability_high": max(high, probability),
    }


def p_value(difference: float, variance: VarianceComponents, alternative: Alternative = "two-sided") -> float:
    """Return the p-value of the hypothesis that the true difference is 0.

    Args:
        difference: Observed difference, in units of the metric.
        variance: Variance of the difference.
        alternative: "two-sided", "greater" (the true difference is above 0) or "less".
    """
    if alternative == "two-sided":
        return (
            float(difference == 0) if variance.variance_of_mean == 0 else two_sided_p_value(abs(difference), variance)
        )
    signed = difference if alternative == "greater" else -difference
    if variance.variance_of_mean == 0:
        return float(signed <= 0)
    one_tail = two_sided_p_value(abs(difference), variance) / 2
    return one_tail if signed >= 0 else 1 - one_tail

"""Claims about seeds, checked by simulation as part of `tests.simulations.prove`.

- **P(first better).** Its 95% interval contains the true probability, also if all seeds agree.
- **Failed seeds.** If one seed in ten fails, exactly the failed seeds are found, and the interval of the score without
  them contains the score of a seed that does not fail. The bound of the failure rate is at least the true rate, at a
  rate above the bound of a run without failed seeds. Both claims fail if failed seeds are not found.
- **Expected best.** The expected best of three runs is unbiased.
"""

import functools
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.predictions import metric_contributions
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.ranking import expected_maximum
from tasks.statistics.summary import summarize
from tests.helpers.simulated_predictions import simulate_predictions, win_probability
from tests.simulations.simulated_pairs import compare_test_pairs

METRIC = "accuracy"
OPTIONS = ComparisonOptions(metric=METRIC, metrics=[METRIC], draws=2)  # the bootstrap is not checked
# Accuracies and standard deviations of the seeds with which the second model is better with 95% of the seeds.
ACCURACIES, SEED_STD = [0.85, 0.896], 0.02
FAILURE_RATE = 0.1
BEST_OF_THREE = 1.5 / np.pi**0.5  # expected maximum of three standard normal values
MAX_REVIEWS = 5_000  # more reviews only take more time: the claims are about seeds
# Allowed share of simulations for each claim. With 5 seeds the number of wins has six values only, so an exact interval
# contains most probabilities in more than 95%.
MAX_BIAS = 0.02  # of the expected best, in standard deviations
ALLOWED: dict[str, tuple[float, float]] = {
    "probability_coverage": (0.93, 0.99), "score_without_failed": (0.93, 0.97), "failure_bound": (0.95, 1.0),
    "expected_best": (BEST_OF_THREE - MAX_BIAS, BEST_OF_THREE + MAX_BIAS),
}  # fmt: skip

Map = Callable[[Callable[[int], Any], range], Iterable[Any]]
Estimate = dict[str, float]


def covers_probability(number: int, *, seeds: int, reviews: int) -> bool:
    """Compare two models; return whether the interval of P(first better) contains the true probability."""
    splits = simulate_predictions(
        ACCURACIES, seeds=seeds, reviews=reviews, seed=[10, seeds, number], seed_std=SEED_STD
    )  # fmt: skip
    row = compare_test_pairs(splits["test"], OPTIONS)[0].iloc[0]
    true = win_probability(ACCURACIES, seed_std=SEED_STD)
    return bool(row["probability_low"] <= true <= row["probability_high"])


def covers_score_without_failed(number: int, *, seeds: int, reviews: int) -> bool:
    """Summarize a model of which one seed in ten fails, and at least one.

    Returns:
        Whether exactly the failed seeds are found, and the interval without them contains the score of the others. The
        second alone would prove little: with a failed seed in it, the interval is so long that it contains the score.
    """
    row, failed = summarize_failing_seeds([11, seeds, number], seeds, reviews, FAILURE_RATE, min_failed=1)
    found = row["failed_seeds"] == ", ".join(map(str, np.flatnonzero(failed)))
    return bool(found and row["low_without_failed"] <= ACCURACIES[1] <= row["high_without_failed"])


def bounds_failure_rate(number: int, *, seeds: int, reviews: int) -> bool:
    """Return whether the bound of the failure rate is at least the true rate.

    The true rate is above the bound of a run without failed seeds, so that some must be found.
    """
    rate = 1.2 * (1 - 0.05 ** (1 / seeds))
    row, _ = summarize_failing_seeds([15, seeds, number], seeds, reviews, rate)
    return bool(row["failure_rate_high"] >= rate)


def summarize_failing_seeds(
    seed: list[int], seeds: int, reviews: int, rate: float, min_failed: int = 0
) -> tuple[Mapping[Hashable, Any], NDArray[np.bool_]]:
    """Simulate a model of which some seeds stay at chance level.

    Args:
        seed: Seed of the random draws.
        seeds: Number of seeds.
        reviews: Number of test reviews.
        rate: Probability that a seed fails.
        min_failed: Smallest number of failed seeds; it is drawn again which seeds fail until there are as many.

    Returns:
        The row of the table summary, and which seeds (seeds,) failed.
    """
    test = simulate_predictions([ACCURACIES[1]], seeds=seeds, reviews=reviews, seed=seed)["test"]
    rng = np.random.default_rng([*seed, 1])
    failed = rng.random(seeds) < rate
    while failed.sum() < min_failed:
        failed = rng.random(seeds) < rate
    test.probabilities[0, failed] = rng.random((int(failed.sum()), reviews))
    contributions = metric_contributions(test, [METRIC])
    resampled = {METRIC: contributions[METRIC][..., :2]}  # placeholder: the bootstrap is not checked
    return summarize(test, contributions, resampled, "test", None, OPTIONS).iloc[0].to_dict(), failed


def best_of_three(number: int, *, seeds: int) -> float:
    """Return the expected best of three of some standard normal scores."""
    return expected_maximum(np.random.default_rng([13, seeds, number]).standard_normal(seeds), 3)


def run_seed_claims(
    map_range: Map,
    add: Callable[[str, str, Estimate], None],
    estimate_rate: Callable[[Iterable[bool]], Estimate],
    estimate_mean: Callable[[Iterable[float]], Estimate],
    *,
    simulations: int,
    reviews: int,
    seeds: int,
) -> None:
    """Run the simulations of all claims with one number of seeds.

    Args:
        map_range: Applies a function to all numbers of a range.
        add: Adds an estimate to the result, by claim and case.
        estimate_rate: Computes the share of true outcomes with its interval.
        estimate_mean: Computes the mean of numbers with its interval.
        simulations: Number of simulations of each claim.
        reviews: Number of test reviews.
        seeds: Number of seeds.
    """
    options, case = {"seeds": seeds, "reviews": min(reviews, MAX_REVIEWS)}, f"{seeds} seeds"
    numbers = range(simulations)
    add(
        "probability_coverage",
        case,
        estimate_rate(map_range(functools.partial(covers_probability, **options), numbers)),
    )
    covered = map_range(functools.partial(covers_score_without_failed, **options), numbers)
    add("score_without_failed", case, estimate_rate(covered))
    add("failure_bound", case, estimate_rate(map_range(functools.partial(bounds_failure_rate, **options), numbers)))
    best = (best_of_three(number, seeds=seeds) for number in range(10 * simulations))
    add("expected_best", f"{case}, in standard deviations", estimate_mean(best))

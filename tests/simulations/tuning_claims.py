"""Claims about tuned architectures, checked by simulation as part of `tests.simulations.prove`.

Architectures try the same configurations, each with one seed, and the one with the lowest loss on the validation
reviews is selected. It is then trained with new seeds, which are compared on the test reviews. The claims:

- **Equal architectures.** Of five equal architectures, any two are significantly different in at most 5% of
  comparisons. All configurations are equally good, so what is selected is noise: nothing of it may reach the test.
- **Power.** An architecture that is one point better with every configuration is found as often as the reported power
  says, within three points.
- **Selection.** If configurations differ, equal architectures may select different ones, and their selected
  configurations truly differ. A significant difference must be one between the selected configurations: in at most 5%
  of comparisons it is claimed although both selected configurations are equally good, or has the wrong sign. How often
  equal architectures are called different is measured as well (`tuned_different`); it has no limit, because the results
  hold for the selected configurations, as the report states.
"""

import functools
import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.metrics import log_loss
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.power import power_table
from tests.helpers.simulated_predictions import simulate_predictions
from tests.simulations.simulated_pairs import compare_test_pairs

OPTIONS = ComparisonOptions(metrics=["accuracy"], draws=2)  # the bootstrap is not checked
ACCURACY, ONE_POINT, SEED_STD = 0.87, 0.01, 0.005
ARCHITECTURES, CONFIGURATIONS, SEEDS = 5, 12, 5
VALIDATION_REVIEWS = 1_000
SPREAD = 0.01  # standard deviation of the accuracy between configurations, where they differ
ALLOWED: dict[str, tuple[float, float]] = {
    "tuned_family_wise_rate": (0, 0.05), "tuned_power_error": (-0.03, 0.03), "tuned_false_claims": (0, 0.05)
}  # fmt: skip

Map = Callable[[Callable[[int], Any], range], Iterable[Any]]
Estimate = dict[str, float]


def select_accuracies(accuracies: NDArray[np.float64], seed: list[int]) -> list[float]:
    """Tune architectures, and return the true accuracy of the configuration that each of them selects.

    Args:
        accuracies: True accuracy of each configuration, (architectures, configurations).
        seed: Seed of the random draws.
    """
    validation = simulate_predictions(
        accuracies.ravel().tolist(), seeds=1, reviews=1, seed=seed, seed_std=SEED_STD,
        validation_reviews=VALIDATION_REVIEWS, architecture_std=0.5,
    )["validation"]  # fmt: skip
    losses = [log_loss(validation.labels, probabilities, classes=2) for probabilities in validation.probabilities[:, 0]]
    selected = np.reshape(losses, accuracies.shape).argmin(axis=1)
    return [float(row[place]) for row, place in zip(accuracies, selected, strict=True)]


def compare_tuned(number: int, *, reviews: int, spread: float) -> tuple[bool, bool]:
    """Tune five equal architectures and compare the selected configurations with new seeds on the test reviews.

    Returns:
        Whether any two are significantly different, and whether any two are whose selected configurations are equally
        good or differ in the other direction.
    """
    seed = [30, int(1_000 * spread), number]
    configurations = ACCURACY + spread * np.random.default_rng([*seed, 1]).standard_normal(CONFIGURATIONS)
    selected = select_accuracies(np.tile(configurations, (ARCHITECTURES, 1)), [*seed, 2])
    test = simulate_predictions(selected, seeds=SEEDS, reviews=reviews, seed=[*seed, 3], seed_std=SEED_STD)["test"]
    pairs, _ = compare_test_pairs(test, OPTIONS)
    claims = pairs["verdict"].map({"first better": 1, "second better": -1}).fillna(0)
    truth = [np.sign(first - second) for first, second in itertools.combinations(selected, 2)]
    return bool(claims.any()), bool(((claims != 0) & (claims != truth)).any())


def detects_one_point(number: int, *, reviews: int) -> tuple[float, bool]:
    """Tune two architectures, of which the second is one point better with every configuration, and compare them.

    Returns:
        The reported power, and whether the better architecture is found.
    """
    seed, best = [31, number], ACCURACY + ONE_POINT
    selected = select_accuracies(np.repeat([[ACCURACY], [best]], CONFIGURATIONS, axis=1), [*seed, 2])
    test = simulate_predictions(selected, seeds=SEEDS, reviews=reviews, seed=[*seed, 3], seed_std=SEED_STD)["test"]
    pairs, variances = compare_test_pairs(test, OPTIONS)
    power = float(power_table(pairs, variances, OPTIONS)["power_one_point"].iloc[0])
    return power, pairs["verdict"].iloc[0] == "second better"


def run_tuning_claims(
    map_range: Map,
    add: Callable[[str, str, Estimate], None],
    estimate_rate: Callable[[Iterable[bool]], Estimate],
    estimate_mean: Callable[[Iterable[float]], Estimate],
    *,
    comparisons: int,
    powers: int,
    reviews: int,
) -> None:
    """Run the simulations of all claims; arguments as in `seed_claims.run_seed_claims`.

    Args:
        map_range: Applies a function to all numbers of a range.
        add: Adds an estimate to the result, by claim and case.
        estimate_rate: Computes the share of true outcomes with its interval.
        estimate_mean: Computes the mean of numbers with its interval.
        comparisons: Number of comparisons of five architectures, for each case.
        powers: Number of comparisons of two architectures.
        reviews: Number of test reviews.
    """
    case = f"{CONFIGURATIONS} configurations, {SEEDS} seeds"
    equal = map_range(functools.partial(compare_tuned, reviews=reviews, spread=0.0), range(comparisons))
    add("tuned_family_wise_rate", case, estimate_rate(differ for differ, _ in equal))
    spread = list(map_range(functools.partial(compare_tuned, reviews=reviews, spread=SPREAD), range(comparisons)))
    add("tuned_different", case, estimate_rate(differ for differ, _ in spread))
    add("tuned_false_claims", case, estimate_rate(wrong for _, wrong in spread))
    found = list(map_range(functools.partial(detects_one_point, reviews=reviews), range(powers)))
    add("tuned_power_error", case, estimate_mean(power - float(hit) for power, hit in found))

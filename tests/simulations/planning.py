"""Planned power compared with the power of simulated comparisons: `python -m tests.simulations.planning`.

The first table plans with known variances. The second one plans from an earlier run with five seeds, and shows the
power that the planned number of seeds really has.
"""

import argparse
import functools
import sys
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from statsmodels.stats.proportion import proportion_confint

from tasks.statistics.planning import Goal, PairVariance, measure_pairs, pair_needs, planned_power
from tests.helpers.simulated_predictions import simulate_predictions

PARTS = ("seed_variance", "shared_variance", "rest_variance")
EARLIER_SEEDS, EARLIER_RUNS = 5, 600


class Setting(NamedTuple):
    """A planned comparison of two architectures that differ by `points`."""

    points: float
    seeds: int
    reviews: int
    group_size: int = 1
    seed_std: float = 0.004
    level: float = 0.05 / 6


SETTINGS = (
    Setting(1.0, 14, 5_000),
    Setting(1.0, 30, 5_000, seed_std=0.009),
    Setting(2.0, 8, 5_000, group_size=7),
    Setting(2.0, 8, 1_500),
    Setting(2.0, 10, 5_000, seed_std=0.008, level=0.05 / 21),
)


def simulate_pair(setting: Setting, points: float, seeds: int, reviews: int, seed: list[int]) -> PairVariance:
    """Simulate two architectures that differ by `points` around 88%, and measure their pair."""
    accuracies = [0.88 + points / 200, 0.88 - points / 200]
    (pair,) = measure_pairs(
        simulate_predictions(
            accuracies, seeds=seeds, reviews=reviews, seed=seed, seed_std=setting.seed_std, architecture_std=0.3,
            group_size=setting.group_size, validation_reviews=2,
        )["test"]
    )  # fmt: skip
    return pair


@functools.cache
def true_variance(setting: Setting) -> PairVariance:
    """Return the mean variances of large runs without a difference."""
    pairs = [simulate_pair(setting, 0.0, 100, 5_000, [1, number]) for number in range(20)]
    return replace(pairs[0], **{part: float(np.mean([getattr(pair, part) for pair in pairs])) for part in PARTS})


def compare_power(setting: Setting, simulations: int) -> str:
    """Return a row: the setting, planned power with known variances, and power that was found, in percent."""
    goal = Goal(setting.points / 100, 0.8, setting.level, setting.reviews)
    planned = planned_power(true_variance(setting), setting.seeds, goal)
    found = sum(
        simulate_pair(setting, setting.points, setting.seeds, setting.reviews, [2, number]).p <= goal.level
        for number in range(simulations)
    )
    low, high = proportion_confint(found, simulations, method="wilson")
    rate = f"{100 * found / simulations:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{_describe(setting)} | {setting.seeds} | {100 * planned:.1f} | {rate} |"


def plan_from_five_seeds(setting: Setting) -> str:
    """Return a row: the seeds that earlier runs of five seeds ask for, and the true power with them, in percent."""
    goal = Goal(setting.points / 100, 0.8, setting.level, setting.reviews)
    truth = true_variance(setting)
    asked = [
        pair_needs(simulate_pair(setting, 0.0, EARLIER_SEEDS, setting.reviews, [3, number]), goal).seeds.point
        for number in range(EARLIER_RUNS)
    ]
    powers = [planned_power(truth, int(seeds), goal) for seeds in asked if np.isfinite(seeds)]
    low, median, high = np.quantile(powers, [0.1, 0.5, 0.9])
    seeds = ", ".join(f"{value:.0f}" for value in np.quantile(asked, [0.1, 0.5, 0.9], method="inverted_cdf"))
    right = f"{pair_needs(truth, goal).seeds.point:.0f}"
    return f"{_describe(setting)} | {right} | {seeds} | {100 * low:.0f}, {100 * median:.0f}, {100 * high:.0f} |"


def _describe(setting: Setting) -> str:
    return f"| {setting.points:g} | {100 * setting.seed_std:g} | {setting.reviews:,} | {setting.group_size}"


def main(arguments: list[str]) -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=3_000)
    count = parser.parse_args(arguments).simulations
    for setting in SETTINGS:
        print(compare_power(setting, count), flush=True)  # noqa: T201
    for setting in SETTINGS:
        print(plan_from_five_seeds(setting), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])

"""Claims about the check of nightly runs, for `prove`.

- **False alarms.** At most 10 of 1,000 unchanged nightly runs raise an alarm: if 2% or 10% of the seeds fail, if scores
  are skewed or have heavy tails, if seeds spread two or four times as much, and on a machine whose pace wanders.
- **Detection.** A drop of one point in all architectures is detected in the same nightly run in at least 95% of cases,
  also two runs after a failed seed.
- **Drift.** A drift of 0.1 points per nightly run in one architecture is detected within fifteen nightly runs in at
  least 95% of cases.
- **Promised detection.** The reported probability that a drop of one point in one architecture is detected within three
  nightly runs is at most five points above the share that is detected, whatever the spread of its seeds.
- **Repeated looks.** If equal models are compared after each of 60 nightly runs with one more seed each, a claim that
  counts all looks is false in at most 5% of cases.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from tasks.evaluation.predictions import Predictions
from tasks.nightly.alarm_table import alarm_table
from tasks.nightly.detectability import detectability
from tasks.nightly.repeated_looks import level_of_look
from tasks.nightly.time_alarms import check_times
from tasks.statistics.options import ComparisonOptions
from tests.helpers.simulated_nights import (
    ARCHITECTURES,
    STD,
    alarm_nights,
    detects_drop,
    simulate_losses,
    simulate_times,
)
from tests.helpers.simulated_predictions import simulate_predictions
from tests.simulations.simulated_pairs import compare_test_pairs

RUNS = 1_000  # nightly runs of a history
LOOKS, FIRST_LOOK_SEEDS = 60, 5
SETTINGS: dict[str, dict[str, Any]] = {
    "unchanged": {}, "2% of seeds fail": {"failure_rate": 0.02}, "10% of seeds fail": {"failure_rate": 0.1},
    "skewed": {"distribution": "skewed"}, "heavy tails": {"distribution": "heavy"},
    "seeds spread twice as much": {"std": 2 * STD}, "seeds spread four times as much": {"std": 4 * STD},
}  # fmt: skip
# Standard deviation of the logarithm of the pace, and its correlation from one nightly run to the next.
PACES = [(0.1, 0.5), (0.1, 0.9), (0.2, 0.5), (0.2, 0.9)]
# Standard deviations of the accuracy over the seeds for the promised detection.
SPREADS = (0.0015, 0.004, 0.01)
DRIFT_RUNS = 15
MEANS = {"promised_minus_detected"}  # the other claims are about rates
ALLOWED: dict[str, tuple[float, float]] = {
    "nightly_alarm_rate": (0, 0.01), "nightly_detection_rate": (0.95, 1), "promised_minus_detected": (-0.15, 0.05),
    "false_claim_rate": (0, 0.05),
}  # fmt: skip
# Numbers of histories of unchanged runs (for each setting), of histories with a drop, and of repeated comparisons.
FULL = {"histories": 10, "drops": 300, "comparisons": 120}
SHORT = {"histories": 1, "drops": 60, "comparisons": 40}

Map = Callable[[Callable[[int], Any], range], Iterable[Any]]
Outcomes = dict[str, dict[str, list[Any]]]


def false_alarms(number: int, *, setting: str) -> list[bool]:
    """Return for each unchanged nightly run whether it raises an alarm."""
    alarms = alarm_nights(simulate_losses(number, RUNS, **SETTINGS[setting]))
    return [run in alarms for run in range(RUNS)]


def false_time_alarms(number: int, *, pace_std: float, correlation: float) -> list[bool]:
    """Return for each nightly run on a wandering machine whether it raises an alarm about training times."""
    times = simulate_times(number, RUNS, pace_std=pace_std, correlation=correlation)
    alarms = {alarm.run for alarm in check_times(times, ARCHITECTURES).alarms}
    return [run in alarms for run in range(RUNS)]


def finds_drop(number: int, *, failed: bool) -> bool:
    """Return whether a drop of one point in all architectures is detected in the same nightly run."""
    return detects_drop(number, 1, np.ones(1), failed=failed)


def finds_drift(number: int) -> bool:
    """Return whether a drift of 0.1 points per nightly run in one architecture is detected within fifteen runs."""
    return detects_drop(number, DRIFT_RUNS, 0.1 * np.arange(1, DRIFT_RUNS + 1), [number % len(ARCHITECTURES)])


def promised_minus_detected(number: int, *, spread: float) -> float:
    """Return the reported probability to detect a drop within three nightly runs, minus 1 if it is detected."""
    rng, first = np.random.default_rng([6, number]), date(2026, 1, 1)
    accuracies = [*rng.normal(0.88, spread, 23), *rng.normal(0.87, spread, 3)]
    nights = [first] * 4 + [first + timedelta(days=day) for day in range(1, 23)]
    trials = pd.DataFrame(
        {"night": nights, "architecture": "lstm", "accuracy": accuracies, "f1": accuracies, "auc": 0.9, "log_loss": 0.3,
         "relative_seconds": 10.0, "cpu_seconds": 10.0}
    )  # fmt: skip
    promised = float(detectability(trials.iloc[:-3])["detection_rate"].iloc[0])
    return promised - float((alarm_table(trials)["night"] >= nights[-3]).any())


def claims_at_some_look(number: int, *, reviews: int) -> tuple[bool, bool]:
    """Compare two equal models after each of `LOOKS` nightly runs.

    Returns:
        Whether some look is significant by itself, and whether some look is significant over all looks.
    """
    seeds = FIRST_LOOK_SEEDS + LOOKS - 1
    splits = simulate_predictions([0.87, 0.87], seeds=seeds, reviews=reviews, seed=[3, number])
    options = ComparisonOptions(metric="accuracy", metrics=["accuracy"], draws=2)
    single = repeated = False
    for look in range(1, LOOKS + 1):
        pairs, _ = compare_test_pairs(first_seeds(splits["test"], FIRST_LOOK_SEEDS + look - 1), options)
        row = pairs.iloc[0]
        claimed = row["verdict"] in ("first better", "second better")
        single |= claimed
        repeated |= claimed and row["p_holm"] <= level_of_look(look)
    return single, repeated


def first_seeds(split: Predictions, count: int) -> Predictions:
    """Return the predictions of the first seeds."""
    return replace(
        split, seeds=split.seeds[:count], probabilities=split.probabilities[:, :count], present=split.present[:, :count]
    )


def run_claims(
    map_range: Map = map, *, histories: int, drops: int, comparisons: int, reviews: int = 500, settings: Any = SETTINGS,
) -> Outcomes:  # fmt: skip
    """Simulate all claims.

    Args:
        map_range: Applies a function to all numbers of a range: `map`, or that of a process pool.
        histories: Number of histories of 1,000 unchanged nightly runs, for each setting.
        drops: Number of histories with a drop, for each case.
        comparisons: Number of pairs of equal models that are compared 60 times.
        reviews: Number of their test reviews.
        settings: Names in `SETTINGS`.

    Returns:
        The outcomes, or numbers, by claim and case. The rate of looks that are significant by themselves is no claim:
        it is what the claim about all looks is compared with.
    """
    alarms = {name: list(chain(*map_range(partial(false_alarms, setting=name), range(histories)))) for name in settings}
    for pace_std, correlation in PACES:
        simulate = partial(false_time_alarms, pace_std=pace_std, correlation=correlation)
        alarms[f"pace wanders by {pace_std:.0%}, correlation {correlation}"] = list(
            chain(*map_range(simulate, range(histories)))
        )
    cases = {"all architectures": False, "all architectures, two runs after a failed seed": True}
    detected = {
        name: list(map_range(partial(finds_drop, failed=failed), range(drops))) for name, failed in cases.items()
    }
    detected["drift in one architecture"] = list(map_range(finds_drift, range(drops)))
    promised = {}
    for spread in SPREADS:
        gaps = map_range(partial(promised_minus_detected, spread=spread), range(drops))
        # Shortly after an alarm nothing is tested, and nothing is promised.
        promised[f"seeds spread by {100 * spread:g} points"] = [gap for gap in gaps if np.isfinite(gap)]
    claims = list(map_range(partial(claims_at_some_look, reviews=reviews), range(comparisons)))
    return {
        "nightly_alarm_rate": alarms,
        "nightly_detection_rate": detected,
        "promised_minus_detected": promised,
        "false_claim_rate": {f"all {LOOKS} looks": [each for _, each in claims]},
        "false_claim_rate_of_single_looks": {f"some of {LOOKS} looks": [each for each, _ in claims]},
    }

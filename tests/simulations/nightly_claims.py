"""Claims about the check of nightly runs, for `prove`.

- **False alarms.** At most 10 of 1,000 unchanged nightly runs raise an alarm: if 2% or 10% of the seeds fail, if scores
  are skewed or have heavy tails, if seeds spread two or four times as much, and on a machine whose pace wanders.
- **Detection.** A drop of one point in all architectures is detected in the same nightly run in at least 95% of cases,
  also two runs after a failed seed.
- **Repeated looks.** If equal models are compared after each of 60 nightly runs with one more seed each, a claim that
  counts all looks is false in at most 5% of cases.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from tasks.evaluation.predictions import Predictions
from tasks.nightly.repeated_looks import level_of_look
from tasks.nightly.time_alarms import check_times
from tasks.statistics.comparison import compare_splits
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

RUNS = 1_000  # nightly runs of a history
LOOKS, FIRST_LOOK_SEEDS = 60, 5
SETTINGS: dict[str, dict[str, Any]] = {
    "unchanged": {}, "2% of seeds fail": {"failure_rate": 0.02}, "10% of seeds fail": {"failure_rate": 0.1},
    "skewed": {"distribution": "skewed"}, "heavy tails": {"distribution": "heavy"},
    "seeds spread twice as much": {"std": 2 * STD}, "seeds spread four times as much": {"std": 4 * STD},
}  # fmt: skip
# Standard deviation of the logarithm of the pace, and its correlation from one nightly run to the next.
PACES = [(0.1, 0.5), (0.1, 0.9), (0.2, 0.5), (0.2, 0.9)]
MAX_ALARM_RATE, MIN_DETECTION_RATE, MAX_FALSE_CLAIMS = 0.01, 0.95, 0.05
# Numbers of histories of unchanged runs (for each setting), of histories with a drop, and of repeated comparisons.
FULL = {"histories": 10, "drops": 400, "comparisons": 200}
SHORT = {"histories": 1, "drops": 60, "comparisons": 10}

Map = Callable[[Callable[[int], Any], range], Iterable[Any]]
Outcomes = dict[str, dict[str, list[bool]]]


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
        seen = {name: first_seeds(split, FIRST_LOOK_SEEDS + look - 1) for name, split in splits.items()}
        row = compare_splits(seen, options=options)["pairs"].iloc[0]
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
        nightly_alarm_rate, nightly_detection_rate and false_claim_rate, each with the outcomes by case.
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
    claims = list(map_range(partial(claims_at_some_look, reviews=reviews), range(comparisons)))
    claimed = {"each look by itself": [each for each, _ in claims], "all looks": [each for _, each in claims]}
    return {"nightly_alarm_rate": alarms, "nightly_detection_rate": detected, "false_claim_rate": claimed}


def failed_claims(result: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    """Return one sentence for each claim that failed.

    Args:
        result: Result of `run_claims`, with rate, low and high (95% interval) in the place of the outcomes.
    """
    sentences = [
        f"Nightly alarms, {case}: {found['rate']:.2%} of unchanged runs; at most {MAX_ALARM_RATE:.0%} are allowed."
        for case, found in result["nightly_alarm_rate"].items()
        if found["low"] > MAX_ALARM_RATE
    ]
    sentences += [
        f"Nightly detection, {case}: {found['rate']:.1%}; at least {MIN_DETECTION_RATE:.0%} are needed."
        for case, found in result["nightly_detection_rate"].items()
        if found["high"] < MIN_DETECTION_RATE
    ]
    repeated = result["false_claim_rate"]["all looks"]
    if repeated["low"] > MAX_FALSE_CLAIMS:
        sentences.append(
            f"Repeated looks: {repeated['rate']:.1%} false claims; at most {MAX_FALSE_CLAIMS:.0%} are allowed."
        )
    return sentences

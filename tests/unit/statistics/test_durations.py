"""Expected duration of a run, computed by hand."""

import pandas as pd
import pytest

from tasks.config.labels import ARCHITECTURE_NAMES, BASELINE_NAMES
from tasks.config.recipe import DEFAULT_ARCHITECTURES
from tasks.statistics.durations import (
    FIXED_SECONDS,
    PUBLISHED_PROBE,
    PUBLISHED_REVIEWS,
    PUBLISHED_SECONDS,
    TrainingTimes,
    measured_times,
    published_times,
    resample_seconds,
    run_seconds,
    without_time,
)
from tasks.statistics.planning import Range

TRIALS = pd.DataFrame(
    {"architecture": ["lstm", "lstm", "nb_svm"], "train_seconds": [20.0, 30.0, 8.0], "train_reviews": 1_000,
     "probe_seconds": [0.01, 0.01, 0.01]}
)  # fmt: skip


def test_times_of_a_run_on_this_machine() -> None:
    times = measured_times(TRIALS, 2_000, "a run")
    assert times.seconds["lstm"] == (pytest.approx(40 / 1.25), 50, 60 * 1.25)
    assert set(times.seconds) == {"lstm", "nb_svm"}
    assert without_time(times, ["gru", "lstm"]) == ["gru"]


def test_times_of_a_run_on_another_machine_are_scaled_by_the_probe() -> None:
    times = measured_times(TRIALS, 1_000, "a run", probe=0.02)
    assert times.seconds["lstm"] == (40 / 2, 50, 60 * 2)
    # Without a probe there, nothing is known about this machine.
    assert measured_times(TRIALS.drop(columns="probe_seconds"), 1_000, "a run", probe=0.02).seconds == {}


def test_every_built_in_architecture_has_a_published_time() -> None:
    times = published_times(PUBLISHED_REVIEWS, PUBLISHED_PROBE, "published")
    assert without_time(times, [*ARCHITECTURE_NAMES, *BASELINE_NAMES]) == []
    assert without_time(times, ["my_models:attention"]) == ["my_models:attention"]


def test_published_times_are_scaled_by_reviews_and_probe() -> None:
    times = published_times(2 * PUBLISHED_REVIEWS, 3 * PUBLISHED_PROBE, "published")
    assert times.seconds["lstm"].point == pytest.approx(6 * PUBLISHED_SECONDS["lstm"])
    assert {*DEFAULT_ARCHITECTURES, *BASELINE_NAMES} <= set(times.seconds)


def test_duration_of_a_run_by_hand() -> None:
    times = TrainingTimes({"lstm": Range(10, 20, 40), "gru": Range(5, 10, 20), "nb_svm": Range(4, 4, 4)}, "")
    # Point: (5 x 20 + 5 x 10 + 4) / 2.
    found = run_seconds(times, ["lstm", "gru", "m:f"], seeds=5, workers=2)
    assert found == (FIXED_SECONDS + 39.5, FIXED_SECONDS + 77, FIXED_SECONDS + 152)
    # No run is shorter than its longest training.
    assert run_seconds(times, ["lstm"], seeds=5, workers=100).point == FIXED_SECONDS + 20
    assert run_seconds(times, [], seeds=5, workers=1).point == FIXED_SECONDS + 4


def test_duration_of_resamples_by_hand() -> None:
    times = TrainingTimes({"lstm": Range(10, 20, 40), "nb_svm": Range(4, 4, 4)}, "")
    # Each of five resamples trains the network and the baseline once: 5 x (20 + 4) / 2.
    assert resample_seconds(times, ["lstm", "m:f"], resamples=5, workers=2) == (35, 60, 110)

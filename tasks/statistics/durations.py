"""Expected duration of a comparison, from the training times of an earlier run or from published ones.

Times of another machine are divided by the time of a fixed matrix product there, and multiplied by its time here
(`tasks.training.probe`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pandas as pd

from tasks.config.labels import BASELINE_NAMES
from tasks.statistics.planning import Range

# Seconds of a run outside of the training phase and for starting its processes (docs/experiments/2026-11-26-speed.md).
FIXED_SECONDS = 20.0
DEFAULT_WORKERS = 2
# Seconds of one seed with the default recipe and `PUBLISHED_REVIEWS` training reviews on two quiet cores
# (README.md; the second line scaled from docs/benchmarks.md to the time of the LSTM), and of the probe on this machine:
# one product of two 768 x 768 matrices at 128 GFLOP/s.
PUBLISHED_SECONDS = {
    "simple_rnn": 8.0, "lstm": 21.0, "stacked_lstm": 37.0, "bidirectional_lstm": 39.0, "deep_lstm": 55.0,
    "gru": 17.0, "bidirectional_gru": 29.0, "lstm_attention": 22.0, "cnn": 19.0,
    "majority": 0.0, "tfidf_logistic": 6.0, "nb_svm": 5.0, "averaged_embeddings": 6.0,
}  # fmt: skip
PUBLISHED_PROBE, PUBLISHED_REVIEWS = 0.0071, 15_993
# Factor between the limits of an expected time and the time itself: how busy the machine is decides it.
SAME_MACHINE, OTHER_MACHINE = 1.25, 2.0


@dataclass(frozen=True)
class TrainingTimes:
    """Expected seconds of one training.

    Attributes:
        seconds: Architecture or baseline to its seconds with their limits.
        source: Where they come from, in words.
    """

    seconds: Mapping[str, Range]
    source: str


def measured_times(trials: pd.DataFrame, train_reviews: int, source: str, probe: float | None = None) -> TrainingTimes:
    """Return the training times of an earlier run.

    Args:
        trials: Columns architecture, train_seconds and, where they are known, train_reviews and probe_seconds.
        train_reviews: Number of training reviews of the planned run, to which the times are proportional.
        source: Where they come from, in words.
        probe: Seconds of the probe on this machine, if the run was on another one; None if it was on this one.
    """
    seconds = trials["train_seconds"].astype(float)
    if "train_reviews" in trials:
        seconds = seconds * train_reviews / trials["train_reviews"].clip(lower=1)
    factor = SAME_MACHINE if probe is None else OTHER_MACHINE
    if probe is not None:
        measured = trials["probe_seconds"] if "probe_seconds" in trials else float("nan")
        seconds = seconds * probe / measured
    groups = seconds[seconds.notna()].groupby(trials["architecture"].astype(str))
    times = {str(name): Range(values.min() / factor, values.median(), values.max() * factor) for name, values in groups}
    return TrainingTimes(times, source)


def published_times(train_reviews: int, probe: float, source: str) -> TrainingTimes:
    """Return the published training times, scaled to this machine.

    Args:
        train_reviews: Number of training reviews of the planned run.
        probe: Seconds of the probe on this machine.
        source: Where they come from, in words.
    """
    scale = train_reviews / PUBLISHED_REVIEWS * probe / PUBLISHED_PROBE
    times = {
        name: Range(scale * value / OTHER_MACHINE, scale * value, scale * value * OTHER_MACHINE)
        for name, value in PUBLISHED_SECONDS.items()
    }
    return TrainingTimes(times, source)


def run_seconds(times: TrainingTimes, architectures: Collection[str], seeds: int, workers: int) -> Range:
    """Return the expected seconds of a run that finds nothing in the cache, with its limits.

    Args:
        times: Seconds of one training. Architectures without a time are left out.
        architectures: Networks of the run; the baselines are added.
        seeds: Number of seeds of each network.
        workers: Number of worker processes.
    """
    counts = dict.fromkeys(architectures, seeds) | dict.fromkeys(BASELINE_NAMES, 1)
    known = {name: count for name, count in counts.items() if name in times.seconds}
    limits = []
    for index in range(3):
        total = sum(count * times.seconds[name][index] for name, count in known.items())
        longest = max((times.seconds[name][index] for name in known), default=0.0)
        limits.append(FIXED_SECONDS + max(total / workers, longest))
    return Range(*limits)


def search_seconds(times: TrainingTimes, architectures: Collection[str], configurations: int, workers: int) -> Range:
    """Return the expected seconds that a search adds to a run, as if each configuration took as long as one seed.

    Args:
        times: Seconds of one training. Architectures without a time are left out.
        architectures: Networks of the run.
        configurations: Number of configurations of each network.
        workers: Number of worker processes.
    """
    return _added_seconds(times, architectures, configurations, workers)


def resample_seconds(times: TrainingTimes, architectures: Collection[str], resamples: int, workers: int) -> Range:
    """Return the expected seconds that resamples of the training reviews add to a run; arguments as in `run_seconds`.

    Every network and baseline is trained once on each resample.
    """
    return _added_seconds(times, (*architectures, *BASELINE_NAMES), resamples, workers)


def _added_seconds(times: TrainingTimes, names: Collection[str], count: int, workers: int) -> Range:
    """Return the seconds of `count` trainings of each of some architectures and baselines, with their limits."""
    known = [name for name in names if name in times.seconds]
    return Range(*(count * sum(times.seconds[name][index] for name in known) / workers for index in range(3)))


def without_time(times: TrainingTimes, architectures: Collection[str]) -> list[str]:
    """Return the networks of which the training time is unknown."""
    return [name for name in architectures if name not in times.seconds]

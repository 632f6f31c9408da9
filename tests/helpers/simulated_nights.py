"""Simulated losses and training times of nightly runs, with measured seed variance (0.15 to 0.4 points)."""

import numpy as np

from tasks.nightly.alarm_detection import detect_alarms
from tasks.nightly.losses import LossHistory, quality_metrics

ARCHITECTURES = ["simple_rnn", "lstm", "stacked_lstm", "bidirectional_lstm", "deep_lstm"]
METRICS = quality_metrics()
STD = np.array([0.40, 0.15, 0.30, 0.15, 0.25]) / 100  # of the accuracy over seeds
FIRST_SEEDS = 3
FAILURE_POINTS = (3, 37)  # by which the accuracy of a failed seed is lower


def simulate_losses(
    seed: int, runs: int, *, distribution: str = "normal", failure_rate: float = 0.0, std: np.ndarray = STD
) -> np.ndarray:
    """Draw losses (runs, architectures, trials, metrics): four trials in the first nightly run, then one.

    Accuracy, F1, AUC and log-loss of a trial are correlated.

    Args:
        seed: Seed of the random numbers.
        runs: Number of nightly runs.
        distribution: "normal", "heavy" (t distribution with 4 degrees of freedom) or "skewed" (exponential, with the
            long tail on the bad side); all have the same variance.
        failure_rate: Share of the seeds that fail, in all metrics.
        std: Standard deviation of the accuracy over the seeds, (architectures,).
    """
    rng = np.random.default_rng(seed)
    shape = (runs, len(std), FIRST_SEEDS + 1, len(METRICS))
    draw = {
        "normal": rng.standard_normal,
        "heavy": lambda size: rng.standard_t(4, size) / np.sqrt(2),
        "skewed": lambda size: rng.exponential(size=size) - 1,
    }[distribution]
    noise = draw(shape)
    noise = np.sqrt(0.7) * noise[..., :1] + np.sqrt(0.3) * noise
    noise[..., 0] = noise[..., 0] / (np.sqrt(0.7) + np.sqrt(0.3))
    losses = noise * np.stack([std, std, 0.6 * std, 3 * std], axis=-1)[None, :, None]
    failed = rng.random(shape[:3]) < failure_rate
    points = rng.uniform(*FAILURE_POINTS, size=shape[:3]) / 100
    losses += (failed * points)[..., None] * np.array([1, 1, 1, 3])
    losses[1:, :, 1:] = np.nan
    return losses


def simulate_times(seed: int, runs: int, *, pace_std: float, correlation: float) -> np.ndarray:
    """Draw logarithms of times (runs, architectures, trials) on a machine whose pace wanders.

    The pace is common to all architectures of a nightly run, and correlated with that of the run before (an
    autoregressive process of the given standard deviation). Each time has a further noise of 5%.
    """
    rng = np.random.default_rng(seed)
    pace = np.zeros(runs)
    pace[0] = rng.normal(0, pace_std)
    for run in range(1, runs):
        pace[run] = correlation * pace[run - 1] + rng.normal(0, pace_std * np.sqrt(1 - correlation**2))
    times = pace[:, None, None] + rng.normal(0, 0.05, (runs, len(ARCHITECTURES), FIRST_SEEDS + 1))
    times[1:, :, 1:] = np.nan
    return times


def alarm_nights(losses: np.ndarray) -> set[int]:
    """Return the nightly runs that raise an alarm."""
    return {alarm.run for alarm in detect_alarms(LossHistory(losses, ARCHITECTURES, METRICS))}


def detects_drop(
    seed: int, within: int, drop_points: np.ndarray, architectures: slice | list[int] = slice(None), *,
    failed: bool = False, retrained: bool = False, runs: int = 20,
) -> bool:  # fmt: skip
    """Return whether a drop of accuracy and F1 after `runs` nightly runs raises an alarm within `within` runs.

    Args:
        seed: Seed of the random numbers.
        within: Number of nightly runs.
        drop_points: Points of the drop in each following nightly run.
        architectures: Architectures that are affected.
        failed: Whether a seed of one architecture fails, by 20 points, two runs before the drop.
        retrained: Whether all seeds are trained again in the first nightly run with the drop.
        runs: Number of nightly runs before the drop.
    """
    losses = simulate_losses(seed, runs + len(drop_points))
    if failed:
        losses[runs - 2, seed % len(ARCHITECTURES), 0] += 0.2 * np.array([1, 1, 1, 3])
    if retrained:
        losses[runs] = simulate_losses(1_000 + seed, 1)[0]
    for step, points in enumerate(drop_points):
        losses[runs + step, architectures, :, :2] += points / 100
    first = min((run for run in alarm_nights(losses) if run >= runs), default=runs + within)
    return first - runs < within


def detection_rate(
    within: int, drop_points: np.ndarray, architectures: slice | list[int] = slice(None), *,
    histories: int, failed: bool = False, retrained: bool = False,
) -> float:  # fmt: skip
    """Return the share of simulated histories in which a drop is detected, see `detects_drop`."""
    options = {"failed": failed, "retrained": retrained}
    return float(
        np.mean([detects_drop(seed, within, drop_points, architectures, **options) for seed in range(histories)])
    )

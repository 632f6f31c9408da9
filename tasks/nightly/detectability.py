"""What the check of a nightly run could test, and which deterioration it would detect.

The rates depend on how much the seeds of an architecture spread, on the number of earlier values and on how often seeds
fail, so they are computed for each architecture. The same test is applied to simulated nightly runs in which the
main metric is worse by a given amount, and whose seeds spread as those of the architecture were observed to. The level
is that of the first step of Holm's correction, and drift detection is not counted, so the rates are lower bounds if the
spread is right.
"""

import numpy as np
import pandas as pd

from tasks.config.metric_names import DEFAULT_METRIC
from tasks.nightly.alarm_detection import ALPHA, SPANS, RunCheck, check_runs
from tasks.nightly.alarm_table import quality_losses
from tasks.nightly.loss_comparison import Baseline, combine_architectures, compute_p_values, median
from tasks.nightly.losses import monitored

DROP = 2  # deterioration whose detection is estimated, as a multiple of the smallest one that raises an alarm
DRAWS = 2_000
COLUMNS = ["architecture", "tested", "earlier_values", "outliers", "spread", "detection_rate", "detection_rate_all"]


def examined_drop(metric: str) -> float:
    """Return the deterioration whose detection is estimated, in units of the metric: one point, or 0.04 nats."""
    return DROP * monitored(metric).min_deterioration


def detectability(networks: pd.DataFrame, metric: str = DEFAULT_METRIC) -> pd.DataFrame:
    """Return what the check of the last nightly run could test, by architecture, for the main metric.

    Args:
        networks: New trials of networks, as for `alarm_table`.
        metric: Main metric.

    Returns:
        Columns architecture, tested (whether there were new values and enough earlier ones), earlier_values (number,
        without outliers), outliers (number), spread (standard deviation of the earlier values without outliers,
        in units of the metric), detection_rate (probability that a drop (`examined_drop`) in this architecture
        is detected within three nightly runs with one new seed each) and detection_rate_all (that a drop in all
        architectures is detected in the same nightly run; the same for all rows). NaN where nothing is tested.
    """
    losses = quality_losses(networks, metric)
    checks = list(check_runs(losses))
    if not checks:
        return pd.DataFrame(columns=COLUMNS)
    check = checks[-1]
    earlier, column = check.earlier, losses.metrics.index(metric)
    overall = _rate_of_all(check, column, metric)
    rows = [
        [name, bool(np.isfinite(check.compared.p[row, column])), int(earlier.count[row, column]),
         int(earlier.outliers[row, column]), earlier.std[row, column], _rate_of_one(check, row, column, metric),
         overall]
        for row, name in enumerate(losses.architectures)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def _simulated(earlier: Baseline, rows: np.ndarray, column: int) -> tuple[Baseline, np.random.Generator]:
    """Return baselines with simulated means around 0, each (architectures, draws)."""
    rng = np.random.default_rng(0)
    shape = len(rows), DRAWS
    count, std = (np.broadcast_to(each[rows, column][:, None], shape) for each in (earlier.count, earlier.std))
    return Baseline(rng.normal(0, std / np.sqrt(count)), std, count, np.zeros_like(count)), rng


def _rate_of_one(check: RunCheck, row: int, column: int, metric: str) -> float:
    """Return the probability that a drop in one architecture is detected within three nightly runs."""
    if not check.earlier.tested[row, column]:
        return float("nan")
    tests = check.compared.p[:-1].size  # those of the last three runs; a single value is not tested alone
    earlier, rng = _simulated(check.earlier, np.array([row]), column)
    values = rng.normal(0, earlier.std[0], (5, DRAWS))
    values[2:] += examined_drop(metric)  # two nightly runs before the drop, and three after it
    detected = np.zeros(DRAWS, dtype=bool)
    for end in (4, 5):
        new = values[end - max(SPANS) : end, None]
        p_values = compute_p_values(new, earlier, check.failure_rate[row, column])
        large = median(new) - earlier.mean >= monitored(metric).min_deterioration
        detected |= (large & (p_values < ALPHA / 2 / tests))[0]
    return float(detected.mean())


def _rate_of_all(check: RunCheck, column: int, metric: str) -> float:
    """Return the probability that a drop in all architectures is detected in the same nightly run."""
    rows = np.flatnonzero(check.earlier.tested[:, column])
    if len(rows) < 2:
        return float("nan")
    tests = check.compared.p.shape[1] * len(SPANS)
    earlier, rng = _simulated(check.earlier, rows, column)
    new = rng.normal(examined_drop(metric), earlier.std)[None]
    p_values = compute_p_values(new, earlier, check.failure_rate[rows, column][:, None])
    combined = combine_architectures(p_values, np.ones_like(p_values, dtype=bool))
    large = median(new[0] - earlier.mean) >= monitored(metric).min_deterioration
    return float((large & (combined < ALPHA / 2 / tests)).mean())

"""More data or another architecture: scores after training on fractions of the training reviews."""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from tasks.evaluation.metrics import Floats
from tasks.evaluation.predictions import Panel, contributions, panel
from tasks.statistics.resampling import interval, noise, share_interval

METRIC = "accuracy"


def learning_curve(
    predictions: Mapping[float, pd.DataFrame], trials: pd.DataFrame, fixed: Collection[str]
) -> pd.DataFrame:
    """Score each architecture on test after each fraction of the training reviews.

    Args:
        predictions: Fraction to the frame predictions of its trials.
        trials: The trials of all fractions: columns architecture, train_fraction, train_reviews.
        fixed: Architectures without randomness, which have no seed noise.

    Returns:
        Columns architecture, fraction, train_reviews, mean, std, low, high (test accuracy in [0, 1], 95% interval over
        seeds and reviews), seeds; then gain, gain_low, gain_high: over the next smaller fraction, paired by seed and
        review (NaN for the smallest, or without a shared seed). Ordered by architecture, then fraction.
    """
    sizes = trials.groupby("train_fraction")["train_reviews"].max()
    panels = {fraction: panel(predictions[fraction], "test") for fraction in sorted(predictions)}
    given = {fraction: contributions(data)[METRIC] for fraction, data in panels.items()}
    rows = []
    before: dict[str, tuple[Panel, Floats]] = {}
    for fraction, data in panels.items():
        for name, table in zip(data.architectures, given[fraction], strict=True):
            row = {"architecture": name, "fraction": fraction, "train_reviews": int(sizes[fraction])}
            rows.append(row | _score(table[data.present[data.architectures.index(name)]], name in fixed)
                        | _gain(before.get(name), (data, table), name in fixed))  # fmt: skip
            before[name] = data, table
    return pd.DataFrame(rows).sort_values(["architecture", "fraction"], kind="stable", ignore_index=True)


def _score(table: Floats, fixed: bool) -> dict[str, float]:
    """Summarise a (seeds, reviews) table of right and wrong answers."""
    scores, mean = table.mean(axis=1), float(table.mean())
    of = noise(table, fixed_seeds=fixed and len(table) == 1)
    low, high = share_interval(mean, of, reviews=table.shape[1])
    std = float(scores.std(ddof=1)) if len(scores) > 1 else np.nan
    return {"mean": mean, "std": std, "low": low, "high": high, "seeds": len(scores)}


def _gain(before: tuple[Panel, Floats] | None, now: tuple[Panel, Floats], fixed: bool) -> dict[str, float]:
    """Compare a table with the one of the next smaller fraction, by their shared seeds."""
    unknown = {"gain": np.nan, "gain_low": np.nan, "gain_high": np.nan}
    if before is None:
        return unknown
    tables = [{seed: row for seed, row in zip(data.seeds, table, strict=True) if not np.isnan(row[0])}
              for data, table in (before, now)]  # fmt: skip
    shared = sorted(set(tables[0]) & set(tables[1]))
    if not shared:
        return unknown
    table = np.stack([tables[1][seed] - tables[0][seed] for seed in shared])
    gain = float(table.mean())
    low, high = interval(gain, noise(table, bounded=True, fixed_seeds=fixed and len(table) == 1))
    return {"gain": gain, "gain_low": low, "gain_high": high}

"""What trials on resamples of the training reviews say about other training reviews."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tasks.evaluation.metrics import LOWER_IS_BETTER
from tasks.statistics.evaluation_tables import Frames
from tasks.statistics.significance import INCONCLUSIVE, NOT_SIGNIFICANT
from tasks.statistics.training_sample import TOO_FEW_RESAMPLES


@dataclass(frozen=True)
class TrainingSamples:
    """What trials on resamples of the training reviews say about other training reviews.

    Attributes:
        resamples: Number of resamples.
        held: Architectures whose significant difference or equivalence to the recommended one also holds for other
            training reviews.
        not_held: Architectures for which this is not significant.
        not_tested: Architectures for which there are too few resamples with scores.
        best: Number of resamples on which the recommended architecture has the best validation score, or shares it.
        compared: Number of resamples on which any other architecture has a score.
        diverged: Architecture and number of its trials on resamples that diverged.
    """

    resamples: int
    held: tuple[str, ...]
    not_held: tuple[str, ...]
    not_tested: tuple[str, ...]
    best: int
    compared: int
    diverged: tuple[tuple[str, int], ...]


def training_samples(frames: Frames, best: str, metric: str) -> TrainingSamples | None:
    """Return what holds for other training reviews; None if there are no resamples of them.

    Args:
        frames: Frames of `tasks.statistics.comparison.compare`, and those of the trials on resamples.
        best: The recommended architecture.
        metric: Main metric.
    """
    if "training_pairs" not in frames:
        return None
    pairs, trials = frames["training_pairs"].query("metric == @metric"), frames["resampled_trials"]
    rows = pairs[((pairs["first"] == best) | (pairs["second"] == best))]
    rows = rows[~rows["claimed"].isin([NOT_SIGNIFICANT, INCONCLUSIVE])]
    others = rows["first"].where(rows["second"] == best, rows["second"])
    holds, untested = rows["verdict"] == rows["claimed"], rows["verdict"] == TOO_FEW_RESAMPLES
    diverged = trials[trials["status"] == "diverged"].groupby("architecture", sort=False).size()
    ranked_best, compared = _best_on_resamples(frames["resampled_scores"], best, metric)
    return TrainingSamples(
        resamples=int(trials["resample"].nunique()),
        held=tuple(others[holds].map(str)),
        not_held=tuple(others[~holds & ~untested].map(str)),
        not_tested=tuple(others[untested].map(str)),
        best=ranked_best,
        compared=compared,
        diverged=tuple((str(name), int(count)) for name, count in diverged.items()),
    )


def _best_on_resamples(scores: pd.DataFrame, best: str, metric: str) -> tuple[int, int]:
    """Count the resamples on which an architecture has the best validation score, and those with any other score."""
    validation = scores.query("split == 'validation' and metric == @metric")
    table = validation.pivot_table(index="resample", columns="architecture", values="value").round(12)
    table = table if metric not in LOWER_IS_BETTER else -table
    others = table.drop(columns=best, errors="ignore").max(axis=1).dropna()
    own = table[best].reindex(others.index) if best in table else pd.Series(np.nan, others.index)
    return int((own >= others).sum()), len(others)

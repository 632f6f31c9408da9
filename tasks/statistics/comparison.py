"""Is the difference real: scores with intervals, paired tests of every pair, what could have been found, rank groups.

What it takes to *claim* a difference stands in `pairs`. The best architecture is chosen on the validation reviews, and
the test reviews only report.
"""

from collections.abc import Collection

import numpy as np
import pandas as pd

from tasks.config.errors import UserError
from tasks.config.labels import BASELINE_NAMES
from tasks.evaluation.metrics import Floats
from tasks.evaluation.predictions import Panel, contributions, panel
from tasks.statistics.pairs import LEAST_SEEDS, compare_pairs
from tasks.statistics.power import power_frame, seeds_for_exact_test
from tasks.statistics.ranking import expected_validation, omnibus, rank_groups
from tasks.statistics.resampling import item_draws
from tasks.statistics.summary import summarise_panel


def compare(
    predictions: pd.DataFrame,
    trials: pd.DataFrame | None = None,
    *,
    metric: str = "accuracy",
    seed: int = 0,
    draws: int = 10_000,
    margin: float = 0.005,
    alpha: float = 0.05,
    deterministic: Collection[str] = BASELINE_NAMES,
) -> dict[str, pd.DataFrame]:
    """Compare all architectures on the test reviews, the best one chosen on the validation reviews.

    Args:
        predictions: Columns architecture, seed, split ("validation", "test"), review_id, label, probability.
        trials: Columns architecture, seed, and as known status, parameters, train_seconds and latency; None if unknown.
        metric: The main metric, on which claims are made.
        seed: Of the resampling.
        draws: Resamples of the two-level bootstrap.
        margin: Differences of scores in [0, 1] below it are practically nothing.
        alpha: The rate of false claims that is accepted, over all pairs together.
        deterministic: Architectures that give the same model with any seed; one seed of them is all there is to know.

    Returns:
        The frames setup, summary, pairs, power, omnibus, groups and expected.

    Raises:
        UserError: Where the predictions cannot be compared, or the metric is unknown.
    """
    panels = {split: panel(predictions, split) for split in ("validation", "test")}
    return compare_panels(
        panels, trials, metric=metric, seed=seed, draws=draws, margin=margin, alpha=alpha, deterministic=deterministic
    )


def compare_panels(
    panels: dict[str, Panel],
    trials: pd.DataFrame | None = None,
    *,
    metric: str = "accuracy",
    metrics: Collection[str] | None = None,
    seed: int = 0,
    draws: int = 10_000,
    margin: float = 0.005,
    alpha: float = 0.05,
    deterministic: Collection[str] = BASELINE_NAMES,
) -> dict[str, pd.DataFrame]:
    """Compare as `compare` does, from the panels of "validation" and "test", in some metrics or all (None)."""
    given = {split: contributions(data, metrics) for split, data in panels.items()}
    _refuse_incomparable(panels, given, metric)
    resampled = {s: resample(panels[s], given[s], draws=draws, seed=seed) for s in panels}
    summaries = [
        summarise_panel(panels[s], given[s], resampled[s], s, trials, deterministic, seed=seed) for s in panels
    ]  # fmt: skip
    pairs, noises = compare_pairs(
        panels["test"], given["test"], resampled["test"],
        metric=metric, margin=margin, alpha=alpha, deterministic=deterministic, seed=seed,
    )  # fmt: skip
    summary = pd.concat(summaries, ignore_index=True)
    setup = {
        "metric": metric, "alpha": alpha, "margin": margin, "pairs": len(noises), "least_seeds": LEAST_SEEDS,
        "seeds_for_exact_test": seeds_for_exact_test(alpha / max(len(noises), 1)), "draws": draws,
        "validation_reviews": len(panels["validation"].labels), "test_reviews": len(panels["test"].labels),
    }  # fmt: skip
    return {
        "setup": pd.DataFrame([setup]),
        "summary": summary,
        "pairs": pairs,
        "power": power_frame(
            pairs[pairs["metric"] == metric], noises, margin=margin, alpha=alpha, least_seeds=LEAST_SEEDS
        ),
        "omnibus": omnibus(panels["test"], given["test"][metric], metric),
        "groups": rank_groups(summary, pairs, trials, metric=metric),
        "expected": expected_validation(panels["validation"], given["validation"][metric], trials, metric=metric),
    }


def _refuse_incomparable(panels: dict[str, Panel], given: dict[str, dict[str, Floats]], metric: str) -> None:
    """Raise where the metric is unknown, or an architecture predicted one of the two splits alone."""
    if metric not in given["test"] or metric not in given["validation"]:
        raise UserError(f"Cannot compare by {metric!r}. These labels allow: {', '.join(given['test'])}.")
    unequal = set(panels["test"].architectures) ^ set(panels["validation"].architectures)
    if unequal:
        raise UserError(
            f"Only one of the splits validation and test is predicted by {', '.join(sorted(unequal))}. "
            "Predict both with every architecture, for the best is chosen on validation and reported on test."
        )


def resample(data: Panel, given: dict[str, Floats], *, draws: int, seed: int) -> dict[str, Floats]:
    """Resample the reviews for all trials and metrics at once: metric to (architectures, seeds, draws)."""
    stacked = np.concatenate([each[data.present] for each in given.values()])
    means = np.split(item_draws(stacked, draws=draws, seed=seed), len(given))
    found = {name: np.full((*data.present.shape, draws), np.nan) for name in given}
    for name, mean in zip(given, means, strict=True):
        found[name][data.present] = mean
    return found

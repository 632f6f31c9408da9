"""From what the cells left in the cache to all frames of a comparison."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from tasks import reuse, store
from tasks.baselines import BASELINES
from tasks.calibration import calibrate, reliabilities
from tasks.cells import history_file, predictions_file
from tasks.comparison import compare
from tasks.errors import UserError
from tasks.evaluation import classification_reports, confusion_matrices, evaluate, generalisation_gaps
from tasks.learning_curve import learning_curve
from tasks.panel import panel
from tasks.slices import confidently_wrong, disagreement, kinds_of_reviews, slice_scores

Frames = dict[str, pd.DataFrame]
LIBRARIES = ("numpy", "pandas", "pyarrow", "scipy", "scikit-learn", "statsmodels")


def kept_frames(cells: list[dict[str, Any]], reviews: str, folder: Path, say: Callable[[str], None]) -> Frames:
    """Return `all_frames`, found in the cache if the same cells were evaluated before by the same code.

    Args:
        cells: The facts of each cell.
        reviews: Name of the file of reviews in the cache.
        folder: The cache.
        say: Told of damage.
    """
    names = [Path(cell["weights"]).stem for cell in cells]
    files = [file(folder, name) for name in names for file in (history_file, predictions_file)]
    made_of = reuse.key(
        [all_frames], LIBRARIES, cells=cells, reviews=reviews, files=[store.checksum(file) for file in files]
    )

    def make() -> reuse.Files:
        return {name: store.parquet(frame) for name, frame in all_frames(cells, reviews, folder).items()}

    found = reuse.kept(folder / "evaluations" / f"evaluation-{made_of}.zip", make, say)
    return {name: pd.read_parquet(io.BytesIO(content)) for name, content in found.items()}


def all_frames(cells: list[dict[str, Any]], reviews: str, folder: Path) -> Frames:
    """Score every cell on validation and test, compare the architectures, and examine where they err.

    Args:
        cells: The facts of each cell.
        reviews: Name of the file of reviews in the cache.
        folder: The cache.

    Raises:
        UserError: If every network diverged.
    """
    frames = measured(collect(of_largest_fraction(cells), folder))
    frames |= over_fractions(cells, folder)
    frames |= compare(frames["predictions"], frames["cells"])
    return examined(frames, store.frame(folder / "reviews" / reviews))


def collect(cells: list[dict[str, Any]], folder: Path) -> Frames:
    """Read what the cells left in the cache `folder`, as the frames cells, history and predictions."""
    names = [Path(cell["weights"]).stem for cell in cells]
    histories = [store.frame(history_file(folder, name)) for name in names]
    predictions = [store.frame(predictions_file(folder, name)) for name in names]
    for frame in histories:
        frame.attrs = {}  # the facts of one cell; frames of several have none
    return {
        "cells": pd.DataFrame(cells),
        "history": pd.concat([frame for frame in histories if len(frame)], ignore_index=True),
        "predictions": pd.concat([frame for frame in predictions if len(frame)], ignore_index=True),
    }


def of_largest_fraction(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the cells that are compared, those trained on the most reviews.

    Raises:
        UserError: If every network diverged: then there is nothing to compare.
    """
    largest = max(cell["train_fraction"] for cell in cells)
    compared = [cell for cell in cells if cell["train_fraction"] == largest]
    if not any(cell["status"] == "finished" for cell in compared if cell["architecture"] not in BASELINES):
        raise UserError("Every training diverged: its loss stopped being a number. Try a smaller learning rate.")
    return compared


def over_fractions(cells: list[dict[str, Any]], folder: Path) -> Frames:
    """Score the cells of every fraction of the training reviews, as the frame learning_curve; none for one alone."""
    fractions = sorted({cell["train_fraction"] for cell in cells})
    if len(fractions) == 1:
        return {}
    predictions = {}
    for fraction in fractions:
        finished = (c for c in cells if c["train_fraction"] == fraction and c["status"] == "finished")
        frames = [store.frame(predictions_file(folder, Path(cell["weights"]).stem)) for cell in finished]
        predictions[fraction] = pd.concat(frames, ignore_index=True)
    return {"learning_curve": learning_curve(predictions, pd.DataFrame(cells), fixed=BASELINES)}


def measured(frames: Frames) -> Frames:
    """Add what follows from the cells' frames: scores, reports per class, confusion matrices, gaps."""
    predictions = frames["predictions"]
    return frames | {
        "scores": evaluate(predictions),
        "classes": classification_reports(predictions),
        "confusions": confusion_matrices(predictions),
        "gaps": generalisation_gaps(frames["history"], frames["cells"]),
    }


def examined(frames: Frames, reviews: pd.DataFrame) -> Frames:
    """Add how honest the probabilities are, and where and how together the architectures err on the test reviews."""
    test = panel(frames["predictions"], "test")
    return frames | {
        "calibration": calibrate(frames["predictions"]),
        "reliability": reliabilities(frames["predictions"]),
        "slices": slice_scores(test, kinds_of_reviews(reviews)),
        "disagreement": disagreement(test).rename_axis("architecture").reset_index(),
        "mistakes": confidently_wrong(test, reviews),
    }

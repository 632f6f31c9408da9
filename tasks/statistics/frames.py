"""From what the trials left in the cache to all frames of a comparison."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from tasks.config.errors import DamagedFileError, UserError
from tasks.config.escape import escape_terminal
from tasks.config.labels import BASELINE_NAMES
from tasks.evaluation.calibration import calibrate, reliabilities
from tasks.evaluation.error_analysis import confidently_wrong, disagreement, kinds_of_reviews, slice_scores
from tasks.evaluation.predictions import panel
from tasks.evaluation.scores import classification_reports, confusion_matrices, evaluate, generalisation_gaps
from tasks.statistics.comparison import compare
from tasks.statistics.learning_curve import learning_curve
from tasks.storage import cache, store
from tasks.storage.safe_files import SMALL_TABLE, TABLE, Kind, as_frame, check_columns, parquet_table
from tasks.storage.trials import history_file, predictions_file

Frames = dict[str, pd.DataFrame]
LIBRARIES = ("numpy", "pandas", "pyarrow", "scipy", "scikit-learn", "statsmodels")
# The columns of each table of an evaluation; learning_curve is there for several fractions only.
COLUMNS = {
    "trials": "architecture seed parameters train_seconds epochs best_epoch status train_reviews weights "
    "weights_sha256",
    "history": "architecture seed epoch split loss accuracy precision recall seconds",
    "predictions": "architecture seed review_id split label probability",
    "scores": "architecture seed split metric value",
    "classes": "architecture seed split class precision recall f1 support",
    "confusions": "architecture seed split label predicted count",
    "gaps": (
        "architecture seed best_epoch train_accuracy validation_accuracy accuracy_gap train_loss "
        "validation_loss loss_gap"
    ),
    "setup": "metric alpha margin pairs least_seeds seeds_for_exact_test draws validation_reviews test_reviews",
    "summary": (
        "architecture split metric mean std min max low high seeds diverged seed_variance item_variance "
        "bootstrap_low bootstrap_high note"
    ),
    "pairs": (
        "first second metric difference low high p p_holm p_sign_flip smallest_p verdict p_equivalent_holm "
        "seeds noise bootstrap_low bootstrap_high probability_first_better probability_low probability_high "
        "cliffs_delta d_z only_first only_second mcnemar_p seed_variance item_variance note"
    ),
    "power": "first second seeds level minimum_detectable power_one_point power_low power_high target seeds_needed",
    "omnibus": "test statistic p over note",
    "groups": (
        "architecture group best cheapest validation_mean test_mean difference low high verdict parameters "
        "latency_ms train_seconds"
    ),
    "expected": "architecture runs expected seconds",
    "calibration": (
        "architecture seed temperature threshold log_loss brier ece log_loss_scaled brier_scaled ece_scaled "
        "accuracy accuracy_threshold"
    ),
    "reliability": "architecture seed bin predicted observed low high reviews",
    "slices": "architecture slice accuracy low high reviews rest_accuracy p p_adjusted note",
    "disagreement": "architecture",
    "mistakes": "review_id label probability text",
    "learning_curve": "architecture fraction train_reviews mean std low high seeds gain gain_low gain_high",
}  # fmt: skip
TEXTS = {
    "architecture", "status", "weights", "weights_sha256", "split", "class", "metric", "first", "second", "verdict",
    "noise", "note", "test", "slice", "review_id", "text",
}  # fmt: skip
NEVER_EMPTY = {"trials", "history", "predictions", "scores", "setup", "summary", "groups", "calibration", "slices"}


def kept_frames(trials: list[dict[str, Any]], reviews: str, folder: Path, say: Callable[[str], None]) -> Frames:
    """Return `all_frames`, found in the cache if the same trials were evaluated before by the same code.

    Args:
        trials: The facts of each trial.
        reviews: Name of the file of reviews in the cache.
        folder: The cache.
        say: Told of damage.
    """
    names = [Path(trial["weights"]).stem for trial in trials]
    files = [file(folder, name) for name in names for file in (history_file, predictions_file)]
    made_of = cache.key(
        [all_frames], LIBRARIES, trials=trials, reviews=reviews, files=[store.checksum(file) for file in files]
    )

    def make() -> cache.Files:
        return {name: store.parquet(frame) for name, frame in all_frames(trials, reviews, folder).items()}

    path = folder / "evaluations" / f"evaluation-{made_of}.zip"
    read: Frames = {}

    def check(files: cache.Files) -> None:
        read.clear()
        read.update(checked_frames(files, path))
        if read["trials"]["weights"].tolist() != [trial["weights"] for trial in of_largest_fraction(trials)]:
            raise DamagedFileError(f"{escape_terminal(path)} is of other trials")

    cache.kept(path, make, say, check)
    return read


def checked_frames(files: cache.Files, path: Path) -> Frames:
    """Return the frames of an evaluation.

    Args:
        files: Parquet files by the frame's name.
        path: The archive that they are of, named in messages.

    Raises:
        DamagedFileError: If one is missing, or lacks columns or rows that an evaluation has.
    """
    if set(files) - {"learning_curve"} != set(COLUMNS) - {"learning_curve"}:
        raise DamagedFileError(f"{escape_terminal(path)} does not hold the tables of an evaluation")
    frames = {}
    for name, content in files.items():
        table = parquet_table(content, path, TABLE if name == "predictions" else SMALL_TABLE)
        check_columns(table, {column: _kind(column) for column in COLUMNS[name].split()}, path)
        if not len(table) and name in NEVER_EMPTY:
            raise DamagedFileError(f"{escape_terminal(path)} holds an empty table {name}")
        frames[name] = as_frame(table, path)
    return frames


def _kind(column: str) -> Kind:
    return "text" if column in TEXTS else "number"


def all_frames(trials: list[dict[str, Any]], reviews: str, folder: Path) -> Frames:
    """Score every trial on validation and test, compare the architectures, and examine where they err.

    Args:
        trials: The facts of each trial.
        reviews: Name of the file of reviews in the cache.
        folder: The cache.

    Raises:
        UserError: If every network diverged.
    """
    frames = measured(collect(of_largest_fraction(trials), folder))
    frames |= over_fractions(trials, folder)
    frames |= compare(frames["predictions"], frames["trials"])
    return examined(frames, store.frame(folder / "reviews" / reviews))


def collect(trials: list[dict[str, Any]], folder: Path) -> Frames:
    """Read what the trials left in the cache `folder`, as the frames trials, history and predictions."""
    names = [Path(trial["weights"]).stem for trial in trials]
    histories = [store.frame(history_file(folder, name)) for name in names]
    predictions = [store.frame(predictions_file(folder, name)) for name in names]
    for frame in histories:
        frame.attrs = {}  # the facts of one trial; frames of several have none
    return {
        "trials": pd.DataFrame(trials),
        "history": pd.concat([frame for frame in histories if len(frame)], ignore_index=True),
        "predictions": pd.concat([frame for frame in predictions if len(frame)], ignore_index=True),
    }


def of_largest_fraction(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the trials that are compared, those trained on the most reviews.

    Raises:
        UserError: If every network diverged: then there is nothing to compare.
    """
    largest = max(trial["train_fraction"] for trial in trials)
    compared = [trial for trial in trials if trial["train_fraction"] == largest]
    if not any(trial["status"] == "finished" for trial in compared if trial["architecture"] not in BASELINE_NAMES):
        raise UserError("Every training diverged: its loss stopped being a number. Try a smaller learning rate.")
    return compared


def over_fractions(trials: list[dict[str, Any]], folder: Path) -> Frames:
    """Score the trials of every fraction of the training reviews, as the frame learning_curve; none for one alone."""
    fractions = sorted({trial["train_fraction"] for trial in trials})
    if len(fractions) == 1:
        return {}
    predictions = {}
    for fraction in fractions:
        finished = (c for c in trials if c["train_fraction"] == fraction and c["status"] == "finished")
        frames = [store.frame(predictions_file(folder, Path(trial["weights"]).stem)) for trial in finished]
        predictions[fraction] = pd.concat(frames, ignore_index=True)
    return {"learning_curve": learning_curve(predictions, pd.DataFrame(trials), fixed=BASELINE_NAMES)}


def measured(frames: Frames) -> Frames:
    """Add what follows from the trials' frames: scores, reports per class, confusion matrices, gaps."""
    predictions = frames["predictions"]
    return frames | {
        "scores": evaluate(predictions),
        "classes": classification_reports(predictions),
        "confusions": confusion_matrices(predictions),
        "gaps": generalisation_gaps(frames["history"], frames["trials"]),
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

"""Evaluation of the trials of a run: all tables of its report, cached under a key of the trials and the code."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from tasks.config.errors import DamagedFileError, UserError
from tasks.config.escape import escape_terminal
from tasks.config.labels import BASELINE_NAMES
from tasks.config.metric_names import AUTO_METRIC, DEFAULT_METRIC
from tasks.evaluation.error_analysis import assign_slices, confident_errors, disagreement_matrix, score_slices
from tasks.evaluation.grouping import GROUP_COLUMN, add_groups
from tasks.evaluation.metrics import METRICS
from tasks.evaluation.predictions import Predictions, predictions_of_split
from tasks.evaluation.scores import generalization_gaps
from tasks.evaluation.trial_evaluation import load_or_compute_evaluation, trial_tables
from tasks.statistics.comparison import compare_splits
from tasks.statistics.evaluation_tables import Frames, parse_frames
from tasks.statistics.learning_curve import learning_curve
from tasks.statistics.main_metric import main_metric
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.slice_scores import slice_scores
from tasks.statistics.training_sample import compare_training_samples
from tasks.storage import store
from tasks.storage.archives import Files
from tasks.storage.cache import cache_key, load_or_compute
from tasks.storage.layout import evaluation_file, history_file, predictions_file, reviews_file
from tasks.storage.safe_parquet import as_frame
from tasks.storage.trial_records import TrialResult, select_compared
from tasks.storage.trials import PREDICTED_SPLITS

EVALUATION_LIBRARIES = ("numpy", "pandas", "pyarrow", "scipy", "scikit-learn", "statsmodels")


def load_or_compute_frames(
    trials: Sequence[TrialResult], reviews: str, folder: Path, metric: str = AUTO_METRIC
) -> Frames:
    """Return the tables of `compute_frames` from the cache, or compute and store them.

    Args:
        trials: Results of all trials.
        reviews: File name of the reviews in the cache.
        folder: Cache folder.
        metric: Main metric, or `AUTO_METRIC`.

    Raises:
        UserError: If every network diverged, or if the metric is not defined for the labels.
    """
    path = evaluation_file(folder, _evaluation_key(trials, reviews, folder, metric))

    compared, computed = select_compared_trials(trials), Frames()

    def compute() -> Files:
        computed.update(compute_frames(trials, reviews, folder, metric))
        # The predictions are in the files of the trials. They would be nearly all of the archive.
        return {name: store.parquet(frame) for name, frame in computed.items() if name != "predictions"}

    def parse(files: Files) -> Frames:
        frames = parse_frames(files, path)
        if frames["trials"]["weights"].tolist() != [trial.weights for trial in compared]:
            raise DamagedFileError(f"{escape_terminal(path)} belongs to other trials")
        if computed:
            predictions = computed["predictions"]
        else:
            stored = reviews_file(folder, reviews)
            without_texts = store.table(stored, columns=("review_id", "split", GROUP_COLUMN))
            predictions = read_predictions(compared, folder, as_frame(without_texts, stored))
        return {"trials": frames.pop("trials"), "history": frames.pop("history"), "predictions": predictions} | frames

    return load_or_compute(path, compute, parse)[0]


def _evaluation_key(trials: Sequence[TrialResult], reviews: str, folder: Path, metric: str) -> str:
    """Return the cache key of an evaluation: a hash of the trials, their files, the reviews, metric and code."""
    files = [file(folder, trial.name) for trial in trials for file in (history_file, predictions_file)]
    return cache_key(
        [compute_frames, parse_frames], EVALUATION_LIBRARIES, trials=[trial.model_dump() for trial in trials],
        reviews=reviews, metric=metric, files=[store.checksum(file) for file in files],
    )  # fmt: skip


def compute_frames(trials: Sequence[TrialResult], reviews: str, folder: Path, metric: str = AUTO_METRIC) -> Frames:
    """Score every trial on the validation and the test split, compare the architectures and analyze their errors.

    Args:
        trials: Results of all trials.
        reviews: File name of the reviews in the cache.
        folder: Cache folder.
        metric: Main metric, or `AUTO_METRIC`.

    Raises:
        UserError: If every network diverged, or if the metric is not defined for the labels.
    """
    compared = select_compared_trials(trials)
    texts = store.frame(reviews_file(folder, reviews))
    frames = read_trials(compared, folder, texts)
    frames["gaps"] = generalization_gaps(frames["history"], frames["trials"])
    stored = reviews_file(folder, reviews)
    frames |= trial_tables([load_or_compute_evaluation(trial, folder, stored) for trial in compared])
    splits = {split: predictions_of_split(frames["predictions"], split) for split in PREDICTED_SPLITS}
    options = ComparisonOptions(metric=metric, groups_known="group" in texts)
    frames |= compare_splits(splits, frames["trials"], options)
    options = replace(options, metric=main_metric(frames["setup"]).name)
    frames |= learning_curve_frames(trials, folder, texts, options.metric)
    frames |= training_sample_frames(trials, folder, stored, texts, splits["test"], frames, options)
    return frames | error_frames(splits["test"], texts, options.metric)


def trials_table(trials: Sequence[TrialResult]) -> pd.DataFrame:
    """Return the results of trials as a table, one row per trial."""
    return pd.DataFrame([trial.model_dump(exclude={"resample", "configuration"}) for trial in trials])


def read_trials(trials: Sequence[TrialResult], folder: Path, reviews: pd.DataFrame) -> Frames:
    """Read the files of trials from the cache folder, as the tables trials, history and predictions."""
    histories = [store.frame(history_file(folder, trial.name)) for trial in trials]
    return {
        "trials": trials_table(trials),
        "history": pd.concat([frame for frame in histories if len(frame)], ignore_index=True),
        "predictions": read_predictions(trials, folder, reviews),
    }


def read_predictions(trials: Sequence[TrialResult], folder: Path, reviews: pd.DataFrame) -> pd.DataFrame:
    """Read the predictions of trials from the cache folder as one table, in the order of the trials.

    Args:
        trials: Results of the trials.
        folder: Cache folder.
        reviews: Columns review_id, split, and cluster where it is known; the table has this column as well.
    """
    predictions = [store.frame(predictions_file(folder, trial.name)) for trial in trials]
    return add_groups(pd.concat([frame for frame in predictions if len(frame)], ignore_index=True), reviews)


def select_compared_trials(trials: Sequence[TrialResult]) -> list[TrialResult]:
    """Return the trials that are compared, see `select_compared`.

    Raises:
        UserError: If every network among them diverged, so there is nothing to compare.
    """
    compared = select_compared(trials)
    if not any(trial.status == "finished" for trial in compared if trial.architecture not in BASELINE_NAMES):
        raise UserError("Every training diverged: its loss became NaN or infinite. Try a smaller learning rate.")
    return compared


def learning_curve_frames(trials: Sequence[TrialResult], folder: Path, reviews: pd.DataFrame, metric: str) -> Frames:
    """Return the table learning_curve of all train fractions; no table if there is only one fraction."""
    trials = [trial for trial in trials if trial.resample == 0 and trial.configuration == 0]
    fractions = sorted({trial.train_fraction for trial in trials})
    if len(fractions) == 1:
        return {}
    predictions = {}
    for fraction in fractions:
        finished = (t for t in trials if t.train_fraction == fraction and t.status == "finished")
        frames = [store.frame(predictions_file(folder, trial.name)) for trial in finished]
        predictions[fraction] = add_groups(pd.concat(frames, ignore_index=True), reviews)
    table = trials_table(trials)
    return {"learning_curve": learning_curve(predictions, table, deterministic=BASELINE_NAMES, metric=metric)}


def training_sample_frames(
    trials: Sequence[TrialResult],
    folder: Path,
    file: Path,
    reviews: pd.DataFrame,
    test: Predictions,
    frames: Frames,
    options: ComparisonOptions,
) -> Frames:
    """Return the tables resampled_trials, resampled_scores, variance_components and training_pairs.

    Args:
        trials: Results of all trials.
        folder: Cache folder.
        file: The stored reviews.
        reviews: Their columns review_id, split, and cluster where it is known.
        test: Test predictions of the trials that are compared.
        frames: Tables summary and pairs of their comparison.
        options: Options of the comparison.

    Returns:
        No table if no trial was trained on a resample.
    """
    resampled = [trial for trial in trials if trial.resample]
    if not resampled:
        return {}
    table = trials_table(resampled)
    table.insert(1, "resample", [trial.resample for trial in resampled])
    diverged = Counter(trial.architecture for trial in resampled if trial.status == "diverged")
    predictions = read_resampled_predictions(resampled, folder, reviews)
    return {
        "resampled_trials": table,
        "resampled_scores": resampled_scores(resampled, folder, file),
        **compare_training_samples(test, predictions, frames, diverged, options),
    }


def read_resampled_predictions(
    trials: Sequence[TrialResult], folder: Path, reviews: pd.DataFrame
) -> Predictions | None:
    """Return the test predictions of trials on resamples, with the number of the resample in place of the seed.

    Returns:
        None if all trials diverged.
    """
    parts = []
    for trial in (trial for trial in trials if trial.status == "finished"):
        frame = store.frame(predictions_file(folder, trial.name))
        parts.append(frame[frame["split"] == "test"].assign(seed=trial.resample))
    return predictions_of_split(add_groups(pd.concat(parts, ignore_index=True), reviews), "test") if parts else None


def resampled_scores(trials: Sequence[TrialResult], folder: Path, reviews: Path) -> pd.DataFrame:
    """Return the scores of trials on resamples: columns architecture, resample, seed, split, metric, value."""
    rows = [
        (trial.architecture, trial.resample, trial.seed, *row)
        for trial in trials for row in load_or_compute_evaluation(trial, folder, reviews).scores
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["architecture", "resample", "seed", "split", "metric", "value"])


def error_frames(test: Predictions, reviews: pd.DataFrame, metric: str = DEFAULT_METRIC) -> Frames:
    """Return the tables slices, disagreement and mistakes, and slice_scores if the main metric is not accuracy.

    Args:
        test: Predictions of the test split.
        reviews: Columns review_id, split, text.
        metric: Main metric.
    """
    slices = assign_slices(reviews)
    scores = {} if metric == DEFAULT_METRIC else {"slice_scores": slice_scores(test, slices, METRICS[metric])}
    return scores | {
        "slices": score_slices(test, slices),
        "disagreement": disagreement_matrix(test).rename_axis("architecture").reset_index(),
        "mistakes": confident_errors(test, reviews),
    }

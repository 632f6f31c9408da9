"""Tables of an evaluation: their columns, and reading them from an archive.

The predictions are not in the archive. They are read from the files of the trials.
"""

from pathlib import Path

import pandas as pd

from tasks.config.errors import DamagedFileError
from tasks.config.escape import escape_terminal
from tasks.storage.archives import Files
from tasks.storage.safe_parquet import SMALL_TABLE, Kind, as_frame, check_columns, parquet_table

Frames = dict[str, pd.DataFrame]  # table name to table
# Tables that exist only if there are several train fractions, resamples of the training reviews, or another main metric
# than accuracy.
OPTIONAL_TABLES = {
    "learning_curve", "resampled_trials", "resampled_scores", "variance_components", "training_pairs", "slice_scores",
}  # fmt: skip
TABLE_COLUMNS = {
    "trials": "architecture seed parameters train_seconds cpu_seconds epochs best_epoch status train_reviews weights "
    "weights_sha256",
    "history": "architecture seed epoch split loss accuracy precision recall seconds",
    "scores": "architecture seed split metric value",
    "classes": "architecture seed split class precision recall f1 support",
    "confusions": "architecture seed split label predicted count",
    "gaps": (
        "architecture seed best_epoch train_accuracy validation_accuracy accuracy_gap train_loss "
        "validation_loss loss_gap"
    ),
    "setup": "metric alpha margin pairs min_seeds seeds_for_exact_test draws validation_reviews test_reviews "
    "validation_groups test_groups effective_test_groups groups_known design_effect metric_is_default",
    "summary": (
        "architecture split metric mean std min max low high seeds diverged seed_variance item_variance "
        "bootstrap_low bootstrap_high median iqm failed failed_seeds failure_rate_high mean_without_failed "
        "low_without_failed high_without_failed note design_effect"
    ),
    "pairs": (
        "first second metric difference low high p p_holm p_sign_flip smallest_p verdict p_equivalent_holm "
        "seeds noise bootstrap_low bootstrap_high probability_first_better probability_low probability_high "
        "cliffs_delta d_z only_first only_second mcnemar_p seed_variance item_variance "
        "first_failed second_failed note"
    ),
    "power": (
        "first second seeds level minimum_detectable_difference power_one_point power_low power_high target_difference "
        "seeds_needed"
    ),
    "omnibus": "test statistic p observations note",
    "groups": (
        "architecture group best cheapest validation_mean test_mean difference low high verdict parameters "
        "latency_ms train_seconds cpu_seconds"
    ),
    "expected": "architecture runs expected train_seconds cpu_seconds",
    "calibration": (
        "architecture seed temperature threshold log_loss brier ece log_loss_scaled brier_scaled ece_scaled "
        "accuracy accuracy_threshold note"
    ),
    "reliability": "architecture seed bin predicted observed low high reviews",
    "slices": "architecture slice accuracy low high reviews rest_accuracy p p_adjusted note",
    "slice_scores": "architecture slice score low high reviews rest_score p p_adjusted note",
    "disagreement": "architecture",
    "mistakes": "review_id label probability text",
    "resampled_trials": "architecture resample seed status parameters train_seconds train_reviews weights "
    "weights_sha256",
    "resampled_scores": "architecture resample seed split metric value",
    "variance_components": "architecture metric seed_variance training_variance item_variance resamples diverged",
    "training_pairs": (
        "first second metric difference low high p p_holm p_equivalent_holm verdict claimed resamples "
        "seed_variance training_variance item_variance first_diverged second_diverged"
    ),
    "learning_curve": "architecture fraction train_reviews mean std low high seeds gain gain_low gain_high",
}  # fmt: skip
TEXT_COLUMNS = {
    "architecture", "status", "weights", "weights_sha256", "split", "class", "metric", "first", "second", "verdict",
    "claimed", "failed_seeds", "noise", "note", "test", "slice", "review_id", "text",
}  # fmt: skip
NON_EMPTY_TABLES = {"trials", "history", "scores", "setup", "summary", "groups", "calibration", "slices"}


def parse_frames(files: Files, path: Path) -> Frames:
    """Return the tables of an evaluation, without the predictions.

    Args:
        files: Parquet files by table name.
        path: Archive of the files, named in messages.

    Raises:
        DamagedFileError: If a table, a column or the rows of a table that cannot be empty are missing.
    """
    if set(files) - OPTIONAL_TABLES != set(TABLE_COLUMNS) - OPTIONAL_TABLES or set(files) - set(TABLE_COLUMNS):
        raise DamagedFileError(f"{escape_terminal(path)} does not contain the tables of an evaluation")
    frames = {}
    for name, content in files.items():
        table = parquet_table(content, path, SMALL_TABLE)
        check_columns(table, {column: _kind(column) for column in TABLE_COLUMNS[name].split()}, path)
        if not len(table) and name in NON_EMPTY_TABLES:
            raise DamagedFileError(f"{escape_terminal(path)} contains an empty table {name}")
        frames[name] = as_frame(table, path)
    return frames


def _kind(column: str) -> Kind:
    return "text" if column in TEXT_COLUMNS else "number"

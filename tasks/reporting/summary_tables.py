"""Tables of scores and costs by architecture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from tasks.config.labels import in_display_order, label, label_in_sentence
from tasks.config.metric_names import METRIC_NAMES
from tasks.data.balance import is_imbalanced
from tasks.evaluation.metric_record import Metric
from tasks.evaluation.metrics import METRICS
from tasks.evaluation.scores import class_keys, generalization_gaps, rank_by_validation
from tasks.reporting.formatting import (
    Cell,
    FormattedNumber,
    TextTable,
    combine,
    format_intervals,
    format_number,
)
from tasks.statistics.evaluation_tables import Frames
from tasks.statistics.main_metric import main_metric
from tasks.storage.probabilities import count_classes

DEFAULT_CLASSES = class_keys(2)


@dataclass(frozen=True)
class ScoreColumn:
    """A column of the summary: split, metric, decimals, factor to the shown unit, and number of classes."""

    split: str
    metric: str
    digits: int = 2
    factor: float = 100
    classes: int = 2

    @property
    def header(self) -> str:
        """Header of the column, with its unit."""
        metric = label_in_sentence(self.metric, self.classes)
        return f"{label(self.split)} {metric}{' (%)' if self.factor == 100 else ''}"


def summary_table(frames: Frames) -> TextTable:
    """Tabulate one row per architecture: seeds, scores, parameters and training time.

    Args:
        frames: The frames scores and trials; groups with the ranking of a comparison, summary with the intervals and
            predictions if they exist.

    Returns:
        The table. Rows are in the order of the ranking by validation score; architectures without a score are last.
    """
    scores, trials = frames["scores"], frames["trials"]
    # The same order as in the verdict, also if scores are tied.
    main = main_metric(frames.get("setup")).name
    ranking = frames["groups"] if "groups" in frames else rank_by_validation(scores, trials, main)
    ranked = list(ranking["architecture"])
    names = [*ranked, *in_display_order(set(trials["architecture"]) - set(ranked))]
    columns = summary_columns(frames)
    rows: list[list[Cell]] = []
    for name in names:
        own_trials = trials[trials["architecture"] == name]
        cells = [format_score(frames, name, column) for column in columns]
        parameters, seconds = float(own_trials["parameters"].max()), float(own_trials["train_seconds"].mean())
        costs = [format_number(parameters, 0), format_number(seconds, 1)]
        rows.append([label(name), format_seed_count(own_trials), *cells, *costs])
    headers = [column.header for column in columns]
    return TextTable(["Architecture", "Seeds", *headers, "Parameters", "Training (s)"], rows)


def summary_columns(frames: Frames) -> list[ScoreColumn]:
    """Return the score columns of the summary: all metrics that are shown on the test split, the main one first.

    The last column is the main metric on the validation split, by which the architectures are ranked.
    """
    main, classes = main_metric(frames.get("setup")).name, class_count(frames)
    names = sorted(shown_metrics(frames), key=lambda name: name != main)
    return [*(score_column("test", name, classes) for name in names), score_column("validation", main, classes)]


def shown_metrics(frames: Frames) -> list[str]:
    """Return the metrics that a report shows: some of them only for imbalanced reviews, or as the main metric."""
    main, imbalanced = main_metric(frames.get("setup")).name, has_rare_class(frames)
    return [name for name in METRIC_NAMES if imbalanced or name == main or not METRICS[name].is_for_imbalance]


def score_column(split: str, metric: str, classes: int = 2) -> ScoreColumn:
    """Return the column of a metric; nats have three decimals."""
    factor = METRICS[metric].unit.factor
    return ScoreColumn(split, metric, digits=2 if factor == 100 else 3, factor=factor, classes=classes)


def format_score(frames: Frames, architecture: str, column: ScoreColumn) -> FormattedNumber:
    """Format one score of one architecture over its seeds, with its interval if it is known."""

    def select(frame: pd.DataFrame) -> pd.DataFrame:
        rows = (frame["architecture"] == architecture) & (frame["split"] == column.split)
        return frame[rows & (frame["metric"] == column.metric)]

    has_interval = "summary" in frames and column.split == "test"
    interval = select(frames["summary"]) if has_interval else None
    return format_seed_mean(select(frames["scores"])["value"], interval, column.digits, column.factor)


def format_seed_mean(values: pd.Series, interval: pd.DataFrame | None, digits: int, factor: float) -> FormattedNumber:
    """Format mean ± standard deviation [interval] of one metric over the seeds.

    Args:
        values: Scores of the seeds; NaN is ignored.
        interval: Columns low and high, at most one row, NaN without an interval; None if it is not known.
        digits: Number of decimals.
        factor: Factor to the shown unit.
    """
    known = values.dropna()
    pattern, numbers = "{}", [float(known.mean())]
    if len(known) > 1:
        pattern, numbers = "{} ± {}", [*numbers, float(known.std())]
    if len(known) and interval is not None and interval["low"].notna().any():
        pattern += "\n[{}, {}]"  # on its own line, so that the table fits on a page
        numbers += [float(interval[end].iloc[0]) for end in ("low", "high")]
    return combine(pattern, *(format_number(number, digits, factor) for number in numbers))


def format_seed_count(trials: pd.DataFrame) -> FormattedNumber:
    """Format the number of finished and diverged seeds of one architecture."""
    finished, count = int((trials["status"] == "finished").sum()), len(trials)
    text = str(finished) if finished == count else f"{finished} of {count} ({count - finished} diverged)"
    return FormattedNumber(text, text, finished)


def class_count(frames: Frames) -> int:
    """Return the number of classes; 2 without predictions, which tell it."""
    return count_classes(frames["predictions"].columns) if "predictions" in frames else 2


def has_rare_class(frames: Frames) -> bool:
    """Return whether the test reviews are so imbalanced that accuracy is misleading; False without predictions."""
    if "predictions" not in frames:
        return False
    predictions = frames["predictions"]
    labels = predictions.loc[predictions["split"] == "test", "label"]
    return len(labels) > 0 and is_imbalanced(labels, class_count(frames))


def class_table(reports: pd.DataFrame, classes: Sequence[str] = DEFAULT_CLASSES) -> TextTable:
    """Tabulate precision, recall and F1 of each class on the test reviews, averaged over the seeds.

    Args:
        reports: The frame classes: columns architecture, seed, split, class, precision, recall, f1, support.
        classes: Names of the classes.
    """
    class_names = dict(zip(class_keys(len(classes)), classes, strict=True))
    reports = reports[reports["split"] == "test"]
    means = reports.groupby(["architecture", "class"], sort=False)[["precision", "recall", "f1", "support"]].mean()
    rows: list[list[Cell]] = [
        [
            label(name),
            class_names[str(class_name)],
            *(format_number(100 * float(row[metric])) for metric in ("precision", "recall", "f1")),
            format_number(row["support"], 0),
        ]
        for name in in_display_order(reports["architecture"])
        for class_name, row in means.loc[name].iterrows()
    ]
    return TextTable(["Architecture", "Class", "Precision (%)", "Recall (%)", "F1 (%)", "Reviews"], rows)


def gap_table(history: pd.DataFrame, trials: pd.DataFrame) -> TextTable:
    """Tabulate training and validation accuracy at the epoch that is kept, averaged over the seeds."""
    gaps = generalization_gaps(history, trials)
    rows: list[list[Cell]] = []
    for name in in_display_order(gaps["architecture"]):
        own = gaps[gaps["architecture"] == name]
        means = [format_number(float(own[f"{split}_accuracy"].mean()), 2, 100) for split in ("train", "validation")]
        gap = format_number(100 * float(own["accuracy_gap"].mean()))
        if gap.value is not None:
            gap = replace(gap, text=f"{gap.value:+z.2f}")
        epochs = ", ".join(f"{epoch:.0f}" for epoch in own["best_epoch"])
        rows.append([label(name), *means, gap, FormattedNumber(epochs, epochs, float(own["best_epoch"].mean()))])
    header = ["Architecture", "Training accuracy (%)", "Validation accuracy (%)", "Gap (points)", "Epochs kept"]
    return TextTable(header, rows)


def cost_table(trials: pd.DataFrame, tuning: Mapping[str, FormattedNumber] | None = None) -> pd.DataFrame:
    """Tabulate the costs of each architecture, averaged over its seeds.

    Args:
        trials: Trials with their costs.
        tuning: CPU time of the search of each architecture; None without a search, which then has no column.

    Returns:
        One row per architecture. Floating-point operations are in 10^12 (TFLOP), memory in 10^6 bytes.
    """
    known = trials.assign(cpu_seconds=trials.get("cpu_seconds", float("nan")))
    means = known.groupby("architecture", sort=False).mean(numeric_only=True)
    columns = {
        "Parameters": means["parameters"].map(lambda value: format_number(value, 0)),
        "Training (s)": means["train_seconds"].map(lambda value: format_number(value, 1)),
        "CPU time (s)": means["cpu_seconds"].map(lambda value: format_number(value, 1)),
        "Training to the epoch kept (s)": means["best_seconds"].map(lambda value: format_number(value, 1)),
        "Training (TFLOP)": means["train_flops"].map(lambda value: format_number(value, 2, 1e-12)),
        "Latency, one review (ms)": _latencies(means),
        "Latency in a batch (ms per review)": means["batch_ms"].map(lambda value: format_number(value, 3)),
        "Peak memory (MB)": means["peak_memory_mb"].map(lambda value: format_number(value, 0)),
    }
    if tuning is not None:
        columns["Tuning, all configurations (CPU s)"] = means.index.map(tuning).to_series(means.index)
    return pd.DataFrame(columns).loc[in_display_order(means.index)].reset_index()


def _latencies(means: pd.DataFrame) -> list[FormattedNumber]:
    """Format the median latency of each row and, where they are known, the quartiles: `1.20 [1.10, 1.40]`."""
    known = means.reindex(columns=["latency_ms", "latency_q1_ms", "latency_q3_ms"])
    cells = [[format_number(value, 2) for value in row] for row in known.to_numpy().tolist()]
    return [median if low.value is None else combine("{} [{}, {}]", median, low, high) for median, low, high in cells]


def learning_curve_table(curve: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """Tabulate the test score by number of training reviews, and the change by the last step.

    Args:
        curve: Columns architecture, train_reviews, mean, low, high, gain, gain_low, gain_high.
        metric: Metric of the score.
    """
    unit = metric.unit
    points = curve.assign(value=format_intervals(curve, "mean", "low", "high", unit.factor))
    points = points.sort_values("train_reviews", kind="stable")
    table = points.pivot_table(
        index="architecture", columns="train_reviews", values="value", sort=False, aggfunc="first"
    )
    table.columns = pd.Index([f"{reviews:,} reviews" for reviews in table.columns])
    gains = format_intervals(curve.groupby("architecture").last(), "gain", "gain_low", "gain_high", unit.factor)
    header = f"{'Gain of' if metric.greater_is_better else 'Change by'} the last step ({unit.difference})"
    return table.assign(**{header: gains}).loc[in_display_order(table.index)].reset_index()

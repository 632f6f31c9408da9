"""Sections of the report: tables with a title and a note."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from tasks.config.metric_names import DEFAULT_METRIC
from tasks.evaluation.metric_record import NATS, PERCENT
from tasks.evaluation.metrics import METRICS
from tasks.reporting.comparison_tables import (
    EXCERPT_CHARACTERS,
    calibration_table,
    disagreement_table,
    error_table,
    omnibus_table,
    other_metrics_table,
    pair_table,
    slice_table,
    training_pair_table,
    unscaled_note,
    variance_table,
)
from tasks.reporting.confusion_table import CONFUSION_NOTE, confusion_table
from tasks.reporting.formatting import TextTable, text_table
from tasks.reporting.nightly_text import nightly_table
from tasks.reporting.summary_tables import (
    DEFAULT_CLASSES,
    class_table,
    cost_table,
    gap_table,
    learning_curve_table,
    shown_metrics,
)
from tasks.reporting.tuning_tables import (
    constants_note,
    crossing_table,
    sensitivity_note,
    sensitivity_table,
    tuning_costs,
    tuning_note,
    tuning_table,
)
from tasks.reporting.verdict_format import join_texts
from tasks.statistics.evaluation_tables import Frames
from tasks.statistics.main_metric import main_metric
from tasks.statistics.tuning import finished_configurations, has_tuning

CALIBRATION = (
    "Test reviews, mean over the seeds, before → after temperature scaling; accuracy with the threshold 0.5 → with the "
    "best threshold. Temperature and threshold are fitted on the validation reviews, and are 1 and 0.5 unless others "
    "are better in cross-validation."
)
MULTICLASS_CALIBRATION = (
    "Test reviews, mean over the seeds, before → after temperature scaling: one temperature for all classes, fitted on "
    "the validation reviews, which is 1 unless another one is better in cross-validation. The calibration error is "
    "that of the predicted label. The Brier score is the sum over the classes, from 0 to 2. The predicted label is the "
    "most probable one, so there is no threshold."
)
CROSSINGS = (
    "Where the lines of two architectures in the figure of the expected validation score cross: one is better with a "
    "smaller budget, the other with a larger one. A third architecture may be better than both. A crossing within the "
    "noise of the scores is no finding."
)
INTERVALS = "Intervals are 95% confidence intervals."
SLICES = f", predicted by the mean probability over the seeds. {INTERVALS[:-1]} and reflect sampling of reviews only."


@dataclass(frozen=True)
class Section:
    """A table of the report with its title and a note on how to read it."""

    title: str
    table: TextTable
    note: str = ""


def report_sections(frames: Frames, classes: Sequence[str] = DEFAULT_CLASSES) -> list[Section]:
    """Return the sections that follow the summary and the figures.

    Args:
        frames: Frames of an evaluation by name; nights and alarms if there are several nightly runs.
        classes: Names of the classes.
    """
    return [
        *score_sections(frames, classes),
        *tuning_sections(frames),
        *comparison_sections(frames),
        *error_sections(frames, classes),
        *nightly_sections(frames),
    ]


def score_sections(frames: Frames, classes: Sequence[str]) -> list[Section]:
    """Return the sections on scores by class, overfitting, cost, and the learning curve."""
    sections = [
        Section(
            "Precision, recall and F1 by class",
            class_table(frames["classes"], classes),
            "Test reviews, mean over the seeds.",
        ),
        Section(
            "Training and validation accuracy",
            gap_table(frames["history"], frames["trials"]),
            "At the epoch whose weights are kept, mean over the seeds. A large gap indicates overfitting.",
        ),
        Section(
            "Cost",
            text_table(cost_table(frames["trials"], tuning_costs(frames, frames["trials"]["architecture"]))),
            "Mean over the seeds. Training (TFLOP) is the number of floating-point operations of the training in 10¹². "
            "Latency is the median [quartiles] over up to 100 reviews, measured while another training runs.",
        ),
    ]
    if "learning_curve" in frames:
        table = text_table(learning_curve_table(frames["learning_curve"], main_metric(frames.get("setup"))))
        metric = main_metric(frames.get("setup"))
        note = f"{metric.header('Test')} after training on subsets of the training reviews. {INTERVALS}"
        sections.append(Section("Learning curve", table, note))
    return sections


def tuning_sections(frames: Frames) -> list[Section]:
    """Return the sections on the search: selected configurations, sensitivity, and crossing points; none without it."""
    tuning, metric = frames.get("tuning"), main_metric(frames.get("setup"))
    if tuning is None or not has_tuning(tuning):
        return []
    note = tuning_note(frames) + constants_note(tuning)
    sections = [Section("Tuning", tuning_table(frames), note)]
    if finished_configurations(tuning, metric).empty:
        return sections
    sections.append(Section("Tuning: sensitivity", sensitivity_table(tuning, metric), sensitivity_note(tuning, metric)))
    crossings = crossing_table(tuning, metric)
    note = CROSSINGS if crossings.rows else f"{CROSSINGS} No lines cross."
    return [*sections, Section("Tuning: crossing points", crossings, note)]


def comparison_sections(frames: Frames) -> list[Section]:
    """Return the sections on pairwise comparisons, omnibus tests and sources of variance."""
    metric = main_metric(frames["setup"])
    others = [name for name in shown_metrics(frames) if name != metric.name]
    return [
        Section(
            f"Pairwise comparison of test {metric.text}",
            text_table(pair_table(frames["pairs"], metric.name)),
            f"Difference is first minus second, in {metric.unit.long_difference}.{metric.direction} The result is "
            "based on p (Holm), the p-value of a paired t test with seed and review variance, after Holm’s correction "
            "over all pairs; intervals are not corrected. The other tests and the effect sizes do not affect the "
            "result.",
        ),
        Section(
            "Pairwise comparison of other metrics",
            text_table(other_metrics_table(frames["pairs"], others)),
            f"Difference is first minus second{describe_units(others)}. {INTERVALS} "
            f"A difference is significant only if the difference in {metric.text} is significant as well.",
        ),
        Section(
            "Omnibus tests",
            text_table(omnibus_table(frames["omnibus"])),
            "Null hypothesis: all architectures are equally good. Cochran’s Q compares the share of correct "
            f"predictions on the test reviews; Friedman’s test compares the {metric.text} of the shared seeds.",
        ),
        *variance_sections(frames),
    ]


def describe_units(metrics: Sequence[str]) -> str:
    """Return the units of differences in some metrics, as the end of a sentence."""
    other = [METRICS[name].text for name in metrics if METRICS[name].unit != PERCENT]
    if not other:
        return f", in {PERCENT.long_difference}"
    return f": {join_texts(other)} in {NATS.long_difference}, other metrics in {PERCENT.long_difference}"


def variance_sections(frames: Frames) -> list[Section]:
    """Return the section on sources of variance and, with resamples, that on differences with all of them."""
    metric = main_metric(frames["setup"])
    unit = metric.unit.long_difference
    note = f"Standard deviation of the test {metric.text} of a single run, in {unit}."
    if "variance_components" not in frames:
        return [Section("Sources of variance", text_table(variance_table(frames["summary"], metric.name)), note)]
    components, pairs = frames["variance_components"], frames["training_pairs"]
    return [
        Section(
            "Sources of variance",
            text_table(variance_table(frames["summary"], metric.name, components)),
            f"{note} That of the training reviews is estimated from models that were trained on bootstrap resamples of "
            "them. With five resamples, an estimate may be wrong by a factor of two.",
        ),
        Section(
            "Differences with other training reviews",
            text_table(training_pair_table(frames["pairs"], pairs, metric.name)),
            f"Difference in test {metric.text}, first minus second, in {unit}. The first interval is about models "
            "that are trained on the training reviews of this run: it contains the variance of seeds and test reviews. "
            "The second one also contains the variance of training reviews.",
        ),
    ]


def error_sections(frames: Frames, classes: Sequence[str]) -> list[Section]:
    """Return the sections on calibration, accuracy by slice, disagreement and misclassified reviews."""
    return [
        *slice_sections(frames),
        Section(
            "Calibration",
            text_table(calibration_table(frames["calibration"])),
            f"{CALIBRATION if len(classes) == 2 else MULTICLASS_CALIBRATION}{unscaled_note(frames['calibration'])}",
        ),
        Section(
            "Test accuracy by slice",
            text_table(slice_table(frames["slices"], METRICS[DEFAULT_METRIC])),
            f"{METRICS[DEFAULT_METRIC].header('Test')}{SLICES}",
        ),
        Section(
            "Disagreement between architectures",
            text_table(disagreement_table(frames["disagreement"])),
            "Share of test reviews (%) with different predicted labels, by the mean probability over the seeds.",
        ),
        *confusion_sections(frames, classes),
        misclassified_section(frames["mistakes"], classes),
    ]


def slice_sections(frames: Frames) -> list[Section]:
    """Return the section on the main metric by slice; none if it is accuracy, which has its own section."""
    if "slice_scores" not in frames:
        return []
    metric = main_metric(frames["setup"])
    table = slice_table(frames["slice_scores"].rename(columns={"score": metric.name}), metric)
    return [
        Section(f"Test {metric.text} by slice", text_table(table), f"{metric.header('Test')}{SLICES}{metric.direction}")
    ]


def confusion_sections(frames: Frames, classes: Sequence[str]) -> list[Section]:
    """Return the section on the most frequent confusions; none for two classes, which have one kind each."""
    if len(classes) == 2:
        return []
    return [Section("Most frequent confusions", confusion_table(frames["confusions"], classes), CONFUSION_NOTE)]


def misclassified_section(mistakes: pd.DataFrame, classes: Sequence[str]) -> Section:
    """Return the section on the reviews that every trial misclassifies."""
    note = (
        f"Most confident predictions first, at most {EXCERPT_CHARACTERS} characters of each review. Probabilities are "
        "means over all trials."
    )
    table = text_table(error_table(mistakes, classes))
    return Section("Reviews that every trial misclassifies", table, note if len(mistakes) else "There are none.")


def nightly_sections(frames: Frames) -> list[Section]:
    """Return the section on the nightly runs; none if there are fewer than two."""
    if "nights" not in frames or frames["nights"]["night"].nunique() < 2:
        return []
    metric = main_metric(frames.get("setup"))
    note = f"Mean {metric.header('test')} of all seeds so far ± half the width of its 95% confidence interval."
    return [Section("Nightly runs", text_table(nightly_table(frames, metric.unit)), note)]

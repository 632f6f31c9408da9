"""Tables of the statistical comparison, of calibration and of errors."""

import textwrap
from collections.abc import Collection, Sequence
from functools import partial

import pandas as pd

from tasks.config.labels import in_display_order, label
from tasks.evaluation.metric_record import Metric, Unit
from tasks.evaluation.metrics import METRICS
from tasks.figures.verdict_labels import verdict_label
from tasks.reporting.formatting import (
    FormattedNumber,
    combine,
    format_interval,
    format_intervals,
    format_number,
    format_p_value,
    format_percentages,
    pivot_architectures,
)
from tasks.reporting.summary_tables import DEFAULT_CLASSES

EXCERPT_CHARACTERS, LINE_CHARACTERS = 300, 90


def pair_table(pairs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Tabulate difference, tests and effect sizes of each pair in one metric; the majority class is left out.

    Args:
        pairs: The frame pairs.
        metric: The metric; differences are in its unit.
    """
    factor = METRICS[metric].unit.factor
    rows = pairs[(pairs["metric"] == metric) & _without_majority(pairs)]
    columns = {
        "first": rows["first"],
        "second": rows["second"],
        "Difference [95% interval]": format_intervals(rows, "difference", "low", "high", factor),
        "p (Holm)": rows["p_holm"].map(format_p_value),
        "Result": rows["verdict"].map(verdict_label),
        "p, sign-flip test": rows["p_sign_flip"].map(format_p_value),
        "Smallest possible p, sign-flip test": rows["smallest_p"].map(format_p_value),
        "p, McNemar": rows["mcnemar_p"].map(format_p_value),
        "P(first better) (%)": format_intervals(
            rows, "probability_first_better", "probability_low", "probability_high"
        ),
        "Cliff's delta": rows["cliffs_delta"].map(lambda value: format_number(value, 2)),
        "Effect size d_z": rows["d_z"].map(lambda value: format_number(value, 2)),
        "Shared seeds": rows["seeds"],
    }
    return pd.DataFrame(columns)


def other_metrics_table(pairs: pd.DataFrame, metrics: Collection[str]) -> pd.DataFrame:
    """Tabulate differences and results of each pair in several metrics, one column per metric.

    Args:
        pairs: The frame pairs.
        metrics: The metrics.
    """
    rows = pairs[pairs["metric"].isin(metrics) & _without_majority(pairs)]
    factors = rows["metric"].map(lambda name: METRICS[name].unit.factor)
    values = zip(*(rows[name] for name in ("difference", "low", "high")), factors, strict=True)
    intervals = [format_interval(*value, factor=factor) for *value, factor in values]
    cells = [
        combine("{}\n{}", interval, verdict_label(verdict))
        for interval, verdict in zip(intervals, rows["verdict"], strict=True)
    ]
    table = rows.assign(value=pd.Series(cells, rows.index, dtype=object)).pivot_table(
        index=["first", "second"], columns="metric", values="value", sort=False, aggfunc="first"
    )
    return table.reset_index().rename_axis(columns=None)


def _without_majority(pairs: pd.DataFrame) -> pd.Series:
    return (pairs[["first", "second"]] != "majority").all(axis=1)


def omnibus_table(omnibus: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the tests of whether any two architectures differ."""
    return omnibus.assign(p=omnibus["p"].map(format_p_value)).rename(columns={"p": "p-value"})


def variance_table(summary: pd.DataFrame, metric: str, components: pd.DataFrame | None = None) -> pd.DataFrame:
    """Tabulate the standard deviation of a single run's test score, by source.

    Args:
        summary: The frame summary.
        metric: Metric of the score.
        components: The frame variance_components; None without resamples of the training reviews.
    """
    rows = summary.query("split == 'test' and metric == @metric").set_index("architecture")
    format_std = partial(_standard_deviations, unit=METRICS[metric].unit)
    columns = {"Seed": format_std(rows["seed_variance"])}
    if components is not None:
        own = components.query("metric == @metric").set_index("architecture").loc[rows.index]
        columns |= {"Training reviews": format_std(own["training_variance"]), "Resamples": own["resamples"]}
    columns |= {"Sampling of test reviews": format_std(rows["item_variance"]), "Note": rows["note"]}
    return pd.DataFrame(columns).loc[in_display_order(rows.index)].reset_index()


def _standard_deviations(variances: pd.Series, unit: Unit) -> pd.Series:
    return variances.map(lambda value: format_number(value**0.5, unit.digits, unit.factor))


def training_pair_table(pairs: pd.DataFrame, training_pairs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Tabulate the differences in one metric with and without the variance between training reviews.

    Args:
        pairs: The frame pairs.
        training_pairs: The frame training_pairs.
        metric: The metric.

    Returns:
        One row per pair without the majority class, in the unit of the metric.
    """
    factor = METRICS[metric].unit.factor
    keys = ["first", "second", "metric"]
    rows = training_pairs.merge(pairs[[*keys, "low", "high"]], on=keys, how="left", suffixes=("", "_without"))
    rows = rows[(rows["metric"] == metric) & _without_majority(rows)]
    columns = {
        "first": rows["first"],
        "second": rows["second"],
        "Difference [95% interval]": format_intervals(rows, "difference", "low_without", "high_without", factor),
        "Result": rows["claimed"].map(verdict_label),
        "With other training reviews [95% interval]": format_intervals(rows, "difference", "low", "high", factor),
        "p (Holm), with other training reviews": rows["p_holm"].map(format_p_value),
        "Result, with other training reviews": rows["verdict"].map(verdict_label),
        "Shared resamples": rows["resamples"],
    }
    return pd.DataFrame(columns)


def calibration_table(calibration: pd.DataFrame) -> pd.DataFrame:
    """Tabulate calibration on the test reviews as "before → after", averaged over the seeds."""
    means = calibration.groupby("architecture", sort=False).mean(numeric_only=True)

    def change(before: str, after: str, digits: int, factor: float = 1) -> list[FormattedNumber]:
        return [
            combine("{} → {}", format_number(a, digits, factor), format_number(b, digits, factor))
            for a, b in zip(means[before], means[after], strict=True)
        ]

    columns = {
        "Temperature": means["temperature"].map(lambda value: format_number(value, 2)),
        "Log-loss": change("log_loss", "log_loss_scaled", 4),
        "Brier score": change("brier", "brier_scaled", 4),
        "Calibration error (points)": change("ece", "ece_scaled", 2, 100),
    }
    if means["threshold"].notna().any():  # that of more than two classes is not fitted
        columns["Threshold"] = means["threshold"].map(lambda value: format_number(value, 3))
        columns["Accuracy (%)"] = change("accuracy", "accuracy_threshold", 2, 100)
    return pd.DataFrame(columns, index=means.index).loc[in_display_order(means.index)].reset_index()


def unscaled_note(calibration: pd.DataFrame) -> str:
    """Return a sentence on the trials of which the temperature is 1, by reason; nothing if there are none."""
    seeds = calibration.groupby("architecture")["seed"].size()
    reasons = []
    for note, rows in calibration[calibration["note"] != ""].groupby("note", sort=False):
        counts = rows.groupby("architecture")["seed"].size()
        names = [
            label(name) if counts[name] == seeds[name] else f"{label(name)} ({counts[name]} of {seeds[name]} seeds)"
            for name in in_display_order(counts.index)
        ]
        reasons.append(f"{', '.join(names)} ({note})")
    return f" A temperature of 1 leaves the probabilities as they are: {'; '.join(reasons)}." if reasons else ""


def slice_table(slices: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """Tabulate the score by slice, one column per architecture; the majority class is left out.

    Args:
        slices: Columns architecture, slice, reviews, low, high, and the score, named after the metric.
        metric: Metric of the score.
    """
    rows = slices.query("architecture != 'majority'")
    names = rows["slice"] + " (" + rows["reviews"].astype(str) + ")"
    cells = format_intervals(rows, metric.name, "low", "high", metric.unit.factor)
    table = pivot_architectures(rows.assign(slice=names, value=cells), rows="slice")
    return table.rename(columns={"slice": "Slice (reviews)"})


def disagreement_table(disagreement: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the share of test reviews with different predictions, in percent."""
    return format_percentages(disagreement.set_index("architecture")).reset_index()


def error_table(mistakes: pd.DataFrame, classes: Sequence[str] = DEFAULT_CLASSES) -> pd.DataFrame:
    """Tabulate the reviews that every trial misclassifies, with an excerpt of their text.

    Args:
        mistakes: Columns label, predicted (with more than two classes), probability, text; see `confident_errors`.
        classes: Names of the classes.
    """
    excerpts = mistakes["text"].str.slice(0, EXCERPT_CHARACTERS).map(lambda text: textwrap.fill(text, LINE_CHARACTERS))
    names, is_binary = dict(enumerate(classes)), len(classes) == 2
    predicted = 1 - mistakes["label"] if is_binary else mistakes["predicted"]
    columns = {
        "True label": mistakes["label"].map(names),
        "Predicted label": predicted.map(names),
        f"Probability of {classes[1] if is_binary else 'the predicted label'} (%)": mistakes["probability"].map(
            lambda p: format_number(float(p), 1, 100)
        ),
        "Review": excerpts,
    }
    return pd.DataFrame(columns)

"""Tables of a search: selected configurations with their budget, sensitivity, and crossing points."""

import math
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import pandas as pd

from tasks.config.labels import BASELINE_SEARCHES, label, label_in_sentence
from tasks.evaluation.metric_record import Metric
from tasks.reporting.formatting import Cell, FormattedNumber, TextTable, combine, format_number
from tasks.reporting.verdict_format import format_size, join_texts
from tasks.statistics.evaluation_tables import Frames
from tasks.statistics.main_metric import main_metric
from tasks.statistics.tuning import (
    chance_correlation,
    constant_parameters,
    crossing_points,
    finished_configurations,
    has_tuning,
    largest_parameter_correlation,
    parameter_correlations,
    pooled_seed_std,
    searched_parameters,
    tuning_curve,
    tuning_summary,
)

AXES = {"configurations": ("Configurations", 1), "cpu_seconds": ("CPU time (s)", 0)}  # header and decimals


def tuning_table(frames: Frames) -> TextTable:
    """Tabulate the budget, the selected configuration and its validation scores, one row per architecture.

    Args:
        frames: Frames tuning and scores, and setup if it exists.
    """
    tuning, metric = frames["tuning"], main_metric(frames.get("setup"))
    unit = metric.unit
    header = [
        "Architecture", "Configurations", "CPU time (s)", "Selected",
        f"Shared recipe → selected, in the search{_sign(metric)}", f"New seeds{_sign(metric)}",
        f"Improvement ({unit.difference})", f"Optimism ({unit.difference})", "Values of the selected configuration",
    ]  # fmt: skip
    rows: list[list[Cell]] = []
    for row in tuning_summary(tuning, frames["scores"], metric).to_dict("records"):
        shared, best, mean = (format_number(row[name], unit.digits, unit.factor) for name in ("shared", "best", "mean"))
        differences = [
            format_number(row[name], unit.digits, unit.factor, sign=True) for name in ("improvement", "optimism")
        ]
        rows.append(
            [label(row["architecture"]), format_trials(row), format_number(row["cpu_seconds"], 0),
             format_number(row["selected"], 0), combine("{} → {}", shared, best), mean, *differences,
             describe_selected(tuning, row)]
        )  # fmt: skip
    return TextTable(header, rows)


def _sign(metric: Metric) -> str:
    return f" ({metric.unit.sign})" if metric.unit.sign else ""


def format_trials(row: Mapping[Hashable, Any]) -> FormattedNumber:
    """Format the number of configurations, and of those without a score: `12 (1 diverged)`."""
    lost = ", ".join(f"{row[name]} {name}" for name in ("diverged", "failed") if row[name])
    text = f"{row['configurations']} ({lost})" if lost else str(row["configurations"])
    return FormattedNumber(text, text, float(str(row["configurations"])))


def describe_selected(tuning: pd.DataFrame, row: Mapping[Hashable, Any]) -> str:
    """Format the parameters of the selected configuration of a row of `tuning_summary`."""
    chosen = tuning[(tuning["architecture"] == row["architecture"]) & (tuning["configuration"] == row["selected"])]
    if chosen.empty:
        return "no configuration finished"
    values = chosen.iloc[0]
    return ", ".join(f"{label_in_sentence(name)} {values[name]:g}" for name in searched_parameters(tuning))


def constants_note(tuning: pd.DataFrame) -> str:
    """Return a sentence on the parameters that were not searched, after a space; nothing if there are none."""
    constants = [f"{label_in_sentence(name)} {value:g}" for name, value in constant_parameters(tuning).items()]
    return f" All configurations have {join_texts(constants)}." if constants else ""


def sensitivity_table(tuning: pd.DataFrame, metric: Metric) -> TextTable:
    """Tabulate the rank correlation of the validation score with each searched parameter, one row per architecture."""
    parameters, rows = searched_parameters(tuning), parameter_correlations(tuning, metric)
    cells: list[list[Cell]] = [
        [label(str(name)), *(format_number(value, 2, sign=True) for value in own["correlation"])]
        for name, own in rows.groupby("architecture", sort=False)
    ]
    return TextTable(["Architecture", *map(label, parameters)], cells)


def sensitivity_note(tuning: pd.DataFrame, metric: Metric) -> str:
    """Return how to read the sensitivity, and which correlations chance explains."""
    count = int(finished_configurations(tuning, metric).groupby("architecture").size().max())
    chance = ""
    if count > 3:
        chance = (
            f" With {count} configurations and no relation, one correlation in twenty is above "
            f"{chance_correlation(count):.2f} in size by chance."
        )
    between = largest_parameter_correlation(tuning)
    related = "" if math.isnan(between) else f" Parameters are correlated with each other as well, up to {between:.2f}."
    return (
        f"Rank correlation (Spearman) of the validation {metric.text} with each parameter over the configurations that "
        "finished. It finds monotonic relations only: a score that is best in the middle of a range has none. All "
        f"parameters change at once, and interactions are not shown.{chance}{related} The number of epochs is not "
        "searched: low learning rates and large batches may be worse only because they need more updates."
    )


def tuning_note(frames: Frames) -> str:
    """Return how to read the table of `tuning_table`, and how large the noise of its differences is.

    Args:
        frames: Frames tuning and scores, and setup if it exists.
    """
    metric = main_metric(frames.get("setup"))
    std = pooled_seed_std(tuning_summary(frames["tuning"], frames["scores"], metric))
    noise = "."
    if not math.isnan(std):
        noise = (
            f": the standard deviation over the new seeds is {format_size(std, metric.name)}, that of the difference "
            f"of two seeds {format_size(math.sqrt(2) * std, metric.name)}."
        )
    return (
        f"Validation {metric.text}. All networks tried the same configurations, with one seed each; the first one is "
        "the shared recipe. The lowest validation loss selects. Only the selected configuration is trained with new "
        "seeds, and only these trials are compared on test reviews. Improvement is the selected configuration minus "
        "the shared recipe in the search. Optimism is the score of the selected configuration in the search minus its "
        "mean over the new seeds. The best of several noisy losses was selected, so the optimism of the loss is "
        "positive on average; that of another metric may not be. Improvement and optimism contain the noise of single "
        f"seeds{noise} The mean over the new seeds is still that of the validation reviews that selected the "
        f"configuration; only test scores are free of the selection.{metric.direction}"
    )


def crossing_table(tuning: pd.DataFrame, metric: Metric) -> TextTable:
    """Tabulate the budgets at which another architecture becomes the better one of a pair, by both axes."""
    curve = tuning_curve(tuning, metric)
    rows: list[list[Cell]] = [
        [name, label(row["smaller"]), label(row["larger"]), format_number(row["budget"], digits)]
        for axis, (name, digits) in AXES.items()
        for row in crossing_points(curve, axis, metric).to_dict("records")
    ]
    return TextTable(["Budget", "Better below", "Better above", "Crossing"], rows)


def tuning_costs(frames: Frames, names: Iterable[str]) -> dict[str, FormattedNumber] | None:
    """Return the CPU time of the search of each architecture in seconds, as cells; None without a search.

    The search of a baseline is part of its own training. Networks without a search have 0.

    Args:
        frames: The frame tuning, if there was a search.
        names: Architectures and baselines.
    """
    tuning = frames.get("tuning")
    if tuning is None or not has_tuning(tuning):
        return None
    included = FormattedNumber("in training", "in training")
    seconds = tuning.groupby("architecture")["cpu_seconds"].sum(min_count=1)
    return {
        name: included if name in BASELINE_SEARCHES
        else format_number(seconds.get(name, 0.0), 1)
        for name in names
    }  # fmt: skip

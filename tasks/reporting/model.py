"""The report: its inputs, and its content in the form that the templates use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tasks.config.labels import in_display_order, label
from tasks.figures.rendered_figure import RenderedFigure
from tasks.reporting.formatting import TextTable, format_number
from tasks.reporting.sections import Section
from tasks.reporting.summary_tables import format_best, summary_table
from tasks.statistics.evaluation_tables import Frames
from tasks.storage.run_info import RunInfo


@dataclass(frozen=True)
class Report:
    """Inputs of a report.

    Attributes:
        info: Data set, settings and environment of the run.
        frames: Frames scores and trials, and further ones, which are stored as tables of the run.
        figures: Rendered figures, in their order.
        verdict: Sentences on the comparison.
        sections: Tables that follow the figures.
    """

    info: RunInfo
    frames: Frames
    figures: Sequence[RenderedFigure] = ()
    verdict: Sequence[str] = ()
    sections: Sequence[Section] = ()

    @cached_property
    def content(self) -> ReportContent:
        """Texts and tables that HTML, Markdown and the terminal have in common."""
        return report_content(self)


@dataclass(frozen=True)
class ReportContent:
    """Texts and tables of a report, as the templates use them.

    Attributes:
        info: Data set, settings and environment of the run.
        split_sizes: Sentences with the number of reviews of each split.
        verdict: Sentences on the comparison.
        verdict_note: When a difference is significant; empty without a comparison.
        best_sentence: Architecture with the highest validation accuracy, as a sentence.
        best: Its name; None if no architecture has a score.
        summary: One row per architecture.
        summary_note: How to read the summary.
        sections: Tables that follow the figures.
        architectures: Names of the architectures, in their order.
        duration: Duration of the run.
        seeds: Seeds of the trials.
        details: Title and properties by name of settings, versions and hardware.
    """

    info: RunInfo
    split_sizes: str
    verdict: Sequence[str]
    verdict_note: str
    best_sentence: str
    best: str | None
    summary: TextTable
    summary_note: str
    sections: Sequence[Section]
    architectures: Sequence[str]
    duration: str
    seeds: str
    details: Mapping[str, Mapping[str, str]]


def report_content(report: Report) -> ReportContent:
    """Return the texts and tables of a report."""
    info, trials = report.info, report.frames["trials"]
    summary = summary_table(report.frames)
    return ReportContent(
        info=info,
        split_sizes=" ".join(f"{label(split)}: {rows:,} reviews." for split, rows in info.rows.items()),
        verdict=report.verdict,
        verdict_note=verdict_note(report.frames),
        best_sentence=format_best(report.frames),
        best=str(summary.rows[0][0]) if summary.rows else None,
        summary=summary,
        summary_note=summary_note(intervals="summary" in report.frames),
        sections=report.sections,
        architectures=list(dict.fromkeys(map(label, in_display_order(trials["architecture"])))),
        duration=f"{format_number(info.seconds, 0)} seconds",
        seeds=", ".join(str(seed) for seed in sorted(trials["seed"].unique())),
        details={
            title: {name: format_value(value) for name, value in values.items()}
            for title, values in (
                ("Settings", info.settings),
                ("Versions", info.versions),
                ("Hardware", info.hardware),
            )
        },
    )


def format_value(value: object) -> str:
    """Format the value of a setting: a list as its items, and None as not set."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return "not set" if value is None else str(value)


def verdict_note(frames: Frames) -> str:
    """Return the definition of a significant difference; empty without the frame setup."""
    if "setup" not in frames:
        return ""
    setup = frames["setup"].iloc[0]
    return (
        f"A difference is significant if p ≤ {setup['alpha']:g} after Holm’s correction over all pairs. It is "
        f"inconclusive if the architectures share fewer than {setup['min_seeds']} seeds. Intervals are not corrected."
    )


def summary_note(*, intervals: bool) -> str:
    """Return the note on how to read the summary; `intervals` tells whether it contains confidence intervals."""
    interval = " [95% confidence interval]" if intervals else ""
    return (
        f"Scores are mean ± standard deviation over the seeds{interval}; a single seed has no standard deviation. Rows "
        "are ordered by validation accuracy; test scores do not affect the order. Lower log-loss is better. Training "
        "time is the mean per seed."
    )

"""The report: its inputs, and its content in the form that the templates use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tasks.config.labels import in_display_order, label
from tasks.evaluation.metrics import LOWER_IS_BETTER, METRICS
from tasks.figures.rendered_figure import RenderedFigure
from tasks.reporting.formatting import TextTable, format_number
from tasks.reporting.sections import Section
from tasks.reporting.summary_tables import class_count, summary_table
from tasks.reporting.verdict_format import join_texts, pluralize
from tasks.statistics.evaluation_tables import Frames
from tasks.statistics.main_metric import main_metric
from tasks.storage.run_info import RunInfo


@dataclass(frozen=True)
class Report:
    """Inputs of a report.

    Attributes:
        info: Data set, settings and environment of the run.
        frames: Frames scores and trials, and further ones, which are stored as tables of the run.
        figures: Rendered figures, in their order.
        verdict: The verdict, at most three sentences.
        sections: Tables that follow the figures.
        verdict_section: Table below the verdict with a note on how to read it; None without a comparison.
        limits: Sentences on limitations, such as differences that could not be detected, and what would resolve them.
        findings: Sentences on further findings.
        nightly: Sentences on the nightly runs.
    """

    info: RunInfo
    frames: Frames
    figures: Sequence[RenderedFigure] = ()
    verdict: Sequence[str] = ()
    sections: Sequence[Section] = ()
    verdict_section: Section | None = None
    limits: Sequence[str] = ()
    findings: Sequence[str] = ()
    nightly: Sequence[str] = ()

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
        verdict: The verdict, at most three sentences.
        verdict_section: Table below the verdict; None without a comparison.
        limits: Sentences on limitations, such as differences that could not be detected, and what would resolve them.
        findings: Sentences on further findings.
        nightly: Sentences on the nightly runs.
        best: Name of the architecture with the best validation score; None if no architecture has a score.
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
    verdict_section: Section | None
    limits: Sequence[str]
    findings: Sequence[str]
    nightly: Sequence[str]
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
        split_sizes=" ".join(f"{label(split)}: {pluralize(rows, 'review')}." for split, rows in info.rows.items()),
        verdict=report.verdict,
        verdict_section=report.verdict_section,
        limits=report.limits,
        findings=report.findings,
        nightly=report.nightly,
        best=str(summary.rows[0][0]) if summary.rows else None,
        summary=summary,
        summary_note=summary_note(report.frames),
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


def summary_note(frames: Frames) -> str:
    """Return the note on how to read the summary."""
    interval = " [95% confidence interval]" if "summary" in frames else ""
    metric, lower = (
        main_metric(frames.get("setup")),
        join_texts([METRICS[name].text for name in sorted(LOWER_IS_BETTER)]),
    )
    macro = "Macro scores are means over the classes, each against all others. " if class_count(frames) > 2 else ""
    return (
        f"Scores are mean ± standard deviation over the seeds{interval}; a single seed has no standard deviation. "
        f"{macro}Rows "
        f"are ordered by validation {metric.text}; test scores do not affect the order. Lower {lower} is better. "
        "Training time is the mean per seed and includes compiling the network, which takes most of it if there are "
        "few reviews."
    )

"""The task that writes the run directory and creates the artifacts of the report."""

import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from prefect import runtime, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.logging import get_run_logger

from tasks.config.escape import escape_markdown, escape_terminal
from tasks.config.labels import label_in_sentence
from tasks.config.metric_names import DEFAULT_METRIC
from tasks.data.records import EncodedDataset
from tasks.data.word_vectors import describe_vectors
from tasks.evaluation.metric_record import Metric
from tasks.evaluation.metrics import METRICS
from tasks.execution.prefect_api import ignore_api_errors
from tasks.figures.rendered_figure import RenderedFigure
from tasks.reporting.comparison_result import ComparisonResult
from tasks.reporting.figure_links import thumbnail_uri
from tasks.reporting.formatting import TextTable
from tasks.reporting.group_text import format_groups
from tasks.reporting.markdown import render_markdown
from tasks.reporting.model import Report
from tasks.reporting.nightly_text import format_nightly_summary
from tasks.reporting.run_directory import format_command, publish_run_dir, write_run
from tasks.reporting.sections import Section, report_sections
from tasks.reporting.verdict import FormattedVerdict, format_verdict
from tasks.reporting.verdict_table import TRAINING
from tasks.statistics.evaluation_tables import Frames
from tasks.statistics.main_metric import main_metric
from tasks.storage import atomic_files
from tasks.storage.backends import storage_of
from tasks.storage.environment import environment_info
from tasks.storage.layout import run_dir
from tasks.storage.partial_files import partial_path
from tasks.storage.run_info import RunInfo, VectorInfo
from tasks.tuning.table import selected_recipes

# Columns of the table below the verdict that fit into a line of a terminal, with shorter headers.
TERMINAL_COLUMNS = {0: "Architecture", 2: "Test ({unit})", 3: "Difference [95%]", 4: "Verdict"}
MAX_CELL_LENGTH = 40  # characters; a longer name is cut
BOX_WIDTH = 80  # characters of a line in a terminal


@task(name="report", task_run_name="report")
def publish(
    frames: Frames,
    figures: Sequence[RenderedFigure],
    encoded: EncodedDataset,
    settings: dict[str, Any],
    failures: dict[str, str],
    started: datetime,
    results: Path,
) -> ComparisonResult:
    """Write the run directory and create the artifacts.

    Args:
        frames: Frames of the evaluation, the search and the nightly runs, by name.
        figures: The figures, in the order of the report.
        encoded: Encoded data set of the compared trials.
        settings: Parameters of the run by name, as JSON values.
        failures: Reason by the name of each failed trial, or of each architecture whose search failed.
        started: Start time of the run, with a time zone.
        results: The results folder.

    Returns:
        The result of the comparison.
    """
    dataset = encoded.dataset
    verdict = format_verdict(frames, dataset.classes, class_weights=settings.get("class_weights"))
    failed = [f"{name} failed and is missing: {reason}" for name, reason in failures.items()]
    notes = format_fraction_caveat(encoded.train_fraction, dataset.rows["train"]) + describe_vectors(encoded.vectors)
    caveats = [*dataset.caveats, *format_groups(frames["setup"]), *notes, *failed]
    metric = main_metric(frames["setup"])
    info = create_run_info(encoded, settings, metric.name, caveats, started)
    info = info.model_copy(update={"recipes": selected_recipes(frames["tuning"], info.recipe())})
    report = create_report(info, frames, figures, verdict, [*notes, *failed])
    directory = write_run_dir(report, results)
    create_artifacts(report, directory)
    page = directory / "report.html"
    get_run_logger().info("Report: %s", escape_terminal(page))
    table = format_terminal_table(verdict.recommended, verdict.table, metric, len(dataset.classes))
    return ComparisonResult(
        run_dir=directory,
        report=page,
        summary=frames["summary"],
        scores=frames["scores"],
        verdict=(*verdict.sentences, *report.limits, *verdict.findings, *report.nightly),
        source=dataset.source,
        table=report.content.summary,
        text=format_summary(dataset.source, table, [*notes, *report.nightly], verdict.sentences, page),
    )


def create_report(
    info: RunInfo, frames: Frames, figures: Sequence[RenderedFigure], verdict: FormattedVerdict, caveats: list[str]
) -> Report:
    """Return the content of the report.

    Args:
        info: Record of the run.
        frames: Frames of the evaluation and of the nightly runs, by name.
        figures: The figures, in the order of the report.
        verdict: The verdict.
        caveats: Sentences before those on what could not be detected.
    """
    return Report(
        info=info,
        frames=frames,
        verdict=verdict.sentences,
        verdict_section=Section(verdict.title, verdict.table, verdict.note),
        limits=[*caveats, *verdict.limits],
        findings=verdict.findings,
        nightly=format_nightly_summary(frames),
        sections=report_sections(frames, info.classes),
        figures=list(figures),
    )


def format_fraction_caveat(fraction: float, rows: int) -> list[str]:
    """Return a sentence if the models were not trained on all training reviews, otherwise nothing.

    Args:
        fraction: Share of the training reviews that the models were trained on, above 0 to 1.
        rows: Number of training reviews.
    """
    if fraction == 1:
        return []
    return [
        f"All models were trained on {100 * fraction:.3g}% of the {rows:,} training reviews. Models that are trained "
        "on all of them are likely to score higher, and their order may be different."
    ]


def create_run_info(
    encoded: EncodedDataset, settings: dict[str, Any], metric: str, caveats: list[str], started: datetime
) -> RunInfo:
    """Return the record of this run; `metric` is its main metric."""
    dataset, environment = encoded.dataset, environment_info()
    return RunInfo(
        source=dataset.source,
        rows=dataset.rows,
        fingerprint=dataset.fingerprint,
        classes=dataset.classes,
        vocabulary=encoded.vocabulary,
        vectors=None if encoded.vectors is None else VectorInfo.model_validate(asdict(encoded.vectors)),
        metric=metric,
        caveats=tuple(caveats),
        settings=settings,
        versions=dict(environment.versions),
        hardware=dict(environment.hardware),
        command=format_command(settings),
        run_name=runtime.flow_run.name or "run",
        started=started.strftime("%Y-%m-%d %H:%M:%S UTC"),
        seconds=(datetime.now(started.tzinfo) - started).total_seconds(),
    )


def write_run_dir(report: Report, results: Path) -> Path:
    """Write the run directory, publish it when it is complete, and return its path."""
    name = report.info.run_name
    with storage_of(results).working_dir(results) as local_results:
        partial = partial_path(run_dir(local_results, name))
        with atomic_files.create_dir(partial):
            write_run(report, partial)
        return publish_run_dir(partial, results, name)


def create_artifacts(report: Report, directory: Path) -> None:
    """Create the artifacts of a report: the report, the summary, and a link to the page in the run directory."""
    name, summary = escape_markdown(report.info.run_name), report.content.summary
    page = storage_of(directory).uri(directory / "report.html")
    records = [
        {column: str(cell).replace("\n", " ") for column, cell in zip(summary.header, row, strict=True)}
        for row in summary.rows
    ]
    markdown = render_markdown(report, thumbnail_uri)
    with ignore_api_errors(retries=2):
        create_markdown_artifact(markdown, key="report", description=name)
        create_table_artifact(records, key="summary", description="Scores of each architecture over its seeds")
        create_link_artifact(
            page, link_text=f"{name}: report.html", key="report-file", description="Report with all figures"
        )


def format_summary(source: str, table: str, notes: Sequence[str], verdict: Sequence[str], page: Path) -> str:
    """Format the result of a comparison for a terminal, with the verdict in a box at the end.

    Args:
        source: Description of the data set.
        table: The table of the verdict, as text.
        notes: Sentences before the verdict.
        verdict: The verdict.
        page: The page of the report.
    """
    location = f"Report: {escape_terminal(page)}"
    parts = [f"\n{escape_terminal(source)}", table, "\n".join(notes), format_box(verdict)]
    return "\n\n".join([*filter(None, parts), location])


def format_box(sentences: Sequence[str]) -> str:
    """Format sentences between two lines; there is no border at the right, which wide characters would shift."""
    lines = [
        line for sentence in sentences
        for line in textwrap.wrap(escape_terminal(sentence, None), BOX_WIDTH - 2, subsequent_indent="  ")
    ]  # fmt: skip
    edge = "─" * (BOX_WIDTH - 1)
    return "\n".join([f"┌{edge}", *(f"│ {line}" for line in lines), f"└{edge}"])


def format_terminal_table(
    reference: str, table: TextTable, metric: Metric = METRICS[DEFAULT_METRIC], classes: int = 2
) -> str:
    """Format the table of the verdict for a terminal: `TERMINAL_COLUMNS` and the training time.

    Texts are aligned to the left and numbers to the right.

    Args:
        reference: Display name of the architecture to which the others are compared.
        table: The table of the verdict.
        metric: Main metric.
        classes: Number of classes.
    """
    columns = [
        [header.format(unit=metric.unit.symbol), *(row[index] for row in table.rows)]
        for index, header in {**TERMINAL_COLUMNS, table.header.index(TRAINING): TRAINING}.items()
    ]
    shown = [[escape_terminal(cell, MAX_CELL_LENGTH) for cell in column] for column in columns]
    widths = [max(map(len, column)) for column in shown]
    aligns = ["<" if isinstance(column[-1], str) else ">" for column in columns]
    lines = [
        "  ".join(f"{cell:{align}{width}}" for cell, align, width in zip(row, aligns, widths, strict=True)).rstrip()
        for row in zip(*shown, strict=True)
    ]
    difference = f"difference to {escape_terminal(reference)} in {metric.unit.difference} [95% interval]"
    title = textwrap.wrap(
        f"Test {label_in_sentence(metric.name, classes)}, and its {difference}.{metric.direction}",
        BOX_WIDTH,
        break_on_hyphens=False,
    )
    return "\n".join([*title, *lines])

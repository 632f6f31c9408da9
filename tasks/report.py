"""The task that writes the run directory and the artifacts."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from prefect import runtime, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.logging import get_run_logger

from tasks.config.escape import escape_markdown, escape_terminal
from tasks.execution.prefect_api import doing_without_server
from tasks.reporting.figure_links import inlined
from tasks.reporting.markdown import render_markdown
from tasks.reporting.model import Report
from tasks.reporting.nightly_text import night_table, nights_in_words
from tasks.reporting.run_directory import command, settle, write_run
from tasks.reporting.tables import Grid, further_tables
from tasks.reporting.verdict import verdict
from tasks.statistics.frames import Frames
from tasks.storage import store
from tasks.storage.environment import surroundings
from tasks.storage.partial_files import partial_path
from tasks.storage.s3 import in_bucket, written_nearby


def of_a_fraction(settings: Mapping[str, Any], rows: int) -> list[str]:
    """Say, if no model was trained on all training reviews, on how many they were."""
    fraction = max(settings["train_fractions"])
    if fraction == 1:
        return []
    return [
        f"Every model was trained on {100 * fraction:.3g}% of the {rows:,} training reviews alone. With all of them "
        "scores are most likely higher, and the order may be another: what this run says holds for so many reviews."
    ]


def in_text(grid: Grid) -> str:
    """Write a table for a terminal."""
    rows = [[str(cell).split("\n")[0] for cell in row] for row in grid.rows]
    frame = pd.DataFrame(rows, columns=list(grid.head))
    return str(frame.drop(columns=["Test log-loss", "Parameters"]).to_string(index=False))  # the rest fits on a line


@task(name="report", task_run_name="report")
def publish(
    frames: Frames,
    reviews: dict[str, Any],
    settings: dict[str, Any],
    failures: dict[str, str],
    started: datetime,
    results: Path,
) -> str:
    """Write the run's folder and Prefect's artifacts; the result is a summary for the terminal."""
    name = runtime.flow_run.name or "run"
    missing = [f"{trial} failed and is missing: {why}" for trial, why in failures.items()]
    caveats = [*reviews["caveats"], *of_a_fraction(settings, reviews["rows"]["train"]), *missing]
    facts = {
        **{key: reviews[key] for key in ("source", "rows", "fingerprint", "classes", "vocabulary")},
        "caveats": caveats,
        "settings": settings,
        **surroundings(),
        "command": command(settings),
        "run_name": name,
        "started": started.strftime("%Y-%m-%d %H:%M:%S UTC"),
        "seconds": (datetime.now(started.tzinfo) - started).total_seconds(),
    }
    nights = nights_in_words(frames)
    tables = further_tables(frames, reviews["classes"]) | (
        {"Night by night: test accuracy (%)": night_table(frames)} if nights else {}
    )
    report = Report(facts=facts, frames=frames, verdict=[*verdict(frames), *nights], tables=tables)
    with written_nearby(results) as near:
        partial = partial_path(near / "runs" / name)
        with store.unfinished(partial):
            report = write_run(report, partial, results / "cache", get_run_logger().warning)
        target = settle(partial, results, name)
    summary: Grid = report.said["summary"]
    records = [
        {head: str(cell).replace("\n", " ") for head, cell in zip(summary.head, row, strict=True)}
        for row in summary.rows
    ]
    shown = render_markdown(report, inlined)
    with doing_without_server(get_run_logger().warning, retries=2):
        create_markdown_artifact(shown, key="report", description=escape_markdown(name))
        create_table_artifact(records, key="summary", description="Each architecture over its seeds")
        where = f"{target}/report.html" if in_bucket(target) else (target / "report.html").as_uri()
        create_link_artifact(
            where, link_text=f"{escape_markdown(name)}: report.html", key="report-file", description="With all pictures"
        )
    place = escape_terminal(f"Report: {target / 'report.html'}")
    get_run_logger().info("%s", place)
    said = "\n".join([*of_a_fraction(settings, reviews["rows"]["train"]), *report.verdict[:2], *nights])
    return f"\n{escape_terminal(reviews['source'])}\n\n{in_text(summary)}\n\n{said}\n\n{place}"

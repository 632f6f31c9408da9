"""What a run leaves behind: tables, pictures and reports in a folder of its own, and artifacts in Prefect."""

import errno
import itertools
import json
import os
import platform
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from prefect import runtime, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.logging import get_run_logger

from tasks import store
from tasks.escape import escape_markdown, escape_terminal
from tasks.export import table_records, write_csv
from tasks.parameters import Parameters
from tasks.partials import partial_path
from tasks.pictures import pictures
from tasks.preparation import doing_without_server
from tasks.remote import in_bucket, put, upload, written_nearby
from tasks.report import Report, inlined, linked, render_html, render_markdown
from tasks.report_tables import Grid, further_tables
from tasks.results import Frames, kept_frames
from tasks.trend import night_table, nights_in_words
from tasks.verdict import verdict

LIBRARIES = ("prefect", "tensorflow", "keras", "scikit-learn", "scipy", "pandas", "numpy", "pyarrow")
# These stay in the cache: they are large, and nobody reads them as CSV.
WITHOUT_CSV = ("predictions",)


def surroundings() -> dict[str, dict[str, object]]:
    """Tell what a result may depend on beside its inputs: versions and hardware."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "hardware": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory": f"{memory:.0f} GiB",
            "system": f"{platform.system()} {platform.machine()}",
            "threads_per_training": 1,
        },
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def command(settings: Mapping[str, Any]) -> str:
    """Write the command that repeats a run: every parameter that is not at its default, quoted for a shell."""
    defaults = Parameters().model_dump(mode="json")
    asked = {name: value for name, value in settings.items() if name not in ("run_name", "results")}
    options = [option(name, value) for name, value in asked.items() if value != defaults[name]]
    return shlex.join(["python", "-m", "flows.imdb_compare", *itertools.chain(*options)])


def option(name: str, value: Any) -> list[str]:
    """Write a parameter as the words of a command line; a switch that is on is its name alone."""
    words = [] if value is True else [",".join(map(str, value)) if isinstance(value, list) else str(value)]
    return [f"--{name.replace('_', '-')}", *words]


def write_run(report: Report, folder: Path, cache: Path, say: Callable[[str], None]) -> Report:
    """Write tables, pictures, report.html, report.md and run.json into `folder`; return the report with its pictures.

    Args:
        report: What to write, its pictures not drawn yet.
        folder: Made here.
        cache: Where pictures are found, or kept.
        say: Told of damage in the cache.
    """
    place, figures = folder / "tables", folder / "figures"
    store.make_folder(place)
    store.make_folder(figures)
    for name, frame in report.frames.items():
        _write(place / f"{name}.parquet", store.parquet(frame))
        if name not in WITHOUT_CSV:
            write_csv(frame, place / f"{name}.csv")
    report = replace(report, pictures=pictures(report.frames, cache, say))
    for picture in report.pictures:
        _write(figures / f"{picture.name}.png", picture.png)
        _write(figures / f"{picture.name}.svg", picture.svg)
    _write(folder / "report.html", render_html(report).encode())
    _write(folder / "report.md", render_markdown(report, linked).encode())
    _write(folder / "run.json", json.dumps(dict(report.facts), indent=2, default=str).encode())
    return report


def _write(path: Path, content: bytes) -> None:
    with store.create(path) as file:
        file.write(content)


def of_a_fraction(settings: Mapping[str, Any], rows: int) -> list[str]:
    """Say, if no model was trained on all training reviews, on how many they were."""
    fraction = max(settings["train_fractions"])
    if fraction == 1:
        return []
    return [
        f"Every model was trained on {100 * fraction:.3g}% of the {rows:,} training reviews alone. With all of them "
        "scores are most likely higher, and the order may be another: what this run says holds for so many reviews."
    ]


def settle(partial: Path, results: Path, name: str) -> Path:
    """Move a finished folder to `runs/<name>` (or `<name>-2`, … if that is taken) and let `latest` lead to it.

    A bucket has no links: there `latest` is an object that names the run's folder.
    """
    runs = results / "runs"
    candidates = (runs / (name if count == 1 else f"{name}-{count}") for count in range(1, 10_000))
    if in_bucket(results):
        target = next(path for path in candidates if not path.exists())
        upload(partial, target)
        put(results / "latest", f"runs/{target.name}\n".encode())
        return target
    target = next(path for path in candidates if _moved(partial, path))
    link = partial_path(results / "latest")
    try:
        with store.writing(results / "latest"):
            link.symlink_to(target.relative_to(results))
            link.replace(results / "latest")
    finally:
        link.unlink(missing_ok=True)
    return target


def _moved(partial: Path, target: Path) -> bool:
    """Move a folder to a name that is not taken; another run may take the name at the same moment."""
    if os.path.lexists(target):
        return False
    try:
        partial.rename(target)  # fails if a folder with content is there
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            return False
        raise
    return True


def in_text(grid: Grid) -> str:
    """Write a table for a terminal."""
    rows = [[str(cell).split("\n")[0] for cell in row] for row in grid.rows]
    frame = pd.DataFrame(rows, columns=list(grid.head))
    return str(frame.drop(columns=["Test log-loss", "Parameters"]).to_string(index=False))  # the rest fits on a line


@task(name="evaluate", task_run_name="evaluate")
def evaluate_cells(cells: list[dict[str, Any]], reviews: str, folder: Path) -> Frames:
    """Score every cell on validation and test, compare the architectures, and put the scores on Prefect's page."""
    frames = kept_frames(cells, reviews, folder, get_run_logger().warning)
    with doing_without_server(get_run_logger().warning, retries=2):
        create_table_artifact(table_records(frames["scores"]), key="scores", description="Every cell's scores")
        create_table_artifact(table_records(frames["cells"]), key="cells", description="Every cell and what it cost")
    return frames


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
    missing = [f"{cell} failed and is missing: {why}" for cell, why in failures.items()]
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

"""Write and publish the run directory."""

import errno
import itertools
import json
import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasks.config.parameters import Parameters
from tasks.figures.render import pictures
from tasks.reporting.figure_links import linked
from tasks.reporting.html import render_html
from tasks.reporting.markdown import render_markdown
from tasks.reporting.model import Report
from tasks.reporting.tabular import write_csv
from tasks.storage import store
from tasks.storage.partial_files import partial_path
from tasks.storage.s3 import in_bucket, put, upload

# These stay in the cache: they are large, and nobody reads them as CSV.
WITHOUT_CSV = ("predictions",)


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

"""Render figures to files, through the cache."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import BaseModel, Field

from tasks.config.errors import DamagedFileError
from tasks.config.escape import escape_terminal
from tasks.evaluation.scores import class_keys
from tasks.figures.class_labels import find_fonts
from tasks.figures.registry import FIGURES, figure_arguments
from tasks.figures.rendered_figure import RenderedFigure
from tasks.figures.style import encode, style
from tasks.storage.archives import Files
from tasks.storage.cache import cache_key, load_or_compute
from tasks.storage.layout import figure_file
from tasks.storage.safe_files import json_model
from tasks.storage.table_fingerprint import fingerprint

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LIBRARIES = ("matplotlib", "seaborn", "numpy", "pandas", "scipy", "scikit-learn", "pillow")
# Small enough that all thumbnails together stay under the 1.5 MB at which Prefect drops an event.
THUMBNAIL_WIDTH = 900
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Figures with many panels, which take longest.
SLOWEST = ("learning_curves", "costs", "reliability_diagram", "confusion_matrices")
# Files of a rendered figure, and how they begin. The files of a figure without content are none.
FILE_SIGNATURES = {"text.json": b"{", "large.png": PNG_SIGNATURE, "large.svg": b"<?xml ", "small.png": PNG_SIGNATURE}


class FigureText(BaseModel):
    """Texts of a rendered figure (text.json)."""

    title: str = Field(max_length=10_000)
    caption: str = Field(max_length=10_000)


@dataclass(frozen=True)
class FigureSpec:
    """A figure that has the frames that it needs.

    Attributes:
        name: Key in `FIGURES`.
        arguments: Keyword arguments of its function.
        path: Archive in the cache; its name contains the cache key.
    """

    name: str
    arguments: Mapping[str, Any]
    path: Path


def plan_figures(
    frames: Mapping[str, pd.DataFrame], cache_dir: Path, class_names: Sequence[str] = class_keys(2)
) -> list[FigureSpec]:
    """Return the figures for which there are frames, in the order of `FIGURES`.

    Args:
        frames: Frame name to frame.
        cache_dir: Cache of the results folder.
        class_names: Names of the classes, by their number.
    """
    planned = figure_arguments(frames, class_names=class_names)
    used = {argument for arguments in planned.values() for argument in arguments}
    fingerprints = {name: fingerprint(frame) for name, frame in frames.items() if name in used}
    specs = []
    for name, arguments in planned.items():
        inputs = {argument: fingerprints.get(argument, value) for argument, value in arguments.items()}
        if "class_names" in inputs:  # a name that no font could show is shown once there is one
            inputs["fonts"] = [find_fonts(name) for name in class_names]
        key = cache_key([FIGURES[name], render_files], LIBRARIES, name=name, inputs=inputs)
        specs.append(FigureSpec(name, arguments, figure_file(cache_dir, name, key)))
    return specs


def slowest_first(specs: Sequence[FigureSpec]) -> list[FigureSpec]:
    """Return figures in the order in which they start: slow ones first, so that no core is idle at the end."""
    return sorted(specs, key=lambda spec: SLOWEST.index(spec.name) if spec.name in SLOWEST else len(SLOWEST))


def load_or_render(spec: FigureSpec, render: Callable[..., Files]) -> tuple[list[RenderedFigure], bool]:
    """Return a figure from the cache, or render and store it.

    Args:
        spec: The figure.
        render: `render_files`, or a function that runs it elsewhere.

    Returns:
        The figure, in an empty list if it has nothing to show, and whether it was in the cache.
    """
    compute = partial(render, spec.name, FIGURES[spec.name], spec.arguments)
    return load_or_compute(spec.path, compute, partial(parse_files, name=spec.name, path=spec.path))


def render_files(name: str, plot: Callable[..., Figure | None], arguments: Mapping[str, Any]) -> Files:
    """Plot a figure and render it in every format.

    The function is an argument so that the cache key depends on the code of this figure only.

    Args:
        name: Name of the figure.
        plot: The function that plots it.
        arguments: Keyword arguments of `plot`.

    Returns:
        The files of `FILE_SIGNATURES`; no files if the figure has nothing to show.
    """
    with style():
        figure = plot(**arguments)
    if not figure:
        return {}
    title = figure.get_suptitle()
    text = FigureText(title=title, caption=str(figure.get_label()).removeprefix(title).strip())
    images = encode(figure, name)
    return {
        "text.json": json.dumps(text.model_dump()).encode(), "large.png": images["png"], "large.svg": images["svg"],
        "small.png": create_thumbnail(images["png"]),
    }  # fmt: skip


def parse_files(files: Files, name: str, path: Path) -> list[RenderedFigure]:
    """Return the figure that `render_files` rendered; an empty list if it has nothing to show.

    Raises:
        DamagedFileError: If the files are not those of a rendered figure; the message names `path`.
    """
    if not files:
        return []
    if list(files) != list(FILE_SIGNATURES):
        raise DamagedFileError(f"{escape_terminal(path)} does not contain the files of a figure")
    if any(not files[file].startswith(signature) for file, signature in FILE_SIGNATURES.items()):
        raise DamagedFileError(f"{escape_terminal(path)} contains files of another format")
    text = json_model(files["text.json"], FigureText, path)
    return [RenderedFigure(name, text.title, text.caption, files["large.png"], files["large.svg"], files["small.png"])]


def create_thumbnail(png: bytes) -> bytes:
    """Return a PNG image reduced to `THUMBNAIL_WIDTH` and 64 colors."""
    from PIL import Image

    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.thumbnail((THUMBNAIL_WIDTH, 10 * THUMBNAIL_WIDTH))
        image.convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(buffer, "png", optimize=True)
    return buffer.getvalue()

"""The figures as files, each drawn once from the same frames by the same code, and then found in the cache."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import BaseModel, Field

from tasks.config.errors import DamagedFileError
from tasks.config.escape import escape_terminal
from tasks.figures.picture import Picture
from tasks.figures.registry import FIGURES, inputs
from tasks.figures.style import rendered, style
from tasks.storage import cache
from tasks.storage.safe_files import json_model
from tasks.storage.table_fingerprint import fingerprint

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LIBRARIES = ("matplotlib", "seaborn", "numpy", "pandas", "scipy", "scikit-learn", "pillow")
# Small enough that all pictures together stay under the 1.5 MB at which Prefect drops an event.
ARTIFACT_WIDTH = 900


def pictures(frames: Mapping[str, pd.DataFrame], folder: Path, say: Callable[[str], None]) -> list[Picture]:
    """Return every figure that shows something, drawn if it is not found in the cache.

    Args:
        frames: Frame name to frame.
        folder: The cache.
        say: Told of damage.
    """
    prints: dict[str, Any] = {name: fingerprint(frame) for name, frame in frames.items()}
    found = []
    for name, arguments in inputs(frames).items():
        read = {argument: prints.get(argument, value) for argument, value in arguments.items()}
        made_of = cache.key([FIGURES[name], picture_files], LIBRARIES, name=name, read=read)
        make = partial(picture_files, name, FIGURES[name], arguments)
        path = folder / "figures" / f"{name}-{made_of}.zip"
        if files := cache.kept(path, make, say, partial(check_picture, path=path)):
            words = json_model(files["words.json"], Words, path)
            images = (files[form] for form in ("large.png", "large.svg", "small.png"))
            found.append(Picture(name, words.title, words.caption, *images))
    return found


class Words(BaseModel):
    """What is written beside a figure (words.json)."""

    title: str = Field(max_length=10_000)
    caption: str = Field(max_length=10_000)


def check_picture(files: cache.Files, path: Path) -> None:
    """Refuse files that are not as `picture_files` makes them.

    Raises:
        DamagedFileError: Naming `path`.
    """
    if not files:
        return
    if list(files) != ["words.json", "large.png", "large.svg", "small.png"]:
        raise DamagedFileError(f"{escape_terminal(path)} holds other files than a figure's")
    json_model(files["words.json"], Words, path)
    begins = {"large.png": b"\x89PNG\r\n\x1a\n", "large.svg": b"<?xml ", "small.png": b"\x89PNG\r\n\x1a\n"}
    if any(not files[name].startswith(begin) for name, begin in begins.items()):
        raise DamagedFileError(f"{escape_terminal(path)} holds pictures of another format")


def picture_files(name: str, figure: Callable[..., Figure | None], arguments: Mapping[str, Any]) -> cache.Files:
    """Draw a figure and render it in every form that is used; a figure that would show nothing has no files."""
    with style():
        drawn = figure(**arguments)
    if not drawn:
        return {}
    title = drawn.get_suptitle()
    words = {"title": title, "caption": str(drawn.get_label()).removeprefix(title).strip()}
    files = rendered(drawn, name)
    return {
        "words.json": json.dumps(words).encode(), "large.png": files["png"], "large.svg": files["svg"],
        "small.png": reduced(files["png"]),
    }  # fmt: skip


def reduced(png: bytes) -> bytes:
    """Return a picture at the width at which Prefect's page shows it."""
    from PIL import Image

    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.thumbnail((ARTIFACT_WIDTH, 10 * ARTIFACT_WIDTH))
        image.convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(buffer, "png", optimize=True)
    return buffer.getvalue()

"""The figures as files, each drawn once from the same frames by the same code, and then found in the cache."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tasks import reuse
from tasks.appearance import rendered, style
from tasks.encoding import fingerprint
from tasks.figures import FIGURES, inputs
from tasks.report import Picture

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
        made_of = reuse.key([FIGURES[name], picture_files], LIBRARIES, name=name, read=read)
        make = partial(picture_files, name, FIGURES[name], arguments)
        if files := reuse.kept(folder / "figures" / f"{name}-{made_of}.zip", make, say):
            words = json.loads(files["words.json"])
            images = (files[form] for form in ("large.png", "large.svg", "small.png"))
            found.append(Picture(name, words["title"], words["caption"], *images))
    return found


def picture_files(name: str, figure: Callable[..., Figure | None], arguments: Mapping[str, Any]) -> reuse.Files:
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

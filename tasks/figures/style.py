"""What every picture and table shares: names in words, colours, style, and files that come out the same each time."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.config.labels import in_order

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from matplotlib.figure import Figure


# Grey: they are what the networks are held against.
BASELINE_COLOURS = {"majority": "#B8B8B8", "tfidf_logistic": "#7F7F7F", "nb_svm": "#333333"}
# Okabe & Ito 2008, "Color Universal Design": told apart with every common kind of colour blindness.
COLOURS = {
    "simple_rnn": "#E69F00",
    "gru": "#D55E00",
    "lstm": "#0072B2",
    "stacked_lstm": "#56B4E9",
    "bidirectional_lstm": "#009E73",
    "deep_lstm": "#CC79A7",
    **BASELINE_COLOURS,
}
# For architectures that a user adds: Tol 2021, "Colour schemes", muted.
FURTHER_COLOURS = ("#117733", "#882255", "#332288", "#999933", "#44AA99", "#AA4499", "#6699CC", "#661100")
STYLE: dict[Any, Any] = {
    "figure.dpi": 100,
    "figure.titlesize": 14,
    "figure.titleweight": "bold",
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.labelsize": 10,
    "axes.edgecolor": "#9A9A9A",
    "axes.labelcolor": "#222222",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#E4E4E4",
    "legend.frameon": False,
    "text.color": "#222222",
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    # An architecture of the user's may carry any name: `$` in it is a dollar, not mathematics.
    "text.parse_math": False,
    # The same picture is the same bytes.
    "svg.hashsalt": "imdb-compare",
    "svg.fonttype": "path",
}


def marker(name: str) -> str:
    """Give the shape of an architecture's marks: a circle, or a diamond for a baseline, so that grey is not all."""
    return "D" if name in BASELINE_COLOURS else "o"


def palette(architectures: Iterable[str]) -> dict[str, str]:
    """Give each architecture its colour, fixed for the known ones and one of its own to each further one.

    Returns:
        Architecture to `#RRGGBB`, in the order of `in_order`. A further architecture keeps its colour from report to
        report, unless another one took it first.
    """
    ordered = in_order(architectures)
    colours = {name: COLOURS[name] for name in ordered if name in COLOURS}
    for name in (name for name in ordered if name not in COLOURS):
        start = zlib.crc32(name.encode()) % len(FURTHER_COLOURS)
        turned = FURTHER_COLOURS[start:] + FURTHER_COLOURS[:start]
        colours[name] = next((colour for colour in turned if colour not in colours.values()), turned[0])
    return {name: colours[name] for name in ordered}


def style() -> AbstractContextManager[None]:
    """Set the style of pictures for the length of a `with` block, and nothing after it."""
    import matplotlib
    import seaborn

    return matplotlib.rc_context({**seaborn.axes_style("whitegrid"), **STYLE})


def rendered(figure: Figure, name: str, dpi: int = 150) -> dict[str, bytes]:
    """Render a figure as PNG and SVG, the same bytes for the same figure.

    Args:
        figure: The picture. Its label, the words that say how to read it, goes into the files' metadata.
        name: Its title in the metadata.
        dpi: Pixels an inch of the PNG.

    Returns:
        The two files, under `png` and `svg`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    described: Mapping[str, str | None] = {"Title": name, "Description": str(figure.get_label())}
    png, svg = io.BytesIO(), io.BytesIO()
    with style():
        # Square panels take their place in the first layout, and what stands around them in the second, which comes
        # with the drawing. `savefig` would lay out and draw once more for each file.
        if layout := figure.get_layout_engine():
            layout.execute(figure)
        figure.set_dpi(dpi)
        # A canvas measures texts from the moment on at which it is made.
        pixels: Any = FigureCanvasAgg(figure)
        pixels.print_png(png, metadata={**described, "Software": None})
        figure.set_layout_engine("none")  # a third layout would find the same places, in a seventh of the time of all
        lines: Any = FigureCanvasSVG(figure)
        lines.print_svg(svg, metadata={**described, "Date": None, "Creator": None})
    return {"png": png.getvalue(), "svg": svg.getvalue()}


def save(figure: Figure, folder: Path, name: str, dpi: int = 150) -> dict[str, Path]:
    """Write a figure to `folder` as `rendered`; return the two paths, under `png` and `svg`."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {ending: folder / f"{name}.{ending}" for ending in ("png", "svg")}
    for ending, content in rendered(figure, name, dpi).items():
        paths[ending].write_bytes(content)
    return paths

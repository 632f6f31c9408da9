"""Colors, markers and style of all figures, and their encoding as reproducible files."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tasks.config.labels import in_display_order

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from matplotlib.figure import Figure


# Baselines are gray: they are the reference for the networks.
BASELINE_COLORS = {
    "majority": "#B8B8B8",
    "tfidf_logistic": "#7F7F7F",
    "nb_svm": "#333333",
    "averaged_embeddings": "#595959",
}
# Okabe & Ito 2008, "Color Universal Design": distinguishable with all common types of color blindness. Black and yellow
# are left out, which resemble a baseline and the background. CNN, LSTM with attention and bidirectional GRU have colors
# with the largest distances to these in CIELAB, with and without simulated color blindness (Machado et al. 2009).
COLORS = {
    "simple_rnn": "#E69F00",
    "cnn": "#8000E0",
    "gru": "#D55E00",
    "lstm": "#0072B2",
    "lstm_attention": "#332288",
    "bidirectional_gru": "#804020",
    "stacked_lstm": "#56B4E9",
    "bidirectional_lstm": "#009E73",
    "deep_lstm": "#CC79A7",
    **BASELINE_COLORS,
}
MARKERS = {"cnn": "s"}
# For user-defined architectures: Tol 2021, "Colour schemes", muted.
EXTRA_COLORS = ("#117733", "#882255", "#332288", "#999933", "#44AA99", "#AA4499", "#6699CC", "#661100")
RC_PARAMS: dict[Any, Any] = {
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
    # The name of a user-defined architecture may contain `$`, which must not start a formula.
    "text.parse_math": False,
    # Equal figures are encoded to equal bytes.
    "svg.hashsalt": "imdb-compare",
    "svg.fonttype": "path",
}


def marker(architecture: str) -> str:
    """Return the matplotlib marker of an architecture: a circle, a square for the CNN, or a diamond for a baseline."""
    return "D" if architecture in BASELINE_COLORS else MARKERS.get(architecture, "o")


def palette(architectures: Iterable[str]) -> dict[str, str]:
    """Return the color of each architecture.

    Known architectures have fixed colors. A user-defined architecture has the same color in every report, unless
    another one has taken it.

    Returns:
        Architecture to `#RRGGBB`, in the order of `in_display_order`.
    """
    ordered = in_display_order(architectures)
    colors = {name: COLORS[name] for name in ordered if name in COLORS}
    for name in (name for name in ordered if name not in COLORS):
        start = zlib.crc32(name.encode()) % len(EXTRA_COLORS)
        candidates = EXTRA_COLORS[start:] + EXTRA_COLORS[:start]
        colors[name] = next((color for color in candidates if color not in colors.values()), candidates[0])
    return {name: colors[name] for name in ordered}


def load_libraries() -> None:
    """Load the libraries that draw figures into this process, which takes a second or two."""
    import matplotlib.backends.backend_agg
    import matplotlib.backends.backend_svg
    import matplotlib.figure  # noqa: F401
    import seaborn  # noqa: F401


def style() -> AbstractContextManager[None]:
    """Return a context manager that sets the style of the figures."""
    import matplotlib
    import seaborn

    return matplotlib.rc_context({**seaborn.axes_style("whitegrid"), **RC_PARAMS})


def encode(figure: Figure, name: str, dpi: int = 150) -> dict[str, bytes]:
    """Encode a figure as PNG and SVG; equal figures give equal bytes.

    Args:
        figure: The figure. Its label is stored as the description in the metadata of both files.
        name: Title in the metadata.
        dpi: Resolution of the PNG in pixels per inch.

    Returns:
        The content of the two files, under the keys `png` and `svg`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    metadata: Mapping[str, str | None] = {"Title": name, "Description": str(figure.get_label())}
    png, svg = io.BytesIO(), io.BytesIO()
    with style():
        # The first layout places square panels, the second one (part of drawing) the texts around them. `savefig`
        # would lay out and draw once more for each file.
        layout = figure.get_layout_engine()
        if layout and any(axes.get_aspect() != "auto" for axes in figure.axes):
            layout.execute(figure)
        figure.set_dpi(dpi)
        # A canvas measures texts from its creation on, so it is created after the resolution is set.
        raster_canvas: Any = FigureCanvasAgg(figure)
        raster_canvas.print_png(png, metadata={**metadata, "Software": None})
        figure.set_layout_engine("none")  # a third layout would give the same positions and take much longer
        vector_canvas: Any = FigureCanvasSVG(figure)
        vector_canvas.print_svg(svg, metadata={**metadata, "Date": None, "Creator": None})
    return {"png": png.getvalue(), "svg": svg.getvalue()}

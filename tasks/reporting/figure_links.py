"""Addresses of figures in reports: files next to the report, or data URIs within it."""

import base64
from collections.abc import Sequence

from tasks.figures.rendered_figure import RenderedFigure

# A larger SVG file is replaced by the PNG file.
MAX_SVG_BYTES = 300_000
# Of all figures as data URIs. With its tables, the page stays below 5 MB.
MAX_TOTAL_BYTES = 3_500_000


def data_uri(content: bytes, image_format: str) -> str:
    """Return an image as a `data:` URI; the format is `png` or `svg+xml`."""
    return f"data:image/{image_format};base64,{base64.b64encode(content).decode()}"


def figure_uri(figure: RenderedFigure) -> str:
    """Return the figure as a data URI: SVG if it is small enough, otherwise PNG."""
    use_svg = 0 < len(figure.svg) <= MAX_SVG_BYTES
    return data_uri(figure.svg, "svg+xml") if use_svg else data_uri(figure.png, "png")


def embed_figures(figures: Sequence[RenderedFigure]) -> list[str]:
    """Return all figures as data URIs; all of them are thumbnails if they would exceed `MAX_TOTAL_BYTES`."""
    uris = [figure_uri(figure) for figure in figures]
    return uris if sum(map(len, uris)) <= MAX_TOTAL_BYTES else [thumbnail_uri(figure) for figure in figures]


def thumbnail_uri(figure: RenderedFigure) -> str:
    """Return the thumbnail of a figure as a data URI, or its PNG if there is no thumbnail."""
    return data_uri(figure.thumbnail or figure.png, "png")


def file_uri(figure: RenderedFigure) -> str:
    """Return the path of a figure's file relative to the report."""
    return f"figures/{figure.name}.png"

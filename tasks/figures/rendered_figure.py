"""A rendered figure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RenderedFigure:
    """A figure of the report in the formats that are used.

    Attributes:
        name: Key in `FIGURES` and stem of the file names.
        title: Title of the figure, plain text.
        caption: How to read the figure, plain text.
        png: PNG file.
        svg: SVG file; empty if it is not available.
        thumbnail: Smaller PNG file with fewer colors; empty if it is not available.
    """

    name: str
    title: str
    caption: str
    png: bytes
    svg: bytes = b""
    thumbnail: bytes = b""

"""Addresses of figures in reports: files next to the report, or data URIs within it."""

import base64
from collections.abc import Sequence

from tasks.figures.picture import Picture

# A vector picture is sharp at any size; above this many bytes the page is better off with pixels.
LARGEST_SVG = 300_000
# Of all pictures together, as written into the page: with its tables it stays below 5 MB.
MOST_OF_PICTURES = 3_500_000


def data_uri(content: bytes, kind: str) -> str:
    """Write bytes as a `data:` address; kind is `png` or `svg+xml`."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def sharpest(picture: Picture) -> str:
    """Put a picture into the page as it is sharp, as a vector picture where that is small enough."""
    vector = 0 < len(picture.svg) <= LARGEST_SVG
    return data_uri(picture.svg, "svg+xml") if vector else data_uri(picture.png, "png")


def addresses(pictures: Sequence[Picture]) -> list[str]:
    """Put pictures into the page, all of them in their small form where the sharp ones are too many bytes."""
    sharp = [sharpest(picture) for picture in pictures]
    return sharp if sum(map(len, sharp)) <= MOST_OF_PICTURES else [inlined(picture) for picture in pictures]


def inlined(picture: Picture) -> str:
    """Put the picture's pixels into the text itself, few of them where there is a small form."""
    return data_uri(picture.small or picture.png, "png")


def linked(picture: Picture) -> str:
    """Point to the picture's file beside the report."""
    return f"figures/{picture.name}.png"

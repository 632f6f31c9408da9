"""A rendered figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Picture:
    """A figure as the report takes it: name of its files, title, how to read it, its bytes, and fewer of them."""

    name: str
    title: str
    caption: str
    png: bytes
    svg: bytes = b""
    small: bytes = b""

"""Batches of sequences of similar length."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


BUCKETS = 16


@dataclass(frozen=True)
class Split:
    """The encoded reviews of one split, row after row.

    Attributes:
        tokens: All words of all reviews, one after the other, (words,) uint16.
        offsets: Where each review starts, and the end, (reviews + 1,) integers.
        labels: The classes, (reviews,) int8, 0 or 1.
    """

    tokens: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray

    @classmethod
    def from_table(cls, encoded: pa.Table) -> Split:
        """Take the columns `tokens` (list of uint16) and `label` of an encoded table."""
        lists = encoded["tokens"].combine_chunks()
        offsets = lists.offsets.to_numpy()
        tokens = lists.flatten().to_numpy()
        return cls(tokens, offsets - offsets[0], encoded["label"].to_numpy().astype(np.int8))

    def rows(self, chosen: np.ndarray) -> Split:
        """Take some reviews, (rows,) integers, in that order."""
        parts = [self.tokens[self.offsets[row] : self.offsets[row + 1]] for row in chosen]
        return Split(np.concatenate(parts), np.cumsum([0, *map(len, parts)]), self.labels[chosen])


def padded(split: Split, rows: np.ndarray, width: int) -> np.ndarray:
    """Give the last `width` words of some reviews, (rows,) integers, zeros on the left, as (rows, width) int32."""
    columns = split.offsets[rows + 1, None] - np.arange(width, 0, -1)
    inside = columns >= split.offsets[rows, None]
    words = np.zeros(columns.shape, np.int32)
    words[inside] = split.tokens[columns[inside]]
    return words


def widths(split: Split, max_tokens: int) -> np.ndarray:
    """Give the width of each review: its length, at most `max_tokens`, rounded up to that of a bucket, (reviews,)."""
    step = math.ceil(max_tokens / BUCKETS)
    lengths = np.clip(np.diff(split.offsets), 1, max_tokens)
    rounded: np.ndarray = np.minimum(-(-lengths // step) * step, max_tokens)
    return rounded


def batches(row_widths: np.ndarray, batch_size: int, rng: np.random.Generator) -> list[tuple[int, np.ndarray]]:
    """Group the rows of one epoch into shuffled batches of like width.

    What does not fill a batch joins the next wider bucket, so that the number of updates is that
    of plain batches and every batch but one is full.

    Args:
        row_widths: The width of each row, (rows,) integers.
        batch_size: Rows in a batch.
        rng: Where the order comes from.

    Returns:
        (width, rows) of each batch.
    """
    found, left = [], np.empty(0, np.int64)
    largest = row_widths.max()
    for width in np.unique(row_widths):
        rows = np.concatenate([left, rng.permutation(np.flatnonzero(row_widths == width))])
        end = len(rows) if width == largest else len(rows) - len(rows) % batch_size
        found += [(int(width), rows[start : start + batch_size]) for start in range(0, end, batch_size)]
        left = rows[end:]
    return [found[i] for i in rng.permutation(len(found))]

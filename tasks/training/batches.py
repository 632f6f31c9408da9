"""Batches of sequences of similar length."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

WIDTHS = 16  # number of different widths of batches


@dataclass(frozen=True)
class Split:
    """The encoded reviews of one split.

    Attributes:
        tokens: Token ids of all reviews, one review after the other, (tokens,) uint16.
        offsets: Position of the first token of each review, and the number of tokens, (reviews + 1,) integers.
        labels: Classes, (reviews,) int8, from 0.
    """

    tokens: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray

    @classmethod
    def from_table(cls, encoded: pa.Table) -> Split:
        """Return the reviews of a table with the columns `tokens` (lists of uint16) and `label`."""
        lists = encoded["tokens"].combine_chunks()
        offsets = lists.offsets.to_numpy()
        tokens = lists.flatten().to_numpy()
        return cls(tokens, offsets - offsets[0], encoded["label"].to_numpy().astype(np.int8))

    def rows(self, rows: np.ndarray) -> Split:
        """Return some reviews, given by their rows, (n,) integers, in that order."""
        parts = [self.tokens[self.offsets[row] : self.offsets[row + 1]] for row in rows]
        return Split(np.concatenate(parts), np.cumsum([0, *map(len, parts)]), self.labels[rows])


def pad_right(split: Split, rows: np.ndarray, width: int) -> np.ndarray:
    """Return the last `width` token ids of some reviews, padded with zeros on the right.

    Args:
        split: The reviews.
        rows: Rows of the reviews, (n,) integers.
        width: Number of columns.

    Returns:
        (n, width) int32.
    """
    ends = split.offsets[rows + 1, None]
    positions = np.maximum(split.offsets[rows, None], ends - width) + np.arange(width)
    inside = positions < ends
    token_ids = np.zeros(positions.shape, np.int32)
    token_ids[inside] = split.tokens[positions[inside]]
    return token_ids


def padded_widths(split: Split, max_tokens: int) -> np.ndarray:
    """Return the padded width of each review: its length, at most `max_tokens`, rounded up to one of `WIDTHS` widths.

    Returns:
        (reviews,) integers from 1 to `max_tokens`.
    """
    step = math.ceil(max_tokens / WIDTHS)
    lengths = np.clip(np.diff(split.offsets), 1, max_tokens)
    rounded: np.ndarray = np.minimum(-(-lengths // step) * step, max_tokens)
    return rounded


def make_batches(row_widths: np.ndarray, batch_size: int, rng: np.random.Generator) -> list[tuple[int, np.ndarray]]:
    """Group the rows of one epoch into shuffled batches of the same width.

    The rows that do not fill the last batch of a width join the next larger width. So the number of updates is the same
    as without grouping, and all batches but one are full.

    Args:
        row_widths: Padded width of each row, (rows,) integers.
        batch_size: Rows per batch.
        rng: Random generator of the order.

    Returns:
        Width and rows, (n,) integers, of each batch.
    """
    batches, remaining = [], np.empty(0, np.int64)
    largest = row_widths.max()
    for width in np.unique(row_widths):
        rows = np.concatenate([remaining, rng.permutation(np.flatnonzero(row_widths == width))])
        end = len(rows) if width == largest else len(rows) - len(rows) % batch_size
        batches += [(int(width), rows[start : start + batch_size]) for start in range(0, end, batch_size)]
        remaining = rows[end:]
    return [batches[i] for i in rng.permutation(len(batches))]

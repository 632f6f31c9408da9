"""Terms of texts (words and pairs of neighboring words), counted as scikit-learn's `CountVectorizer` does.

Words and pairs are numbers instead of strings while they are counted, which takes a third of the time and memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

SPACE = pa.scalar(" ", pa.large_string())


class Tokens(NamedTuple):
    """The tokens of texts, one text after the other.

    Attributes:
        words: (tokens,) strings.
        texts: (tokens,) row of the text of each token, ascending.
        rows: Number of texts.
    """

    words: pa.Array
    texts: np.ndarray
    rows: int

    @classmethod
    def split(cls, texts: Sequence[str]) -> Tokens:
        """Split texts, whose tokens are separated by single spaces; an empty text has none."""
        lists = pc.split_pattern(pa.array(texts, pa.large_string()), " ")
        words, rows = lists.flatten(), pc.list_parent_indices(lists)
        present = pc.not_equal(words, "")
        return cls(words.filter(present), rows.filter(present).to_numpy(), len(texts))

    def pairs(self, codes: np.ndarray, words: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a number for each pair of neighbors with codes from 0 to `words` - 1, and the rows of their texts."""
        first, second = codes[:-1], codes[1:]
        inside = (self.texts[:-1] == self.texts[1:]) & (first >= 0) & (second >= 0)
        return first[inside] * words + second[inside], self.texts[1:][inside]


def learn_terms(texts: Sequence[str], min_texts: int = 2) -> tuple[pa.Array, csr_matrix]:
    """Count the words and pairs that occur in several texts; if there are none, all words and pairs.

    Args:
        texts: (texts,) tokens separated by single spaces.
        min_texts: Number of texts in which a term must occur.

    Returns:
        (terms,) the terms in alphabetical order, and (texts, terms) float32 their counts in each text.

    Raises:
        ValueError: If no text has a word.
    """
    from scipy.sparse import hstack

    tokens = Tokens.split(texts)
    if not len(tokens.words):
        raise ValueError("no text has a word")
    encoded = tokens.words.dictionary_encode()
    words, codes = encoded.dictionary, encoded.indices.to_numpy().astype(np.int64)
    word_counts = _count(tokens.texts, codes, (tokens.rows, len(words)))
    min_texts = min(min_texts, int(np.bincount(word_counts.indices).max()))  # no pair is in more texts than its words
    word_counts, kept = _select_frequent(word_counts, min_texts)
    pair_counts, pairs = _count_pairs(tokens, codes, len(words), min_texts)
    first, second = (words.take(half) for half in np.divmod(pairs, len(words)))
    terms = pa.concat_arrays([words.take(kept), pc.binary_join_element_wise(first, second, SPACE)])
    return _sort_terms(terms, hstack([word_counts, pair_counts], format="csr"))


def _sort_terms(terms: pa.Array, counts: csr_matrix) -> tuple[pa.Array, csr_matrix]:
    """Return terms in alphabetical order and their counts, whose entries in a row are in the order of first appearance.

    This is the order of scikit-learn. Solvers add the entries of a row in float32, so their result depends on it.
    """
    by_column = counts.tocsc()
    appearance = np.argsort(by_column.indices[by_column.indptr[:-1]], kind="stable")  # by the first text with the term
    counts, terms = counts[:, appearance].sorted_indices(), terms.take(appearance)
    order = pc.sort_indices(terms).to_numpy()
    rank = np.empty(len(order), counts.indices.dtype)
    rank[order] = np.arange(len(order))
    counts.indices, counts.has_sorted_indices = rank[counts.indices], False
    return terms.take(order), counts


def _count_pairs(tokens: Tokens, codes: np.ndarray, words: int, min_texts: int) -> tuple[csr_matrix, np.ndarray]:
    """Return the counts of the frequent pairs, and their numbers, see `Tokens.pairs`."""
    numbers, rows = tokens.pairs(codes, words)
    encoded = pa.array(numbers).dictionary_encode()
    counts = _count(rows, encoded.indices.to_numpy(), (tokens.rows, len(encoded.dictionary)))
    counts, kept = _select_frequent(counts, min_texts)
    return counts, encoded.dictionary.to_numpy()[kept]


def _select_frequent(counts: csr_matrix, min_texts: int) -> tuple[csr_matrix, np.ndarray]:
    """Return the columns with values in at least `min_texts` rows, and their numbers."""
    kept = np.flatnonzero(np.bincount(counts.indices, minlength=counts.shape[1]) >= min_texts)
    return counts[:, kept], kept


class TermCounter:
    """Counts known terms in texts. Its indexes are built once, so that it is fast for single texts, too.

    Attributes:
        terms: (terms,) the terms.
    """

    def __init__(self, terms: pa.Array) -> None:
        """Prepare the counting.

        Args:
            terms: (terms,) words and pairs; the words of a pair are terms themselves.

        Raises:
            ValueError: If they are not.
        """
        is_pair = pc.match_substring(terms, " ").to_numpy(zero_copy_only=False)
        self.terms = terms
        self._words = pd.Index(terms.filter(~is_pair).to_numpy(zero_copy_only=False), dtype=object)
        self._word_columns, self._pair_columns = np.flatnonzero(~is_pair), np.flatnonzero(is_pair)
        codes = self._codes(pc.split_pattern(terms.filter(is_pair), " ").flatten())
        if len(codes) != 2 * len(self._pair_columns) or (codes < 0).any():
            raise ValueError("the terms are not words and pairs of these words")
        self._pairs = pd.Index(codes[::2] * len(self._words) + codes[1::2])

    def count(self, texts: Sequence[str]) -> csr_matrix:
        """Return the counts of the terms in each text, (texts, terms) float32."""
        tokens = Tokens.split(texts)
        codes = self._codes(tokens.words)
        numbers, pair_texts = tokens.pairs(codes, len(self._words))
        found = self._pairs.get_indexer(numbers)
        rows = np.concatenate([tokens.texts[codes >= 0], pair_texts[found >= 0]])
        columns = np.concatenate([self._word_columns[codes[codes >= 0]], self._pair_columns[found[found >= 0]]])
        return _count(rows, columns, (tokens.rows, len(self.terms)))

    def _codes(self, words: pa.Array) -> np.ndarray:
        """Return the number of each word, or -1 if it is not known, (words,) int64."""
        encoded = words.dictionary_encode()
        numbers = self._words.get_indexer(encoded.dictionary.to_numpy(zero_copy_only=False))
        return numbers[encoded.indices.to_numpy()]


def _count(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> csr_matrix:
    """Count how often each (row, column) occurs."""
    from scipy.sparse import csr_matrix

    places, counts = np.unique(rows.astype(np.int64) * shape[1] + columns, return_counts=True)
    starts = np.searchsorted(places, np.arange(shape[0] + 1, dtype=np.int64) * shape[1])
    return csr_matrix((counts.astype(np.float32), places % shape[1], starts), shape)

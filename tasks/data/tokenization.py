"""Tokenization, vocabulary and token ids.

All work is done by pyarrow kernels on batches of some thousand reviews, in threads. The kernels release Python's global
interpreter lock, and batches limit the memory for any number of reviews.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from html import unescape
from html.entities import html5
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.data import token_patterns as patterns

Result = TypeVar("Result")
PADDING, UNKNOWN = 0, 1
FIRST_TOKEN_ID = 2
MAX_VOCABULARY_SIZE = 2**16
BATCH_REVIEWS = 4_000
ENCODED_SCHEMA = pa.schema(
    [
        ("review_id", pa.large_string()),
        ("split", pa.large_string()),
        ("label", pa.int8()),
        ("tokens", pa.large_list(pa.uint16())),
        ("length", pa.int32()),
    ]
)


def encode(
    reviews: pd.DataFrame | Path,
    *,
    vocabulary_size: int,
    max_tokens: int,
    tokenizer: str = "words",
    threads: int = 2,
) -> tuple[pa.Table, pd.DataFrame]:
    """Encode reviews with the most frequent tokens of their training split.

    Args:
        reviews: Columns review_id, split, label, text; or a Parquet file with them, which is read in batches.
        vocabulary_size: Number of different token ids, padding (0) and the unknown token (1) included; 3 to 65,536.
        max_tokens: Number of tokens kept of each review, at least 1. The last ones are kept, because a review usually
            ends with its verdict.
        tokenizer: Name in `token_patterns.TOKENS`.
        threads: Number of batches that are processed at the same time.

    Returns:
        The encoded reviews (`ENCODED_SCHEMA`), in the order of the reviews and without padding; and the vocabulary
        (see `build_vocabulary`).
    """
    training = (batch["text"] for batch in _batches(reviews, ["split", "text"]) for batch in [_training_rows(batch)])
    vocabulary = build_vocabulary(training, vocabulary_size=vocabulary_size, tokenizer=tokenizer, threads=threads)

    def encoded(batch: pa.RecordBatch) -> pa.Table:
        tokens = tokenize(batch["text"], vocabulary, max_tokens=max_tokens, tokenizer=tokenizer)
        columns = [batch["review_id"], batch["split"], batch["label"], tokens, pc.list_value_length(tokens)]
        return pa.table(columns, names=ENCODED_SCHEMA.names).cast(ENCODED_SCHEMA)

    columns = ["review_id", "split", "label", "text"]
    parts = list(_map_in_threads(encoded, _batches(reviews, columns), threads))
    return pa.concat_tables([ENCODED_SCHEMA.empty_table(), *parts]), vocabulary


def build_vocabulary(
    texts: Iterable[pa.Array], *, vocabulary_size: int, tokenizer: str = "words", threads: int = 2
) -> pd.DataFrame:
    """Return the most frequent tokens, ordered by frequency and then alphabetically.

    Args:
        texts: Batches of texts of the training reviews only, so that the test reviews do not leak into the vocabulary.
        vocabulary_size: Number of token ids; 3 to 65,536. Padding and the unknown token take two of them.
        tokenizer: Name in `token_patterns.TOKENS`.
        threads: Number of batches that are processed at the same time.

    Returns:
        Columns word (the token), count (its frequency in the texts), index (its token id, from 2; int32).

    Raises:
        ValueError: If `vocabulary_size` is out of range.
    """
    if not FIRST_TOKEN_ID < vocabulary_size <= MAX_VOCABULARY_SIZE:
        raise ValueError(
            f"vocabulary_size is {vocabulary_size}; allowed: {FIRST_TOKEN_ID + 1} to {MAX_VOCABULARY_SIZE}"
        )
    none = pa.table({"word": pa.array([], pa.large_string()), "count": pa.array([], pa.int64())})
    counts = pa.concat_tables([none, *_map_in_threads(partial(_count_tokens, tokenizer=tokenizer), texts, threads)])
    counts = counts.group_by("word").aggregate([("count", "sum")]).rename_columns(["word", "count"])
    order = pc.sort_indices(counts, sort_keys=[("count", "descending"), ("word", "ascending")])
    vocabulary: pd.DataFrame = counts.take(order[: vocabulary_size - FIRST_TOKEN_ID]).to_pandas()
    return vocabulary.assign(index=np.arange(len(vocabulary), dtype=np.int32) + FIRST_TOKEN_ID)


def tokenize(
    texts: pa.Array, vocabulary: pd.DataFrame, *, max_tokens: int, tokenizer: str = "words"
) -> pa.LargeListArray:
    """Return the token ids of texts.

    Args:
        texts: (reviews,) strings.
        vocabulary: Columns word and index, as from `build_vocabulary`.
        max_tokens: Number of tokens kept of each text, its last ones; at least 1.
        tokenizer: Name in `token_patterns.TOKENS`.

    Returns:
        (reviews,) lists of 1 to `max_tokens` token ids, uint16. A text without tokens becomes one unknown token,
        because models need at least one.

    Raises:
        ValueError: If `max_tokens` is less than 1.
    """
    if max_tokens < 1:
        raise ValueError(f"max_tokens is {max_tokens}; allowed: 1 or more")
    tokens = split_tokens(texts, tokenizer)
    ends = tokens.offsets.to_numpy()[1:]
    lengths = np.diff(tokens.offsets.to_numpy())
    from_the_end = np.repeat(ends, lengths) - np.arange(
        ends[0] - lengths[0] if len(ends) else 0, ends[-1] if len(ends) else 0
    )
    last = tokens.flatten().filter(pa.array(from_the_end <= max_tokens))
    positions = pc.index_in(last, value_set=pa.array(vocabulary["word"], pa.large_string()))
    known = pa.array(vocabulary["index"], pa.uint16()).take(positions)
    offsets = np.concatenate([[0], np.cumsum(np.minimum(lengths, max_tokens))])
    return pa.LargeListArray.from_arrays(
        pa.array(offsets, pa.int64()), pc.fill_null(known, pa.scalar(UNKNOWN, pa.uint16()))
    )


def split_tokens(texts: pa.Array, tokenizer: str = "words") -> pa.ListArray:
    """Split texts into lower-case tokens.

    `!`, `?`, emoji, common emoticons, hashtags and handles are tokens; other punctuation and HTML tags are removed.
    Scripts without spaces between words are split into characters, each with its combining marks.

    Args:
        texts: (reviews,) strings.
        tokenizer: Name in `token_patterns.TOKENS`.

    Returns:
        (reviews,) lists of strings; a text without tokens is one empty string.
    """
    return pc.ascii_split_whitespace(normalize_text(texts, tokenizer))


def normalize_text(texts: pa.Array, tokenizer: str = "words") -> pa.Array:
    """Return the tokens of each text with one space between them. Texts with equal results are equal to every model.

    Normalizing the result again does not change it.
    """
    plain = texts.cast(pa.large_string())
    plain = _replace_some(plain, pc.match_substring_regex(plain, patterns.REFERENCE), plain, _unescape)
    plain = _replace_some(plain, pc.invert(pc.string_is_ascii(plain)), plain, _simplify)
    plain = pc.replace_substring_regex(pc.utf8_lower(plain), patterns.TAG, " ")
    has_symbols = pc.match_substring_regex(plain, patterns.SYMBOLS[tokenizer])
    # Two expressions without groups are several times as fast as one with groups, which symbols need.
    tokens = pc.replace_substring_regex(plain, patterns.CHARACTERS[tokenizer], patterns.SPACED[tokenizer])
    tokens = pc.replace_substring_regex(tokens, patterns.SEPARATORS, " ")
    with_symbols = partial(_isolate_symbols, tokenizer=tokenizer)
    return pc.utf8_trim(_replace_some(tokens, has_symbols, plain, with_symbols), " '")


def _isolate_symbols(texts: pa.Array, tokenizer: str) -> pa.Array:
    """Return texts with one space between their tokens, some of which are symbols."""
    tokens = pc.replace_substring_regex(texts, patterns.TOKENS[tokenizer], patterns.GROUPS)
    return pc.replace_substring_regex(tokens, " +", " ")


def _replace_some(
    texts: pa.Array, chosen: pa.Array, sources: pa.Array, change: Callable[[pa.Array], pa.Array]
) -> pa.Array:
    """Return texts of which the chosen ones are made of their sources. Most texts need only some of the steps."""
    selected = sources.filter(chosen)
    return pc.replace_with_mask(texts, chosen, change(selected)) if len(selected) else texts


def _unescape(texts: pa.Array) -> pa.Array:
    """Return texts without character references of HTML. Texts that were escaped twice have them in two layers."""
    plain = texts.to_pylist()
    for _ in range(2):
        plain = [re.sub(patterns.REFERENCE, _resolve, text) for text in plain]
    return pa.array(plain, pa.large_string())


def _resolve(reference: re.Match[str]) -> str:
    """Return the character of a reference; an unknown name is left as it is."""
    name = reference[0].removeprefix("&")
    return unescape(reference[0]) if name.startswith("#") else html5.get(name, reference[0])


def _simplify(texts: pa.Array) -> pa.Array:
    """Return texts with one form of each character and apostrophe, and without modifiers."""
    plain = pc.replace_substring_regex(texts, patterns.MODIFIERS, "")
    plain = pc.utf8_normalize(plain, form="NFKC")
    return pc.replace_substring(plain, "\N{RIGHT SINGLE QUOTATION MARK}", "'")


def text_array(texts: Iterable[str]) -> pa.Array:
    """Return strings as an Arrow array; a lone surrogate, which UTF-8 cannot represent, becomes U+FFFD."""
    try:
        return pa.array(texts, pa.large_string())
    except UnicodeEncodeError:
        return pa.array(
            [text.encode("utf-8", "surrogatepass").decode("utf-8", "replace") for text in texts], pa.large_string()
        )


def _batches(reviews: pd.DataFrame | Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    if isinstance(reviews, Path):
        with pq.ParquetFile(reviews, pre_buffer=False, buffer_size=2**20, page_checksum_verification=True) as file:
            yield from file.iter_batches(BATCH_REVIEWS, columns=columns)
        return
    for start in range(0, len(reviews), BATCH_REVIEWS):
        part = reviews.iloc[start : start + BATCH_REVIEWS]
        yield pa.RecordBatch.from_pydict({name: _to_array(part[name]) for name in columns})


def _to_array(values: pd.Series) -> pa.Array:
    """Return a column as one array; in a concatenated frame it consists of several chunks."""
    array = text_array(values) if values.name == "text" else pa.array(values)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _training_rows(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.filter(pc.equal(batch["split"], "train"))


def _count_tokens(texts: pa.Array, tokenizer: str) -> pa.Table:
    counts = pc.value_counts(split_tokens(texts, tokenizer).flatten())
    table = pa.table({"word": counts.field("values"), "count": counts.field("counts")})
    return table.filter(pc.not_equal(table["word"], ""))


def _map_in_threads(
    work: Callable[[pa.RecordBatch], Result], items: Iterable[pa.RecordBatch], threads: int
) -> Iterator[Result]:
    """Map a function in threads, in order. Items are taken only when a thread is free, so later ones stay unread."""
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Future[Result]] = deque()
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > threads:
                yield pending.popleft().result()
        yield from (future.result() for future in pending)

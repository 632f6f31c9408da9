"""From text to numbers: words, the vocabulary of the training reviews, and the last tokens of each review.

Everything is done by pyarrow's kernels on chunks of some thousand reviews, in threads: they release the lock that
Python code would hold, and a chunk at a time keeps the memory bounded however many reviews there are.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Result = TypeVar("Result")
PADDING, UNKNOWN = 0, 1
FIRST_WORD = 2
LARGEST_VOCABULARY = 2**16
REVIEWS_AT_A_TIME = 4_000
LINE_BREAK = r"<br\s*/?>"
# What is no letter, mark, digit, underscore, apostrophe, ! or ? parts words, and takes the quotes around words with it.
BETWEEN_WORDS = r"'*[^\p{L}\p{M}\p{N}_'!?]+'*"
WITHOUT_BLANKS = "".join(
    rf"\p{{{script}}}" for script in ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan")
)
# What is a word of its own wherever it stands.
TOKENIZERS = {"words": rf"([!?]|[{WITHOUT_BLANKS}]\p{{M}}*)", "characters": r"([^\s\p{M}]\p{M}*)"}
ENCODED = pa.schema(
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
    """Encode reviews with the most frequent words of their training split.

    Args:
        reviews: The frame reviews (review_id, split, label, text), or a Parquet file of it, which is then read a few
            row groups at a time.
        vocabulary_size: Different numbers in the result, padding (0) and unknown (1) among them; 3 to 65,536.
        max_tokens: Tokens kept of each review, its last ones: a review ends with its verdict. At least 1.
        tokenizer: In `TOKENIZERS`.
        threads: Chunks that are worked on at once.

    Returns:
        The frame encoded (review_id, split, label, tokens, length), its rows in the order of the reviews, without
        padding; and the vocabulary (see `build_vocabulary`).
    """
    training = (batch["text"] for batch in _batches(reviews, ["split", "text"]) for batch in [_training_rows(batch)])
    vocabulary = build_vocabulary(training, vocabulary_size=vocabulary_size, tokenizer=tokenizer, threads=threads)

    def encoded(batch: pa.RecordBatch) -> pa.Table:
        tokens = tokenize(batch["text"], vocabulary, max_tokens=max_tokens, tokenizer=tokenizer)
        columns = [batch["review_id"], batch["split"], batch["label"], tokens, pc.list_value_length(tokens)]
        return pa.table(columns, names=ENCODED.names).cast(ENCODED)

    columns = ["review_id", "split", "label", "text"]
    parts = list(_in_threads(encoded, _batches(reviews, columns), threads))
    return pa.concat_tables([ENCODED.empty_table(), *parts]), vocabulary


def build_vocabulary(
    texts: Iterable[pa.Array], *, vocabulary_size: int, tokenizer: str = "words", threads: int = 2
) -> pd.DataFrame:
    """Number the most frequent words, the most frequent first and equally frequent ones in the order of their letters.

    Args:
        texts: Chunks of texts: of the training reviews only, or the test reviews would leak into the vocabulary.
        vocabulary_size: Padding and unknown are part of it, so that two words fewer are kept; 3 to 65,536.
        tokenizer: In `TOKENIZERS`.
        threads: Chunks that are worked on at once.

    Returns:
        Columns word, count (how often it stands in the texts), index (from 2).
    """
    if not FIRST_WORD < vocabulary_size <= LARGEST_VOCABULARY:
        raise ValueError(f"vocabulary_size is {vocabulary_size}; allowed: {FIRST_WORD + 1} to {LARGEST_VOCABULARY}")
    none = pa.table({"word": pa.array([], pa.large_string()), "count": pa.array([], pa.int64())})
    counts = pa.concat_tables([none, *_in_threads(partial(_count_words, tokenizer=tokenizer), texts, threads)])
    counts = counts.group_by("word").aggregate([("count", "sum")]).rename_columns(["word", "count"])
    order = pc.sort_indices(counts, sort_keys=[("count", "descending"), ("word", "ascending")])
    vocabulary: pd.DataFrame = counts.take(order[: vocabulary_size - FIRST_WORD]).to_pandas()
    return vocabulary.assign(index=np.arange(len(vocabulary), dtype=np.int32) + FIRST_WORD)


def tokenize(
    texts: pa.Array, vocabulary: pd.DataFrame, *, max_tokens: int, tokenizer: str = "words"
) -> pa.LargeListArray:
    """Turn texts into the numbers of their last words.

    Args:
        texts: (reviews,) strings.
        vocabulary: Columns word and index, as from `build_vocabulary`.
        max_tokens: Tokens kept of each text, its last ones; at least 1.
        tokenizer: In `TOKENIZERS`.

    Returns:
        (reviews,) lists of 1 to `max_tokens` uint16. A text without any word is one unknown token, so that a model
        has something to answer to.
    """
    if max_tokens < 1:
        raise ValueError(f"max_tokens is {max_tokens}; allowed: 1 or more")
    words = split_words(texts, tokenizer)
    ends = words.offsets.to_numpy()[1:]
    lengths = np.diff(words.offsets.to_numpy())
    from_the_end = np.repeat(ends, lengths) - np.arange(
        ends[0] - lengths[0] if len(ends) else 0, ends[-1] if len(ends) else 0
    )
    last = words.flatten().filter(pa.array(from_the_end <= max_tokens))
    places = pc.index_in(last, value_set=pa.array(vocabulary["word"], pa.large_string()))
    known = pa.array(vocabulary["index"], pa.uint16()).take(places)
    offsets = np.concatenate([[0], np.cumsum(np.minimum(lengths, max_tokens))])
    return pa.LargeListArray.from_arrays(
        pa.array(offsets, pa.int64()), pc.fill_null(known, pa.scalar(UNKNOWN, pa.uint16()))
    )


def split_words(texts: pa.Array, tokenizer: str = "words") -> pa.ListArray:
    """Split texts into lower-case words; `!` and `?` are words, too, other punctuation and HTML line breaks are none.

    Scripts that leave no blanks between words are split into characters, each with its marks: a model finds out itself
    which stand together.

    Returns:
        (reviews,) lists of strings; a text without any word is one empty string.
    """
    return pc.ascii_split_whitespace(normalise(texts, tokenizer))


def normalise(texts: pa.Array, tokenizer: str = "words") -> pa.Array:
    """Reduce texts to their words with one blank between: equal results are the same review to every model."""
    plain = pc.utf8_lower(pc.utf8_normalize(texts.cast(pa.large_string()), form="NFKC"))
    plain = pc.replace_substring(plain, "\N{RIGHT SINGLE QUOTATION MARK}", "'")
    plain = pc.replace_substring_regex(plain, LINE_BREAK, " ")
    plain = pc.replace_substring_regex(plain, TOKENIZERS[tokenizer], r" \1 ")
    plain = pc.replace_substring_regex(plain, BETWEEN_WORDS, " ")
    return pc.utf8_trim(plain, " '")


def text_array(texts: Iterable[str]) -> pa.Array:
    """Make an Arrow array of any strings; half a surrogate pair, which UTF-8 cannot hold, becomes U+FFFD."""
    try:
        return pa.array(texts, pa.large_string())
    except UnicodeEncodeError:
        return pa.array(
            [text.encode("utf-8", "surrogatepass").decode("utf-8", "replace") for text in texts], pa.large_string()
        )


def _batches(reviews: pd.DataFrame | Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    if isinstance(reviews, Path):
        with pq.ParquetFile(reviews, pre_buffer=False, buffer_size=2**20, page_checksum_verification=True) as file:
            yield from file.iter_batches(REVIEWS_AT_A_TIME, columns=columns)
        return
    for start in range(0, len(reviews), REVIEWS_AT_A_TIME):
        part = reviews.iloc[start : start + REVIEWS_AT_A_TIME]
        yield pa.RecordBatch.from_pydict({name: _column(part[name]) for name in columns})


def _column(values: pd.Series) -> pa.Array:
    """Make one array of a column, which lies in several pieces where a frame was put together from some."""
    array = text_array(values) if values.name == "text" else pa.array(values)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _training_rows(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.filter(pc.equal(batch["split"], "train"))


def _count_words(texts: pa.Array, tokenizer: str) -> pa.Table:
    counts = pc.value_counts(split_words(texts, tokenizer).flatten())
    table = pa.table({"word": counts.field("values"), "count": counts.field("counts")})
    return table.filter(pc.not_equal(table["word"], ""))


def _in_threads(
    work: Callable[[pa.RecordBatch], Result], items: Iterable[pa.RecordBatch], threads: int
) -> Iterator[Result]:
    """Map in threads, in order, with no more items taken than are worked on: the next ones stay unread."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        yield from (future.result() for future in waiting)

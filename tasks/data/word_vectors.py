"""Word vectors for the vocabulary of a comparison, as a table in the cache."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.config.errors import DamagedFileError, UserError
from tasks.config.escape import escape_terminal
from tasks.data.records import EncodedDataset, VectorTable, WordVectors
from tasks.data.vector_files import FoundVectors, read_vectors, vector_format
from tasks.storage import store, table_fingerprint
from tasks.storage.cache import cache_key, load_or_compute_table
from tasks.storage.layout import encoded_file, vectors_file, vectors_name, vocabulary_file
from tasks.storage.safe_parquet import VOCABULARY


@dataclass(frozen=True)
class VectorSource:
    """A file of word vectors whose format was checked.

    Attributes:
        path: The file.
        sha256: SHA-256 of its content, hexadecimal.
        size: Length of a vector.
        frozen: Whether training leaves the vectors as they are.
    """

    path: Path
    sha256: str
    size: int
    frozen: bool

    @classmethod
    def open(cls, path: Path | None, *, frozen: bool, embedding_size: int | None) -> Self | None:
        """Return the file with its checksum; None without a file.

        Args:
            path: The file, or None.
            frozen: Whether training leaves the vectors as they are.
            embedding_size: The embedding size that the user gave; None if it follows the file.

        Raises:
            UserError: If the file is not one of word vectors, or its vectors have another length.
        """
        if path is None:
            return None
        size = check_vectors(path, embedding_size)
        with path.open("rb") as file:
            return cls(path, hashlib.file_digest(file, "sha256").hexdigest(), size, frozen)

    @property
    def key(self) -> str:
        """Part of cache keys: the content of the file, not its path, and whether the vectors are trained."""
        return f"{self.sha256}{' frozen' if self.frozen else ''}"


def check_vectors(path: Path, embedding_size: int | None) -> int:
    """Return the length of the vectors in a file after a check of its first lines.

    Args:
        path: File of vectors.
        embedding_size: The embedding size that the user gave; None if it follows the file.

    Raises:
        UserError: If the file is not one of word vectors, or its vectors have another length.
    """
    size = vector_format(path).size
    if embedding_size not in (None, size):
        raise UserError(
            f"embedding_size: received {embedding_size}, but the vectors in {escape_terminal(path)} have {size} "
            "numbers. Leave `embedding_size` out: it follows the file."
        )
    return size


def add_vectors(encoded: EncodedDataset, source: VectorSource, cache: Path) -> tuple[WordVectors, bool]:
    """Read the vectors of the words in a vocabulary and store them in the cache, or find them there.

    Args:
        encoded: Encoded reviews.
        source: File of vectors.
        cache: Cache directory.

    Returns:
        The description of the vectors, and whether they were in the cache.

    Raises:
        UserError: If the file is wrong, or has no word of the vocabulary.
    """
    key = cache_key([vector_table], ["numpy", "pyarrow"], file=source.sha256, encoded=encoded.file)
    path = vectors_file(cache, vectors_name(key))

    def compute() -> tuple[pa.Table, VectorTable]:
        vocabulary = store.table(vocabulary_file(cache, encoded.vocabulary), VOCABULARY)
        reviews = store.table(encoded_file(cache, encoded.file), columns=["split", "tokens"])
        tokens = reviews.filter(pc.equal(reviews["split"], "train"))["tokens"]
        return vector_table(source.path, vocabulary, tokens, path.name)

    def check(record: VectorTable) -> None:
        if record.file != path.name or record.size != source.size:
            raise DamagedFileError(f"{escape_terminal(path)} belongs to other vectors")

    table, cached = load_or_compute_table(path, compute, VectorTable, check)
    fields = (table.file, table.fingerprint, table.size, table.words, table.vocabulary, table.token_share, table.note)
    return WordVectors(*fields, source=source.path.name, sha256=source.sha256, frozen=source.frozen), cached


def vector_table(path: Path, vocabulary: pa.Table, tokens: pa.ChunkedArray, name: str) -> tuple[pa.Table, VectorTable]:
    """Return the vectors of the words in a vocabulary.

    Args:
        path: File of vectors.
        vocabulary: Columns word and index (token id), as from `tokenization.build_vocabulary`.
        tokens: (training reviews,) lists of token ids.
        name: Name of the table in the cache.

    Returns:
        A table with a row for each word that has a vector, index (int32) and vector (list of float32), and its record.

    Raises:
        UserError: If the file is wrong, or has no word of the vocabulary.
    """
    words = vocabulary["word"].to_pylist()
    found = read_vectors(path, words)
    if not found.is_found.any():
        raise UserError(_describe_no_match(path, words, found))
    rows = np.flatnonzero(found.is_found)
    size = found.vectors.shape[1]
    index = vocabulary["index"].cast(pa.int32()).combine_chunks().take(pa.array(rows))
    offsets = pa.array(np.arange(len(rows) + 1) * size, pa.int64())
    vectors = pa.LargeListArray.from_arrays(offsets, pa.array(found.vectors[rows].ravel()))
    table = pa.table({"index": index, "vector": vectors})
    share = pc.mean(pc.is_in(pc.list_flatten(tokens).cast(pa.int32()), value_set=index).cast(pa.float64())).as_py()
    record = VectorTable(
        name, table_fingerprint.fingerprint(table), size, len(rows), len(words), float(share or 0), _note(found)
    )
    return table, record


def _describe_no_match(path: Path, words: Sequence[str], found: FoundVectors) -> str:
    examples = ", ".join(repr(escape_terminal(word, 30)) for word in words[:5])
    return (
        f"vectors: {escape_terminal(path)} has {found.words:,} words, but none of the {len(words):,} words in the "
        f"vocabulary, such as {examples}. Choose vectors for the language of the texts (those of characters if "
        "`tokenizer` is characters)."
    )


def _note(found: FoundVectors) -> str:
    """Return lines on what is unusual in the file; nothing for most files."""
    sentences = []
    if found.announced not in (None, found.words):
        sentences.append(
            f"The first line of this file announces {found.announced:,} words, and it has {found.words:,}."
        )
    if found.repeated:
        lines = "line repeats a word" if found.repeated == 1 else "lines repeat words"
        sentences.append(
            f"In this file, {found.repeated:,} {lines} of the vocabulary; the first vector of a word is used."
        )
    if found.not_utf8:
        words = "word of this file is" if found.not_utf8 == 1 else "words of this file are"
        sentences.append(f"{found.not_utf8:,} {words} not valid UTF-8 and therefore not used.")
    return "\n".join(sentences)


def stored_vectors(path: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors in the cache.

    Args:
        path: File of the table, see `vector_table`.
        size: Length of a vector.

    Returns:
        Token ids, (words,) int32; and their vectors, (words, size) float32.

    Raises:
        MissingFileError: If the file is not stored (completely).
        DamagedFileError: If it is damaged, or is not a table of such vectors.
    """
    table = store.table(path)
    kinds = {"index": pa.int32(), "vector": pa.large_list(pa.float32())}
    if table.schema.names != list(kinds) or any(table.schema.field(name).type != kind for name, kind in kinds.items()):
        raise DamagedFileError(f"{escape_terminal(path)} is not a table of word vectors")
    ids, values = table["index"].to_numpy(), pc.list_flatten(table["vector"]).to_numpy()
    if len(ids) * size != len(values) or not np.isfinite(values).all():
        raise DamagedFileError(f"{escape_terminal(path)} does not hold vectors of {size} numbers")
    return ids, values.reshape(len(ids), size)


def describe_vectors(vectors: WordVectors | None) -> list[str]:
    """Return sentences on the vectors and their coverage for the report; nothing without vectors."""
    if vectors is None:
        return []
    training = "were not trained" if vectors.frozen else "were trained further"
    coverage = (
        f"The embeddings of all networks started from the {vectors.size}-dimensional word vectors in {vectors.source} "
        f"(SHA-256 {vectors.sha256[:16]}…) and {training}. {vectors.words:,} of the {vectors.vocabulary:,} words in "
        f"the vocabulary ({vectors.words / vectors.vocabulary:.1%}) and {vectors.token_share:.1%} of the tokens of the "
        "training reviews have a vector; the others started at random. Baselines use no word vectors."
    )
    return [coverage, *filter(None, vectors.note.split("\n"))]

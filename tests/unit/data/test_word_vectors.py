"""Word vectors of a vocabulary: their table in the cache, and their coverage."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tasks.config.errors import DamagedFileError, UserError
from tasks.data.records import Dataset, EncodedDataset
from tasks.data.word_vectors import VectorSource, add_vectors, check_vectors, describe_vectors, stored_vectors
from tasks.storage import store
from tasks.storage.layout import encoded_file, vectors_file, vocabulary_file
from tests.helpers.vector_files import vector_lines, write_vectors

VECTORS = {"Good": (1.0, 2.0), "bad": (0.5, -0.5), "unseen": (9.0, 9.0)}
DATASET = Dataset(
    source="3 reviews", fingerprint="f" * 64, rows={"train": 2}, class_sizes={}, classes=("negative", "positive"),
    validation="given", duplicates=0, across_splits=0, caveats=(),
)  # fmt: skip


@pytest.fixture
def encoded(tmp_path: Path) -> EncodedDataset:
    """Store two training reviews and a test review: 2 is "film", 3 "good", 4 "bad"; 3 of 5 training tokens have one."""
    data = EncodedDataset("encoded-0.parquet", "vocabulary-0.parquet", "a" * 64, 1.0, DATASET)
    vocabulary = pd.DataFrame({"word": ["film", "good", "bad"], "count": [2, 2, 1], "index": np.int32([2, 3, 4])})
    store.write(vocabulary_file(tmp_path, data.vocabulary), vocabulary)
    tokens = pa.array([[2, 3], [1, 3, 4], [2, 2, 2, 2]], pa.large_list(pa.uint16()))
    store.write(encoded_file(tmp_path, data.file), pa.table({"split": ["train", "train", "test"], "tokens": tokens}))
    return data


def source(path: Path, vectors: dict[str, tuple[float, ...]] = VECTORS, *, frozen: bool = False) -> VectorSource:
    write_vectors(path, vector_lines(vectors))
    opened = VectorSource.open(path, frozen=frozen, embedding_size=None)
    assert opened
    return opened


def test_table_holds_the_vectors_of_the_vocabulary_and_their_coverage(encoded: EncodedDataset, tmp_path: Path) -> None:
    found, cached = add_vectors(encoded, source(tmp_path / "own.txt"), tmp_path)
    assert not cached
    assert (found.size, found.words, found.vocabulary, found.source) == (2, 2, 3, "own.txt")
    assert found.token_share == pytest.approx(3 / 5)
    ids, vectors = stored_vectors(vectors_file(tmp_path, found.file), 2)
    assert ids.tolist() == [3, 4]
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [[1, 2], [0.5, -0.5]]
    (sentence,) = describe_vectors(found)
    assert all(part in sentence for part in ("own.txt", "66.7%", "60.0%", "2 of the 3"))
    assert describe_vectors(None) == []


def test_cache_depends_on_content_and_not_on_the_path(encoded: EncodedDataset, tmp_path: Path) -> None:
    first, _ = add_vectors(encoded, source(tmp_path / "own.txt"), tmp_path)
    moved, cached = add_vectors(encoded, source(tmp_path / "moved.txt"), tmp_path)
    assert cached
    assert moved == replace(first, source="moved.txt")
    frozen, cached = add_vectors(encoded, source(tmp_path / "own.txt", frozen=True), tmp_path)
    assert cached
    assert (frozen.file, frozen.key == first.key) == (first.file, False)
    other, cached = add_vectors(encoded, source(tmp_path / "own.txt", VECTORS | {"bad": (0.5, 0.5)}), tmp_path)
    assert not cached
    assert other.key != first.key
    zipped, cached = add_vectors(encoded, source(tmp_path / "own.txt.gz"), tmp_path)
    assert not cached  # it is another file
    assert zipped.key == first.key  # with the same vectors


def test_damaged_table_is_read_again_from_the_source(encoded: EncodedDataset, tmp_path: Path) -> None:
    found, _ = add_vectors(encoded, source(tmp_path / "own.txt"), tmp_path)
    path = vectors_file(tmp_path, found.file)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedFileError):
        stored_vectors(path, 2)
    again, cached = add_vectors(encoded, source(tmp_path / "own.txt"), tmp_path)
    assert (again, cached) == (found, False)


@pytest.mark.parametrize(
    "table",
    [
        {"index": pa.array([2], pa.int32()), "vector": pa.array([[1.0, 2.0, 3.0]], pa.large_list(pa.float32()))},
        {"index": pa.array([2], pa.int32()), "vector": pa.array([[1.0, np.nan]], pa.large_list(pa.float32()))},
        {"index": pa.array([2], pa.int32()), "vector": pa.array([1.0])},
    ],
)
def test_other_tables_are_refused(table: dict[str, pa.Array], tmp_path: Path) -> None:
    store.write(tmp_path / "x.parquet", pa.table(table))
    with pytest.raises(DamagedFileError):
        stored_vectors(tmp_path / "x.parquet", 2)


@pytest.mark.failure_mode("wrong-vectors")
def test_vectors_without_a_word_in_common_are_refused(encoded: EncodedDataset, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"own\.txt.*'film', 'good', 'bad'"):
        add_vectors(encoded, source(tmp_path / "own.txt", {"gut": (1.0, 2.0)}), tmp_path)


def test_embedding_size_must_be_that_of_the_file(tmp_path: Path) -> None:
    path = source(tmp_path / "own.txt").path
    assert check_vectors(path, 2) == check_vectors(path, None) == 2
    with pytest.raises(UserError, match=r"embedding_size: received 64, .* have 2 numbers"):
        VectorSource.open(path, frozen=False, embedding_size=64)


def test_what_is_unusual_in_a_file_is_reported(encoded: EncodedDataset, tmp_path: Path) -> None:
    content = b"1000 2\ngood 1 2\ngood 3 4\ngood 5 6\n\xc3\xa9t\xc3\xa9 1 2\ncaf\xc3 7 8\n"
    path = write_vectors(tmp_path / "own.vec", content)
    found, _ = add_vectors(encoded, VectorSource(path, "0" * 64, 2, frozen=False), tmp_path)
    announced, repeated, not_utf8 = describe_vectors(found)[1:]
    assert "1,000" in announced
    assert "2 lines repeat" in repeated
    assert "1 word " in not_utf8

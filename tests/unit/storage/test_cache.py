"""Results are computed once and found in the cache as long as their inputs do not change."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect.logging import disable_run_logger
from pydantic.dataclasses import dataclass

from tasks.data.files import read_reviews
from tasks.encode import encode
from tasks.load import load
from tasks.storage import store
from tasks.storage.archives import Files, pack_files
from tasks.storage.cache import cache_key, load_or_compute, load_or_compute_table
from tests.helpers.examples import examples
from tests.helpers.pickles import Evil
from tests.helpers.warnings_logged import warnings_logged

FRAME = pd.DataFrame({"tokens": [[1, 2], [3]], "label": [0, 1]})


@dataclass(frozen=True)
class Rows:
    """A record of a table."""

    rows: int


def double(number: int) -> int:
    return 2 * number


def triple(number: int) -> int:
    return 3 * number


@pytest.fixture
def canary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("canary") / "ran"


class TableComputation:
    """Count how often a table is computed."""

    def __init__(self) -> None:
        self.calls = 0

    def compute(self) -> tuple[pd.DataFrame, Rows]:
        self.calls += 1
        return FRAME, Rows(2)

    def is_cached(self, path: Path) -> bool:
        """Load or compute the table; return whether it was in the cache."""
        record, cached = load_or_compute_table(path, self.compute, Rows)
        assert record == Rows(2)
        assert store.frame(path)["label"].tolist() == [0, 1]
        return cached


def test_files_in_the_cache_are_not_computed_again(tmp_path: Path) -> None:
    files = {"b.bin": bytes(range(256)), "a.txt": b"", "figures/c.svg": b"<svg/>"}
    calls: list[int] = []

    def compute() -> Files:
        calls.append(1)
        return files

    for _ in range(2):
        with warnings_logged() as messages:
            found, _ = load_or_compute(tmp_path / "figures" / "x.zip", compute, dict)
        assert found == files
        assert list(found) == list(files)
        assert messages == []
    assert len(calls) == 1


def test_damaged_files_are_computed_again_with_one_warning(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    load_or_compute(path, lambda: {"a": b"first"}, dict)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with warnings_logged() as messages:
        assert load_or_compute(path, lambda: {"a": b"second"}, dict) == ({"a": b"second"}, False)
        assert load_or_compute(path, dict, dict) == ({"a": b"second"}, True)
    (message,) = messages
    assert "x.zip" in message
    assert "checksum" in message


def test_equal_files_are_packed_into_equal_bytes() -> None:
    assert pack_files({"a": b"1", "b": b"2"}) == pack_files({"a": b"1", "b": b"2"})


def test_cache_key_changes_with_code_libraries_and_inputs() -> None:
    keys = [
        cache_key([double], ["numpy"], trials=["x"]),
        cache_key([triple], ["numpy"], trials=["x"]),
        cache_key([double], ["pandas"], trials=["x"]),
        cache_key([double], ["numpy"], trials=["y"]),
    ]
    assert len(set(keys)) == 4
    assert cache_key([double], ["numpy"], trials=["x"]) == keys[0]


@pytest.mark.failure_mode("damaged-file")
@examples(25, thorough=60)
@given(damage=st.sampled_from(["flip", "cut", "lose"]), of_checksum=st.booleans(), at=st.floats(0, 1, exclude_max=True))
def test_damaged_table_is_computed_again_with_one_warning(
    tmp_path_factory: pytest.TempPathFactory, damage: str, of_checksum: bool, at: float
) -> None:
    path, table = tmp_path_factory.mktemp("cache") / "x.parquet", TableComputation()
    assert [table.is_cached(path), table.is_cached(path)] == [False, True]
    target = path.with_name(f"{path.name}.sha256") if of_checksum else path
    content = bytearray(target.read_bytes())
    position = int(at * (64 if of_checksum else len(content)))
    content[position] ^= 1
    if damage == "lose":
        target.unlink()
    else:
        target.write_bytes(content if damage == "flip" else content[:position])
    with warnings_logged() as messages:
        assert [table.is_cached(path), table.is_cached(path)] == [False, True]
    assert table.calls == 2
    assert len(messages) == (0 if damage == "lose" else 1)
    assert all("x.parquet" in message for message in messages)


def prefect_record(canary: Path) -> bytes:
    """Return a result record of Prefect that names the pickle serializer for itself."""
    from prefect._internal.result_records import ResultRecord, ResultRecordMetadata
    from prefect.serializers import PickleSerializer

    metadata = ResultRecordMetadata(serializer=PickleSerializer(), storage_key="x")
    return ResultRecord(result=Evil(canary), metadata=metadata).serialize()


def parquet_with_a_pickled_type(canary: Path) -> bytes:
    """Return a Parquet file with a column whose type is a pickle, as old versions of pyarrow wrote and read it."""
    metadata = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(Evil(canary)),
    }
    schema = pa.schema([pa.field("text", pa.string(), metadata=metadata), pa.field("label", pa.int64())])
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"text": ["a", "b"], "label": [0, 1]}, schema=schema), sink)
    return bytes(sink.getvalue())


EVIL_RECORDS: dict[str, Callable[[Path], bytes]] = {
    "a pickle": lambda canary: pickle.dumps(Evil(canary)),
    "a record of Prefect": prefect_record,
    "NumPy": lambda canary: np.array([Evil(canary)], object).dumps(),
}


@pytest.mark.failure_mode("malicious-pickle")
@pytest.mark.parametrize("kind", EVIL_RECORDS)
def test_pickle_instead_of_a_table_is_replaced_and_never_unpickled(tmp_path: Path, canary: Path, kind: str) -> None:
    table = TableComputation()
    store.write(tmp_path / "x.parquet", EVIL_RECORDS[kind](canary))
    with warnings_logged() as messages:
        assert not table.is_cached(tmp_path / "x.parquet")
    (message,) = messages
    assert f"{tmp_path}/x.parquet" in message
    assert not canary.exists()


@pytest.mark.failure_mode("malicious-pickle")
def test_pickled_type_in_parquet_is_never_unpickled(tmp_path: Path, canary: Path) -> None:
    content = parquet_with_a_pickled_type(canary)
    store.write(tmp_path / "x.parquet", content)
    (tmp_path / "own.parquet").write_bytes(content)
    assert store.frame(tmp_path / "x.parquet")["text"].tolist() == ["a", "b"]
    assert read_reviews(tmp_path / "own.parquet").frame["text"].tolist() == ["a", "b"]
    assert not canary.exists()


@pytest.mark.failure_mode("changed-input")
def test_only_results_that_depend_on_a_change_are_computed_again(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(data: Path = tiny, words: int = 50, group: str | None = None, by: str = "words") -> tuple[str, str]:
        with disable_run_logger():
            loaded = load.fn(str(data), {"group": group}, tmp_path, tmp_path / "cache")
            encoded = encode.fn(loaded.data, 1.0, words, 12, by, tmp_path / "cache")
        return loaded.name, encoded.name

    assert run() == ("Completed", "Completed")
    assert run() == ("Cached", "Cached")
    assert run(words=40) == ("Cached", "Completed")
    assert run(by="characters") == ("Cached", "Completed")
    pd.read_csv(tiny).assign(author=np.arange(400) // 4).to_csv(tmp_path / "grouped.csv", index=False)
    assert run(tmp_path / "grouped.csv") == ("Completed", "Cached")
    assert run(tmp_path / "grouped.csv", group="author") == ("Completed", "Completed")
    shuffled = pd.read_csv(tiny).sample(frac=1, random_state=0)[["label", "text"]]
    shuffled.to_csv(tmp_path / "shuffled.csv", index=False)
    assert run(tmp_path / "shuffled.csv") == ("Completed", "Cached")  # other bytes, the same reviews
    shuffled.iloc[1:].to_csv(tmp_path / "shuffled.csv", index=False)
    assert run(tmp_path / "shuffled.csv") == ("Completed", "Completed")
    monkeypatch.setattr("tasks.storage.cache.library_version", lambda _: "0.0")
    assert run() == ("Completed", "Completed")


def test_cached_table_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, table = tmp_path / "x.parquet", TableComputation()
    load_or_compute_table(path, table.compute, Rows)
    monkeypatch.setattr(store, "read", pytest.fail)
    assert load_or_compute_table(path, table.compute, Rows) == (Rows(2), True)

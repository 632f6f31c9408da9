"""Loaded and encoded reviews come from the cache as they were made, or are made again."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prefect.logging import disable_run_logger

from tasks.data.files import read_reviews
from tasks.encode import encode
from tasks.load import load
from tasks.storage import store
from tasks.storage.prepared import prepared
from tests.unit.training.test_trained_models import Evil

FRAME = pd.DataFrame({"tokens": [[1, 2], [3]], "label": [0, 1]})


@pytest.fixture
def canary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("canary") / "ran"


class Making:
    """Counts how often the table was made, and keeps what was said."""

    def __init__(self) -> None:
        self.made, self.said = 0, []

    def make(self) -> tuple[pd.DataFrame, dict]:
        self.made += 1
        return FRAME, {"rows": 2}

    def prepare(self, path: Path) -> bool:
        notes, cached = prepared(path, self.make, self.said.append)
        assert notes == {"rows": 2}
        assert store.frame(path)["label"].tolist() == [0, 1]
        return cached


@pytest.mark.fault(9)
@settings(max_examples=60, deadline=None)
@given(damage=st.sampled_from(["flip", "cut", "lose"]), of_checksum=st.booleans(), at=st.floats(0, 1, exclude_max=True))
def test_what_is_damaged_is_made_again_and_said_once(
    tmp_path_factory: pytest.TempPathFactory, damage: str, of_checksum: bool, at: float
) -> None:
    path, making = tmp_path_factory.mktemp("prepared") / "x.parquet", Making()
    assert [making.prepare(path), making.prepare(path)] == [False, True]
    target = path.with_name(f"{path.name}.sha256") if of_checksum else path
    content = bytearray(target.read_bytes())
    position = int(at * (64 if of_checksum else len(content)))
    content[position] ^= 1
    if damage == "lose":
        target.unlink()
    else:
        target.write_bytes(content if damage == "flip" else content[:position])
    assert [making.prepare(path), making.prepare(path)] == [False, True]
    assert making.made == 2
    assert len(making.said) == (0 if damage == "lose" else 1)
    assert all("x.parquet" in said and "made again" in said for said in making.said)


def prefect_record(canary: Path) -> bytes:
    """Make a result record of Prefect, which names the pickle serializer for itself."""
    from prefect._internal.result_records import ResultRecord, ResultRecordMetadata
    from prefect.serializers import PickleSerializer

    metadata = ResultRecordMetadata(serializer=PickleSerializer(), storage_key="x")
    return ResultRecord(result=Evil(canary), metadata=metadata).serialize()


def parquet_with_a_pickled_type(canary: Path) -> bytes:
    """Make a Parquet file with a column whose type is a pickle, as old versions of pyarrow wrote and read it."""
    metadata = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(Evil(canary)),
    }
    schema = pa.schema([pa.field("text", pa.string(), metadata=metadata), pa.field("label", pa.int64())])
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"text": ["a", "b"], "label": [0, 1]}, schema=schema), sink)
    return bytes(sink.getvalue())


EVIL_RECORDS = {
    "a pickle": lambda canary: pickle.dumps(Evil(canary)),
    "a record of Prefect": prefect_record,
    "NumPy": lambda canary: np.array([Evil(canary)], object).dumps(),
}


@pytest.mark.fault(23)
@pytest.mark.parametrize("kind", EVIL_RECORDS)
def test_a_pickle_in_place_of_a_table_is_made_again_and_never_unpickled(
    tmp_path: Path, canary: Path, kind: str
) -> None:
    making = Making()
    store.write(tmp_path / "x.parquet", EVIL_RECORDS[kind](canary))
    assert not making.prepare(tmp_path / "x.parquet")
    assert making.said == [f"{tmp_path}/x.parquet is no Parquet file: made again"]
    assert not canary.exists()


@pytest.mark.fault(23)
def test_a_pickled_type_in_parquet_is_never_unpickled(tmp_path: Path, canary: Path) -> None:
    content = parquet_with_a_pickled_type(canary)
    store.write(tmp_path / "x.parquet", content)
    (tmp_path / "own.parquet").write_bytes(content)
    assert store.frame(tmp_path / "x.parquet")["text"].tolist() == ["a", "b"]
    assert read_reviews(tmp_path / "own.parquet")["text"].tolist() == ["a", "b"]
    assert not canary.exists()


@pytest.mark.fault(34)
def test_only_what_depends_on_a_change_is_made_again(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(data: Path = tiny, words: int = 50, group: str | None = None, by: str = "words") -> tuple[str, str]:
        with disable_run_logger():
            loaded = load.fn(str(data), "text", "label", None, group, tmp_path, tmp_path / "cache")
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
    for module in ("load", "encode"):
        monkeypatch.setattr(f"tasks.{module}.version", lambda _: "0.0")
    assert run() == ("Completed", "Completed")


def test_what_is_found_is_not_read_row_by_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, making = tmp_path / "x.parquet", Making()
    prepared(path, making.make, making.said.append)
    monkeypatch.setattr(store, "read", pytest.fail)
    assert prepared(path, making.make, making.said.append) == ({"rows": 2}, True)

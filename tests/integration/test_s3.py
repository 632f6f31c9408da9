"""Results in a bucket: a real S3 server (moto's) on 127.0.0.1."""

from pathlib import Path

import boto3
import pandas as pd
import pytest

from tasks.config.errors import UserError
from tasks.config.labels import BASELINE_NAMES
from tasks.config.parameters import Parameters
from tasks.reporting.run_directory import publish_run_dir
from tasks.storage import store
from tasks.storage.backends import storage_of
from tasks.storage.s3 import results_place
from tests.conftest import Command
from tests.helpers import runs


def objects() -> dict[str, bytes]:
    client = boto3.client("s3")
    found = client.list_objects_v2(Bucket="results").get("Contents", [])
    return {each["Key"]: client.get_object(Bucket="results", Key=each["Key"])["Body"].read() for each in found}


def test_object_is_read_unchanged_and_is_parquet(bucket: str, tmp_path: Path) -> None:
    path = results_place(bucket) / "cache" / "x.parquet"
    assert store.read(path) is None
    frame = pd.DataFrame({"seed": [1, 2]})
    frame.attrs["said"] = "so"
    with store.locked(path):
        store.write(path, frame)
    pd.testing.assert_frame_equal(store.frame(path), frame)
    assert store.frame(path).attrs == {"said": "so"}
    (tmp_path / "copy.parquet").write_bytes(objects()["team/one/cache/x.parquet"])
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "copy.parquet"), frame)
    assert store.sweep(results_place(bucket)) == []


@pytest.mark.parametrize("damage", ["flipped", "cut", "no checksum", "no object"])
def test_damaged_object_is_detected_and_missing_one_is_none(bucket: str, damage: str) -> None:
    path = results_place(bucket) / "cache" / "y.bin"
    store.write(path, b"12345678")
    client, key = boto3.client("s3"), "team/one/cache/y.bin"
    if damage.startswith("no"):
        client.delete_object(Bucket="results", Key=key + (".sha256" if damage == "no checksum" else ""))
        assert store.read_bytes(path) is None
    else:
        client.put_object(Bucket="results", Key=key, Body=b"12345679" if damage == "flipped" else b"1234")
        with pytest.raises(store.DamagedFileError, match="does not match its checksum"):
            store.read_bytes(path)
    store.write(path, b"again")
    assert store.read_bytes(path) == b"again"


@pytest.mark.parametrize(("content", "limit"), [(b"", 0), (b"", 9), (b"12345678", 8), (b"12345678", 7)])
def test_download_of_an_object_is_limited(bucket: str, content: bytes, limit: int) -> None:
    path = results_place(bucket) / "cache" / "z.bin"
    store.write(path, content)
    if limit < len(content):
        with pytest.raises(store.DamagedFileError, match="larger than 7 bytes"):
            store.read_bytes(path, limit)
    else:
        assert store.read_bytes(path, limit) == content


def test_run_is_uploaded_beside_earlier_ones(bucket: str) -> None:
    place = results_place(bucket)
    for _ in range(2):
        with storage_of(place).working_dir(place) as near:
            (near / "made" / "tables").mkdir(parents=True)
            (near / "made" / "tables" / "scores.csv").write_text("1")
            target = publish_run_dir(near / "made", place, "first")
        assert not near.exists()
    assert str(target) == "s3://results/team/one/runs/first-2"
    there = objects()
    assert there["team/one/latest"] == b"runs/first-2\n"
    assert {"team/one/runs/first/tables/scores.csv", "team/one/runs/first-2/tables/scores.csv"} <= set(there)


@pytest.mark.parametrize("wrong", ["bucket", "credentials", pytest.param("address", marks=pytest.mark.slow)])
def test_unwritable_bucket_is_rejected(bucket: str, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    if wrong == "credentials":
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    elif wrong == "address":
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    place = "s3://nowhere/x" if wrong == "bucket" else bucket
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()
    with pytest.raises(UserError, match=f"results: {place} cannot be written to: .+ Check the bucket's name"):
        results_place(place)
    S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize("address", ["s3://key:secret@bucket/x", "s3://", "gs://bucket/x", "s3://bucket/../x?y"])
def test_results_url_must_be_s3_without_credentials(address: str) -> None:
    with pytest.raises(UserError, match=r"results.*s3://bucket/prefix"):
        Parameters.from_user(results=address)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.storage.s3.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install s3fs universal-pathlib"):
        results_place("s3://bucket/x")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["processes", "dask"])
def test_second_run_over_a_bucket_finds_all_trials(bucket: str, compare: Command, engine: str) -> None:
    place = f"{bucket}/{engine}"
    first, second = (compare("--results", place, "--engine", engine) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    trained = [runs.count_trainings(done.stderr) for done in (first, second)]
    assert trained == [1 + len(BASELINE_NAMES), 0]
    assert f"Report: {place}/runs/" in second.stdout
    named = objects()[f"team/one/{engine}/latest"].decode().strip()
    assert f"team/one/{engine}/{named}/report.html" in objects()
    assert not any(b"secret" in content for key, content in objects().items() if "run.json" in key)

"""Whatever lies in a results folder or an exported model is read, made again, or refused in one message."""

import hashlib
import io
import json
import os
import resource
import shutil
import signal
import socket
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tasks.config.errors import DamagedFileError, MissingFileError, UserError
from tasks.data.records import Dataset, EncodedFiles
from tasks.encode import check_encoded_files
from tasks.evaluation.trial_evaluation import load_or_compute_evaluation
from tasks.figures.render import parse_files
from tasks.inference.exported_model import export_model
from tasks.inference.predictor import load_predictor
from tasks.inference.selection import ModelSelection, select_models
from tasks.nightly import history
from tasks.nightly.history import HistoryPartition
from tasks.nightly.trend import nightly_tables
from tasks.reporting.run_diff import compare_runs
from tasks.statistics.evaluation_tables import parse_frames
from tasks.storage import safe_files, safe_parquet, store
from tasks.storage.archives import pack_files, unpack_files
from tasks.storage.cache import load_or_compute, load_or_compute_table
from tasks.storage.runs import open_run
from tasks.storage.trials import read_result, read_trial
from tasks.training.trained_models import read_vocabulary
from tests.helpers.subcommands import run_subcommand
from tests.helpers.warnings_logged import warnings_logged

pytestmark = [pytest.mark.usefixtures("with_tensorflow"), pytest.mark.failure_mode("malicious-model-file")]

REFUSED = (UserError, DamagedFileError, MissingFileError)
QUICK = settings(max_examples=25, suppress_health_check=list(HealthCheck))
DEEP = settings(max_examples=1_500, suppress_health_check=list(HealthCheck))


@contextmanager
def bounded(seconds: int = 60, megabytes: int = 400) -> Iterator[None]:
    """Fail where reading hangs, or takes more memory than small files need."""

    def ring(*_: object) -> None:
        raise AssertionError(f"no end after {seconds} s")

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    old = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < megabytes, f"{grown:.0f} MB"


# What may happen to a file.


def flip(path: Path, data: st.DataObject) -> None:
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)


def cut(path: Path, data: st.DataObject) -> None:
    os.truncate(path, data.draw(st.integers(0, path.stat().st_size)))


def empty(path: Path, _: st.DataObject) -> None:
    path.write_bytes(b"")


def grow(path: Path, _: st.DataObject) -> None:
    os.truncate(path, 2**40)  # sparse: it takes no room


def fifo(path: Path, _: st.DataObject) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path, _: st.DataObject) -> None:
    path.unlink()
    path.mkdir()


def endless(path: Path, _: st.DataObject) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def elsewhere(path: Path, _: st.DataObject) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


def listening(path: Path, _: st.DataObject) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(path.parent, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{here}/{path.name}")  # the path itself may be longer than a socket's name
        os.close(here)


def lost(path: Path, _: st.DataObject) -> None:
    path.unlink()


def another(path: Path, data: st.DataObject) -> None:
    path.write_bytes(data.draw(st.sampled_from([b"[1", b'"hi"', b"null", b"PK\5\6" + bytes(18), b"[" * 10_000, b"{}"])))


def other_values(path: Path, data: st.DataObject) -> None:
    """Edit the content itself, as somebody does who knows the format."""
    if path.suffix == ".parquet":
        path.write_bytes(other_table(path.read_bytes(), data))
    elif path.suffix == ".json":
        path.write_bytes(json.dumps(other_json(json.loads(path.read_text()), data)).encode())
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        if files:
            name = data.draw(st.sampled_from(sorted(files)))
            table = files[name].startswith(b"PAR1")
            files[name] = other_table(files[name], data) if table else data.draw(st.binary(max_size=9))
        path.write_bytes(pack_files(files))
    elif path.suffix == ".safetensors":
        from safetensors.numpy import load, save

        arrays = load(path.read_bytes())
        name = data.draw(st.sampled_from(sorted(arrays)))
        edit = data.draw(st.sampled_from([
            lambda a: a * np.float32("nan"), lambda a: a[:1], lambda a: a[None], lambda a: a.astype(np.int64),
            lambda a: np.concatenate([a, a]), lambda a: a[:0],
        ]))  # fmt: skip
        path.write_bytes(save(arrays | {name: np.ascontiguousarray(edit(arrays[name]))}))


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just("\x1b[2J"), st.just("x" * 300),
    st.just([]), st.just({}), st.just([[[]]]), st.just("../../x"),
)  # fmt: skip


def other_json(value: dict, data: st.DataObject) -> dict:
    name = data.draw(st.sampled_from(sorted(value)))
    if isinstance(value[name], dict) and value[name] and data.draw(st.booleans()):
        return value | {name: other_json(value[name], data)}
    if data.draw(st.booleans()):
        return {key: each for key, each in value.items() if key != name}
    return value | {data.draw(st.sampled_from([name, "\x1b"])): data.draw(ODD)}


def other_table(content: bytes, data: st.DataObject) -> bytes:
    table = pq.read_table(io.BytesIO(content))
    place = data.draw(st.integers(0, table.num_columns - 1))
    name, kind = table.schema.names[place], table.schema.types[place]
    columns = {
        "null": pa.nulls(len(table), kind), "text": pa.array(["\x1b[2J"] * len(table)),
        "number": pa.array([-1.5] * len(table)), "list": pa.array([[1]] * len(table)),
        "date": pa.array([0] * len(table), pa.date32()),
    }  # fmt: skip
    how = data.draw(st.sampled_from([*columns, "drop", "no rows", "twice", "rename", "notes", "some rows"]))
    if how in columns:
        table = table.set_column(place, name, columns[how])
    elif how == "drop":
        table = table.drop_columns([name])
    elif how == "no rows":
        table = table.slice(0, 0)
    elif how == "some rows":
        table = table.slice(0, len(table) // 2)
    elif how == "twice":
        table = pa.concat_tables([table, table])
    elif how == "rename":
        table = table.rename_columns(["\x1b" if each == name else each for each in table.column_names])
    else:
        table = table.replace_schema_metadata({b"pandas": data.draw(st.sampled_from([b"[" * 9_999, b"{}", b"1"]))})
    return store.parquet(table)


EDITS = [flip, cut, empty, grow, fifo, folder, endless, elsewhere, listening, lost, another, other_values]


def edited(path: Path, data: st.DataObject) -> None:
    """Do something to a file, and perhaps correct its checksum."""
    edit = data.draw(st.sampled_from([*EDITS, other_values, other_values, flip]))  # these reach further
    if path.stat().st_size == 0 and edit is flip:
        return
    edit(path, data)
    beside = path.with_name(f"{path.name}.sha256")
    small = path.is_file() and not path.is_symlink() and path.stat().st_size < 2**30
    if beside.is_file() and small and data.draw(st.booleans() if edit is flip else st.just(True)):
        beside.write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")


@pytest.fixture(scope="module")
def models(past: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    run, found = open_run(past, None), {}
    for architecture in ("simple_rnn", "nb_svm", "tfidf_logistic", "averaged_embeddings", "majority"):
        (model,) = select_models(run, ModelSelection(architecture=architecture))
        found[architecture] = export_model(run, model, tmp_path_factory.mktemp("models") / architecture)
        load_predictor(ModelSelection(model=found[architecture]))  # what is imported takes time and memory
    return found


def try_a_model(models: dict[str, Path], folder: Path, data: st.DataObject) -> None:
    shutil.copytree(models[data.draw(st.sampled_from(sorted(models)))], folder)
    edited(data.draw(st.sampled_from(sorted(folder.iterdir()))), data)
    (folder / "added").symlink_to("/dev/zero")
    with bounded():
        try:
            answers = load_predictor(ModelSelection(model=folder)).predict(["a good film", ""])
        except REFUSED as error:
            assert len(str(error)) < 2_000
            assert str(error).isprintable()
        else:
            assert answers["probability"].between(0, 1).all()


@QUICK
@given(data=st.data())
def test_changed_exported_model_predicts_or_is_rejected(
    models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    try_a_model(models, tmp_path_factory.mktemp("model") / "x", data)


@pytest.mark.slow
@DEEP
@given(data=st.data())
def test_changed_exported_model_predicts_or_is_rejected_many_examples(
    models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    try_a_model(models, tmp_path_factory.mktemp("model") / "x", data)


# The files of a results folder, each with what reads it.


def read_run(place: Path, _: Path) -> None:
    load_predictor(ModelSelection(results=str(place), architecture="nb_svm")).predict(["good"])


def read_twice(place: Path, _: Path) -> None:
    compare_runs(open_run(place, "first"), open_run(place, "first"))


def read_summary(place: Path, _: Path) -> None:
    run = open_run(place, None)
    (model,) = select_models(run, ModelSelection(architecture="nb_svm"))
    export_model(run, model, place / "exported")


def read_cached_trial(place: Path, path: Path) -> None:
    facts = read_trial(place / "cache", path.name.split(".")[0])
    assert facts is None or facts.status == "finished"


def read_trial_evaluation(place: Path, path: Path) -> None:
    result = read_result(place / "cache", path.name.split(".")[0])
    check_computed_again(lambda: load_or_compute_evaluation(result, place / "cache"))


def read_words(place: Path, path: Path) -> None:
    read_vocabulary(path, open_run(place, None).recipe)


def check_computed_again(read: Callable[[], object]) -> None:
    """Read a file of the cache twice and check that damage is logged at most once."""
    with warnings_logged() as messages:
        read()
        assert len(messages) <= 1
        assert read() is not None
    assert len(messages) <= 1
    assert all(line.isprintable() and len(line) < 1_000 for line in messages)


def read_notes(place: Path, path: Path) -> None:
    counts, sizes = {"train": 1}, {"train": (1, 0)}
    record: Dataset | EncodedFiles = (
        Dataset("", "0" * 64, counts, sizes, ("a", "b"), "given", 0, 0, (), {}, path.name)
        if path.name.startswith("reviews")
        else EncodedFiles(path.name, "x", "0" * 64)
    )
    table = pd.DataFrame({"text": ["a"]})
    check_computed_again(lambda: load_or_compute_table(path, lambda: (table, record), type(record)))


def read_evaluation(place: Path, path: Path) -> None:
    whole = unpack_files((place / "whole.zip").read_bytes(), path)
    check_computed_again(lambda: load_or_compute(path, lambda: whole, lambda files: parse_frames(files, path))[0])


def read_figure(place: Path, path: Path) -> None:
    check_computed_again(lambda: load_or_compute(path, dict, lambda files: parse_files(files, "x", path))[0])


def read_history(place: Path, _: Path) -> None:
    with warnings_logged() as messages:
        found = history.read_history(place)
    assert len(messages) <= 1
    if len(found):
        nightly_tables(found, HistoryPartition(found["data"].iloc[0], found["configuration"].iloc[0]))


READERS: dict[str, Callable[[Path, Path], None]] = {
    "runs/first/run.json": read_run, "runs/first/tables/trials.parquet": read_run,
    "runs/first/tables/scores.parquet": read_run, "runs/first/tables/calibration.parquet": read_run,
    "runs/first/tables/predictions.parquet": read_twice, "runs/first/tables/summary.parquet": read_summary,
    "cache/trials/*.parquet": read_cached_trial, "cache/trials/*.safetensors": read_cached_trial,
    "cache/trials/*.sha256": read_cached_trial, "cache/trials/*.zip": read_trial_evaluation,
    "cache/encoded/vocabulary-*": read_words, "cache/encoded/encoded-*": read_notes,
    "cache/reviews/reviews-*": read_notes,
    "cache/evaluations/*": read_evaluation, "cache/figures/*": read_figure, "history/*/*/*.*": read_history,
}  # fmt: skip


def try_results(past: Path, place: Path, data: st.DataObject) -> None:
    pattern = data.draw(st.sampled_from(sorted(READERS)))
    shutil.copytree(past, place, symlinks=True)
    shutil.copy(next((past / "cache" / "evaluations").glob("*.zip")), place / "whole.zip")
    path = data.draw(st.sampled_from(sorted(path for path in place.glob(pattern) if path.is_file())))
    edited(path, data)
    with bounded():
        try:
            READERS[pattern](place, path.with_name(path.name.removesuffix(".sha256")))
        except REFUSED as error:
            assert len(str(error)) < 2_000
            assert str(error).replace("\n", "").isprintable()
    shutil.rmtree(place)


@QUICK
@given(data=st.data())
def test_changed_results_are_read_recomputed_or_rejected(
    past: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    try_results(past, tmp_path_factory.mktemp("results") / "x", data)


@pytest.mark.slow
@DEEP
@given(data=st.data())
def test_changed_results_are_read_recomputed_or_rejected_many_examples(
    past: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    try_results(past, tmp_path_factory.mktemp("results") / "x", data)


# Single inputs, with what is said of them.


def corrected(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.with_name(f"{path.name}.sha256").write_text(f"{hashlib.sha256(content).hexdigest()}  {path.name}\n")


@pytest.mark.parametrize(
    "edit", [fifo, folder, endless, elsewhere, listening, grow], ids=lambda edit: edit.__name__
)  # fmt: skip
def test_only_regular_files_of_limited_size_are_read(tmp_path: Path, edit: Callable[..., None]) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"content")
    assert safe_files.read_limited(path, 7) == b"content"
    with pytest.raises(DamagedFileError, match="larger than 6 bytes"):
        safe_files.read_limited(path, 6)
    edit(path, None)
    with bounded(), pytest.raises(DamagedFileError, match=r"regular file|symbolic link|larger than"):
        safe_files.read_limited(path, 10**6)
    with bounded(), pytest.raises(DamagedFileError, match="no regular file"):
        safe_files.read_limited(Path("/dev/zero"), 10**6)


def test_vocabulary_size_is_checked_before_decoding(tmp_path: Path) -> None:
    rows, word = 3_000_000, "x" * 100_000  # 300 GB, if it were spelled out
    texts = pa.DictionaryArray.from_arrays(np.zeros(1_000, np.int32), pa.array([word]))
    many = pa.table({"index": np.zeros(rows, np.int32)})
    long = pa.table({"word": pa.chunked_array([texts] * 60)})
    for name, table, said in (("many", many, "more than 65,536 rows"), ("long", long, "more than 33,554,432 bytes")):
        sink = io.BytesIO()
        pq.write_table(table, sink, compression="zstd")
        assert len(sink.getvalue()) < 100_000
        with bounded(megabytes=200), pytest.raises(DamagedFileError, match=said):
            safe_parquet.parquet_table(sink.getvalue(), tmp_path / name, safe_parquet.VOCABULARY)


@pytest.mark.parametrize("change", [-1, 1, 5_000], ids=str)
def test_vocabulary_with_wrong_indices_is_rejected(tmp_path: Path, past: Path, change: int) -> None:
    run = open_run(past, None)
    words = store.frame(run.vocabulary_path)
    store.write(tmp_path / "v.parquet", words.assign(index=words["index"] + change))
    with pytest.raises(DamagedFileError, match="indices that do not count from 2"):
        read_vocabulary(tmp_path / "v.parquet", run.recipe)


def test_message_about_model_card_contains_no_content(
    models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(models["nb_svm"], tmp_path / "model")
    card = json.loads((tmp_path / "model" / "model.json").read_text())
    long = "secret" * 9_999
    for change in (
        {"recipe": {"units": {"secret": long}}},
        {"classes": ["secret\x1b", "b"]},
        {"secret": 1},
    ):
        corrected(tmp_path / "model" / "model.json", json.dumps(card | change).encode())
        assert run_subcommand("predict", "--model", str(tmp_path / "model"), "x") == 1
        said = capsys.readouterr().err
        assert "model.json is not valid" in said
        assert len(said) < 1_000
        assert "\x1b" not in said
        assert "secretsecret" not in said


def test_oversized_recipe_is_rejected(models: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(models["simple_rnn"], tmp_path / "model")
    card = json.loads((tmp_path / "model" / "model.json").read_text())
    card["recipe"] |= {"vocabulary_size": 65_535, "embedding_size": 4_096, "units": 4_096}
    corrected(tmp_path / "model" / "model.json", json.dumps(card).encode())
    with bounded(), pytest.raises(DamagedFileError, match=r"weights\.safetensors contains too few"):
        load_predictor(ModelSelection(model=tmp_path / "model"))


@pytest.mark.parametrize("content", [b"[1", b'"hi"', b"[" * 100_000, b"{}", b""], ids=range(5))
def test_damaged_run_info_results_in_one_message(
    past: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    shutil.copytree(past, tmp_path / "x", symlinks=True)
    (tmp_path / "x" / "runs" / "first" / "run.json").write_bytes(content)
    for command, words in (("predict", ["x"]), ("diff", ["first", "first"])):
        code = run_subcommand(command, "--results", str(tmp_path / "x"), *words)
        said = capsys.readouterr().err
        assert code == 1
        assert "run.json is not valid" in said
        assert len(said.splitlines()) == 1


@pytest.mark.parametrize("target", ["/etc", "..", "runs/../..", "runs/first/tables"])
def test_latest_is_followed_only_to_runs_of_the_same_results(past: Path, tmp_path: Path, target: str) -> None:
    shutil.copytree(past, tmp_path / "x", symlinks=True)
    assert open_run(tmp_path / "x", None).name == "first"
    (tmp_path / "x" / "latest").unlink()
    (tmp_path / "x" / "latest").symlink_to(target)
    with pytest.raises(UserError, match="latest does not point to a run"):
        open_run(tmp_path / "x", None)
    (tmp_path / "linked").symlink_to(past)
    assert open_run(tmp_path / "linked", None).name == "first"


@pytest.mark.parametrize("kind", ["bomb", "no archive", "twice"])
def test_damaged_archive_is_computed_again_within_limits(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.zip"
    load_or_compute(path, lambda: {"a": b"1"}, dict)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED if kind == "bomb" else zipfile.ZIP_STORED) as archive:
        archive.writestr("a", bytes(500 * 2**20) if kind == "bomb" else b"2")
        if kind == "twice":
            with pytest.warns(UserWarning, match="Duplicate name"):
                archive.writestr("a", b"3")
    corrected(path, b"hi" if kind == "no archive" else content.getvalue())
    with bounded(megabytes=100), warnings_logged() as messages:
        assert load_or_compute(path, lambda: {"a": b"1"}, dict) == ({"a": b"1"}, False)
    assert len(messages) == 1
    assert load_or_compute(path, dict, dict) == ({"a": b"1"}, True)


def test_encoded_record_names_only_its_own_files(past: Path, tmp_path: Path) -> None:
    (path,) = (past / "cache" / "encoded").glob("encoded-*.parquet")
    files = TypeAdapter(EncodedFiles).validate_json(store.metadata(path)[b"record"])
    check_encoded_files(files, path, path.with_name(files.vocabulary))
    with pytest.raises(DamagedFileError, match="names other files"):
        check_encoded_files(replace(files, vocabulary="../../other.parquet"), path, path.with_name(files.vocabulary))


def test_unknown_history_partitions_are_skipped(past: Path, tmp_path: Path) -> None:
    shutil.copytree(past / "history", tmp_path / "history")
    (file,) = tmp_path.glob("history/*/*/*.parquet")
    other = tmp_path / "history" / "data=\x1b[2J" / "configuration=x"
    shutil.copytree(file.parent, other)
    with warnings_logged() as messages:
        assert len(history.read_history(tmp_path)) == 6
    assert len(messages) == 1
    assert messages[0].isprintable()

"""Word vectors in real runs: weights, cache, nightly runs, search, Dask, a bucket, prediction, export, user errors."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import boto3
import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from tasks.data.tokenization import text_array, tokenize
from tasks.inference.model_card import ONNX_FILE, VOCABULARY_FILE
from tasks.inference.predictor import load_predictor
from tasks.inference.selection import ModelSelection
from tasks.models.baselines import BASELINES
from tasks.nightly.history import read_history
from tasks.storage import store
from tests.conftest import TINY, command
from tests.helpers.predictors import run_onnx_model
from tests.helpers.subcommands import run_subcommand
from tests.helpers.vector_files import vector_lines, write_vectors

# "plot" and "actors" have no vector, and the numbers in the reviews have none either.
WORDS = ["a", "Film", "with", "some", "and", "many", "in", "it", "good", "bad", "unseen"]
VECTORS = {word: np.round(np.linspace(row, row + 1, 5), 3).tolist() for row, word in enumerate(WORDS)}


def run(api: str, tiny: Path, results: Path | str, name: str, options: Sequence[str]) -> str:
    given = TINY | {"--data": str(tiny), "--results": str(results), "--run-name": name}
    words = [word for option in given.items() for word in option]
    done = command(*words, *options, environment={"PREFECT_API_URL": api})
    assert done.returncode == 0, done.stderr
    return " ".join((done.stderr + done.stdout).replace("│", " ").split())


@pytest.fixture(scope="module")
def frozen(api: str, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results folder of the run `first` with the frozen vectors in `own.vec.gz` beside it.

    Tests must not change it.
    """
    folder = tmp_path_factory.mktemp("frozen")
    path = write_vectors(folder / "own.vec.gz", vector_lines(VECTORS, header=True))
    run(api, tiny, folder / "results", "first", ["--vectors", str(path), "--vectors-frozen"])
    return folder / "results"


@pytest.fixture(scope="module")
def weights(frozen: Path) -> Path:
    """Return the file of the weights of the only network of the run."""
    (file,) = (frozen / "cache" / "trials").glob("simple_rnn-*.safetensors")
    return file


@pytest.mark.slow
def test_weights_hold_the_vectors_and_the_report_names_them(frozen: Path, weights: Path) -> None:
    info = json.loads((frozen / "runs" / "first" / "run.json").read_text())
    assert (info["vectors"]["words"], info["vectors"]["size"], info["vectors"]["frozen"]) == (10, 5, True)
    assert 0 < info["vectors"]["token_share"] < 1
    assert "--vectors-frozen" in info["command"]
    assert any("own.vec.gz" in caveat for caveat in info["caveats"])
    vocabulary = pd.read_parquet(frozen / "cache" / "encoded" / info["vocabulary"]).set_index("word")["index"]
    embedding = load_file(weights)["embedding/embeddings"]
    for word, vector in VECTORS.items():
        if word != "unseen":
            np.testing.assert_array_equal(embedding[vocabulary[word.lower()]], np.float32(vector))
    assert np.abs(embedding[vocabulary["plot"]]).max() <= 0.05  # as Keras draws it


@pytest.mark.slow
@pytest.mark.usefixtures("with_tensorflow")
def test_run_exported_model_and_onnx_model_predict_the_same(frozen: Path, tmp_path: Path) -> None:
    texts, folder = ["a good film", "bad plot", "many unseen words", ""], tmp_path / "model"
    given = ["--results", str(frozen), "--architecture", "simple_rnn", "--output", str(folder), "--onnx"]
    assert run_subcommand("export", *given) == 0
    of_run = load_predictor(ModelSelection(results=str(frozen), architecture="simple_rnn")).predict(texts)
    exported = load_predictor(ModelSelection(model=folder)).predict(texts)
    np.testing.assert_array_equal(exported["probability"], of_run["probability"])
    tokens = tokenize(text_array(texts), store.frame(folder / VOCABULARY_FILE), max_tokens=12).to_pylist()
    token_ids = np.array([each + [0] * (12 - len(each)) for each in tokens])
    probabilities = run_onnx_model(store.read_bytes(folder / ONNX_FILE), token_ids)
    np.testing.assert_allclose(probabilities, of_run["probability"], atol=1e-5)
    assert np.ptp(probabilities) > 0.01


@pytest.mark.slow
def test_workers_of_dask_read_vectors_from_a_bucket_and_train_the_same_weights(
    api: str, tiny: Path, frozen: Path, weights: Path, bucket: str
) -> None:
    options = ["--vectors", str(frozen.parent / "own.vec.gz"), "--vectors-frozen", "--engine", "dask"]
    run(api, tiny, bucket, "bucket", options)
    stored = boto3.client("s3").get_object(Bucket="results", Key=f"team/one/cache/trials/{weights.name}")
    assert hashlib.sha256(stored["Body"].read()).digest() == hashlib.sha256(weights.read_bytes()).digest()


@pytest.mark.slow
def test_content_of_the_file_decides_what_nightly_runs_train_search_and_compare(
    api: str, tiny: Path, frozen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    shutil.copytree(frozen, results, symlinks=True)  # with trained baselines

    def night(day: int, path: Path, *options: str) -> str:
        date = ["--nightly-date", f"2026-01-0{day}", "--new-seeds", "1", "--tune", "2", *options]
        return run(api, tiny, results, f"night{day}", ["--vectors", str(path), *date])

    path = write_vectors(tmp_path / "own.vec", vector_lines(VECTORS))
    night(1, path)
    moved = path.rename(tmp_path / "moved.vec")
    assert "training 1." in night(2, moved)  # its own seed: search and baselines are known
    write_vectors(moved, vector_lines(VECTORS | {"good": [9.0] * 5}))
    night(3, moved)
    tuning = [pd.read_parquet(results / "runs" / f"night{day}" / "tables" / "tuning.parquet") for day in (1, 2, 3)]
    assert [each["embedding_size"].tolist() for each in tuning] == [[5, 5]] * 3
    assert tuning[0]["weights"].tolist() == tuning[1]["weights"].tolist()
    assert set(tuning[0]["weights"]).isdisjoint(tuning[2]["weights"])

    history = read_history(results)
    nights = history[(history["new_seeds"] > 0) & ~history["architecture"].isin(BASELINES)]
    configurations = nights.groupby("run")["configuration"].unique().map("".join)
    assert configurations["night1"] == configurations["night2"] != configurations["night3"]
    assert pd.read_parquet(results / "runs" / "night3" / "tables" / "nights.parquet")["earlier_values"].tolist() == [0]

    assert run_subcommand("diff", "night2", "night3", "--results", str(results)) == 0
    assert capsys.readouterr().out.count("moved.vec") == 2
    assert run_subcommand("plan", "--run", "night3", "--results", str(results)) == 0
    assert "moved.vec" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.failure_mode("wrong-vectors")
def test_a_wrong_line_ends_the_run_before_any_training(api: str, tiny: Path, tmp_path: Path) -> None:
    path = write_vectors(tmp_path / "own.txt", vector_lines(VECTORS) * 10 + b"good 1 2\n")
    words = [word for option in (TINY | {"--data": str(tiny)}).items() for word in option]
    options = ["--results", str(tmp_path / "results"), "--vectors", str(path)]
    done = command(*words, *options, environment={"PREFECT_API_URL": api})
    assert done.returncode == 2
    assert "line 111: 2" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "results").rglob("*.safetensors")) == []

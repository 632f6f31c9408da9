"""Word vectors in a real run: stored weights, cache by content, report, prediction, and user errors."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from tasks.models.baselines import BASELINES
from tasks.nightly.history import read_history
from tests.conftest import TINY, command
from tests.helpers.vector_files import vector_lines, write_vectors

# "plot" and "actors" have no vector, and the numbers in the reviews have none either.
WORDS = ["a", "Film", "with", "some", "and", "many", "in", "it", "good", "bad", "unseen"]
VECTORS = {word: np.round(np.linspace(row, row + 1, 5), 3).tolist() for row, word in enumerate(WORDS)}


def run(api: str, tiny: Path, results: Path, name: str, options: Sequence[str]) -> str:
    given = TINY | {"--data": str(tiny), "--results": str(results), "--run-name": name}
    words = [word for option in given.items() for word in option]
    done = command(*words, *options, environment={"PREFECT_API_URL": api})
    assert done.returncode == 0, done.stderr
    return " ".join((done.stderr + done.stdout).replace("│", " ").split())


@pytest.mark.slow
def test_run_with_frozen_vectors(api: str, tiny: Path, tmp_path: Path) -> None:
    path = write_vectors(tmp_path / "own.vec.gz", vector_lines(VECTORS, header=True))
    results = tmp_path / "results"
    printed = run(api, tiny, results, "first", ["--vectors", str(path), "--vectors-frozen"])
    assert "own.vec.gz" in printed
    info = json.loads((results / "runs" / "first" / "run.json").read_text())
    assert (info["vectors"]["words"], info["vectors"]["size"], info["vectors"]["frozen"]) == (10, 5, True)
    assert 0 < info["vectors"]["token_share"] < 1
    assert "--vectors-frozen" in info["command"]
    assert any("own.vec.gz" in caveat for caveat in info["caveats"])

    vocabulary = pd.read_parquet(results / "cache" / "encoded" / info["vocabulary"]).set_index("word")["index"]
    (file,) = (results / "cache" / "trials").glob("simple_rnn-*.safetensors")
    embedding = load_file(file)["embedding/embeddings"]
    for word, vector in VECTORS.items():
        if word != "unseen":
            np.testing.assert_array_equal(embedding[vocabulary[word.lower()]], np.float32(vector))
    assert np.abs(embedding[vocabulary["plot"]]).max() <= 0.05  # as Keras draws it

    moved = path.rename(tmp_path / "moved.vec.gz")
    again = run(api, tiny, results, "again", ["--vectors", str(moved), "--vectors-frozen"])
    assert "training 0." in again
    trained = run(api, tiny, results, "trained", ["--vectors", str(moved)])
    assert "training 1." in trained  # the baselines are in the cache
    write_vectors(moved, vector_lines(VECTORS | {"good": [9.0] * 5}))
    assert "training 1." in run(api, tiny, results, "other", ["--vectors", str(moved)])
    history = read_history(results)
    networks = history[~history["architecture"].isin(BASELINES)]
    assert networks["configuration"].nunique() == 3
    assert networks["trial"].nunique() == 3


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

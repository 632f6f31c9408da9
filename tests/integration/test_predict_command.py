"""The command and the flow that put a trained model to use."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pandas as pd
import pytest

from flows.cli.predict import main
from tests.conftest import ROOT

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def predict(past: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*words: str) -> tuple[int, str, str]:
        code = main(["--results", str(past), "--architecture", "nb_svm", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_one_json_object_a_text(predict: Say) -> None:
    code, out, err = predict("--json", "a good film, with a plot", "bad,\nbad")
    first, second = (json.loads(line) for line in out.splitlines())
    assert code == 0
    assert (first["label"], second["label"]) == ("positive", "negative")
    assert first["probability"] > 0.5 > second["probability"]
    assert first["text"] == "a good film, with a plot"
    assert first["words"][0]["word"] == "good"
    assert "NB-SVM of run first" in err


def test_in_words_for_a_person(predict: Say) -> None:
    code, out, _ = predict("a good film\x1b[31m", "zzz")
    assert code == 0
    assert out.startswith("positive  ")
    assert "moved most: good +0." in out
    assert "unknown: 100% of the words" in out
    assert "\x1b" not in out


def test_lines_of_standard_input(predict: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = b"a good film\nbad\n\n\xff\xfe good\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines)))
    code, out, _ = predict("--json")
    assert code == 0
    assert [json.loads(line)["text"] for line in out.splitlines()] == ["a good film", "bad", "", "\ufffd\ufffd good"]


def test_a_file_on_the_screen_and_in_another(predict: Say, tiny: Path, tmp_path: Path) -> None:
    code, out, _ = predict("--json", "--file", str(tiny))
    shown = pd.DataFrame(map(json.loads, out.splitlines()))
    assert code == 0
    code, out, _ = predict("--file", str(tiny), "--output", str(tmp_path / "scored.parquet"))
    assert (code, out.startswith("400 rows: ")) == (0, True)
    scored = pd.read_parquet(tmp_path / "scored.parquet")
    pd.testing.assert_frame_equal(shown, scored[["text", "label", "probability", "unknown"]], check_dtype=False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--architecture", "gru2", "x"], "Choose from"),
        (["--threshold", "2", "x"], "less than or equal to 1"),
        (["--seed", "-1", "x"], "greater than or equal to 0"),
        (["--run", "../x", "x"], "results/runs"),
        (["--file", "missing.csv", "--output", "out.csv"], "There is no file"),
        (["--output", "out.csv", "x"], "no --file"),
        (["--file", "x.csv", "x"], "Give one of them"),
    ],
)
def test_a_mistake_is_one_message(predict: Say, words: list[str], said: str) -> None:
    code, out, err = predict(*words)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_the_command_itself_and_a_network(past: Path) -> None:
    words = ["--results", str(past), "--architecture", "simple_rnn", "--ensemble", "--json", "a good film"]
    done = subprocess.run(
        [sys.executable, "-m", "flows.predict", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert 0 <= json.loads(done.stdout)["probability"] <= 1
    assert done.stderr == f"Model: Simple RNN, seeds 0, 1 of run first, {done.stderr.split('first, ')[1]}"


def test_the_flow_answers_a_file(past: Path, tiny: Path, tmp_path: Path, api: str) -> None:
    asked = {"file": str(tiny), "output": str(tmp_path / "out.csv"), "results": str(past), "architecture": "nb_svm"}
    code = f"from flows.predict import imdb_predict; print(imdb_predict(**{asked!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"PREFECT_API_URL": api},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("400 rows: ")
    assert len(pd.read_csv(tmp_path / "out.csv")) == 400
    shown = httpx.post(f"{api}/artifacts/latest/filter", json={"artifacts": {"key": {"any_": ["answers"]}}}).json()
    assert "400 rows" in shown[0]["data"]


def test_the_flow_has_the_parameters_of_the_model() -> None:
    import inspect

    from flows.predict import imdb_predict
    from tasks.inference.selection import Scoring

    given = inspect.signature(imdb_predict.fn).parameters
    assert set(given) == set(Scoring.model_fields)
    for name, field in Scoring.model_fields.items():
        assert field.is_required() or given[name].default == field.default, name
        assert str(field.description) in str(imdb_predict.description), name

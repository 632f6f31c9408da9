"""Prediction by `imdb-compare predict` and by the flow `imdb-predict`."""

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

from tests.conftest import ROOT
from tests.helpers.subcommands import run_subcommand

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def predict(past: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*words: str) -> tuple[int, str, str]:
        code = run_subcommand("predict", "--results", str(past), "--architecture", "nb_svm", *words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_json_has_one_object_per_text(predict: Say) -> None:
    code, out, err = predict("--json", "a good film, with a plot", "bad,\nbad")
    first, second = (json.loads(line) for line in out.splitlines())
    assert code == 0
    assert (first["label"], second["label"]) == ("positive", "negative")
    assert first["probability"] > 0.5 > second["probability"]
    assert first["text"] == "a good film, with a plot"
    assert first["words"][0]["word"] == "good"
    assert "NB-SVM of run first" in err


def test_text_output_shows_label_probability_and_influence(predict: Say) -> None:
    code, out, _ = predict("a good film\x1b[31m", "zzz")
    assert code == 0
    assert out.startswith("positive  ")
    assert "most influential words: good +0." in out
    assert "unknown: 100% of the words" in out
    assert "\x1b" not in out


def test_lines_of_stdin_are_classified(predict: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = b"a good film\nbad\n\n\xff\xfe good\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines)))
    code, out, _ = predict("--json")
    assert code == 0
    assert [json.loads(line)["text"] for line in out.splitlines()] == ["a good film", "bad", "", "\ufffd\ufffd good"]


def test_a_file_has_the_same_predictions_on_stdout_and_in_a_file(predict: Say, tiny: Path, tmp_path: Path) -> None:
    code, out, _ = predict("--json", "--file", str(tiny))
    shown = pd.DataFrame(map(json.loads, out.splitlines()))
    probabilities = pd.DataFrame(shown.pop("probabilities").tolist())
    assert code == 0
    assert (list(probabilities), probabilities["positive"].tolist()) == (
        ["negative", "positive"], shown["probability"].tolist()
    )  # fmt: skip
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
        (["--output", "out.csv", "x"], "without --file"),
        (["--file", "x.csv", "x"], "Use one of them"),
    ],
)
def test_a_user_error_has_exit_code_2_and_no_traceback(predict: Say, words: list[str], said: str) -> None:
    code, out, err = predict(*words)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_an_ensemble_of_networks_in_a_new_process(past: Path) -> None:
    words = ["--results", str(past), "--architecture", "simple_rnn", "--ensemble", "--json", "a good film"]
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "predict", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert 0 <= json.loads(done.stdout)["probability"] <= 1
    assert done.stderr == f"Model: Simple RNN, seeds 0, 1 of run first, {done.stderr.split('first, ')[1]}"


def test_the_flow_writes_the_predictions_of_a_file(past: Path, tiny: Path, tmp_path: Path, api: str) -> None:
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


def test_the_flow_has_the_parameters_of_the_settings_model() -> None:
    import inspect

    from flows.predict import imdb_predict
    from tasks.inference.selection import ScoringOptions

    given = inspect.signature(imdb_predict.fn).parameters
    assert set(given) == set(ScoringOptions.model_fields)
    for name, field in ScoringOptions.model_fields.items():
        assert field.is_required() or given[name].default == field.default, name
        assert str(field.description) in str(imdb_predict.description), name

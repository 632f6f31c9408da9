"""Models that travel: what is carried answers as the run's model, and what was changed on the way is refused."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from flows.cli.export import main
from flows.cli.predict import main as predict
from tasks.config.errors import UserError
from tasks.data.tokenization import text_array, tokenize
from tasks.inference import exported_model
from tasks.inference.predictor import load_predictor
from tasks.inference.selection import Wanted, chosen
from tasks.storage import store
from tasks.storage.runs import open_run
from tests.conftest import ROOT
from tests.integration.test_file_modes import open_to_others
from tests.integration.test_onnx import answered
from tests.unit.training.test_trained_models import ODD_TEXTS

pytestmark = pytest.mark.usefixtures("with_tensorflow")

TEXTS = ["a good film", "bad, bad plot", *ODD_TEXTS]


def written(past: Path, folder: Path, architecture: str) -> Path:
    run = open_run(past, None)
    (trial,) = chosen(run, Wanted(architecture=architecture)).to_dict("records")
    return exported_model.write_model(run, trial, folder)


@pytest.mark.parametrize("architecture", ["simple_rnn", "tfidf_logistic", "nb_svm", "majority"])
def test_what_is_carried_answers_as_the_model_of_the_run(past: Path, tmp_path: Path, architecture: str) -> None:
    folder = written(past, tmp_path / "model", architecture)
    there = load_predictor(Wanted(results=str(past), architecture=architecture), lambda _: None).predict(TEXTS)
    said: list[str] = []
    here = load_predictor(Wanted(model=folder), said.append).predict(TEXTS)
    np.testing.assert_allclose(here["probability"], there["probability"], atol=1e-9)
    assert here["label"].tolist() == there["label"].tolist()
    assert here["unknown"].tolist() == there["unknown"].tolist()
    assert "right on validation" in said[0]


def test_the_card_tells_data_scores_costs_and_limits(past: Path, tmp_path: Path) -> None:
    text = (written(past, tmp_path / "model", "simple_rnn") / "README.md").read_text()
    said = ("400 reviews of tiny.csv", "Accuracy: ", "2 seeds", "parameters; trained in", "the last 12 words", "MIT")
    assert [words for words in said if words not in text] == []
    assert (tmp_path / "model").stat().st_mode & 0o077 == 0


def test_commands_write_a_folder_and_answer_by_it(
    past: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(tmp_path / "model")
    assert main(["--results", str(past), "--architecture", "nb_svm", "--output", folder]) == 0
    assert main(["--results", str(past), "--output", folder]) == 2
    assert "is there already" in capsys.readouterr().err
    assert predict(["--model", folder, "--json", "a good film"]) == 0
    assert json.loads(capsys.readouterr().out)["label"] == "positive"
    assert predict(["--model", folder, "--seed", "0", "x"]) == 2
    assert "Leave these out" in capsys.readouterr().err
    assert predict(["--model", str(tmp_path), "x"]) == 2
    assert "holds no model.json" in capsys.readouterr().err


def test_the_onnx_model_answers_as_predictions_do(past: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    assert main(["--results", str(past), "--architecture", "simple_rnn", "--output", str(folder), "--onnx"]) == 0
    assert "`model.onnx` is the same network" in (folder / "README.md").read_text()
    tokens = tokenize(text_array(TEXTS), store.frame(folder / exported_model.VOCABULARY), max_tokens=12).to_pylist()
    words = np.array([[0] * (12 - len(each)) + each for each in tokens])
    found = answered(store.read_bytes(folder / exported_model.ONNX), words)
    for where in (Wanted(model=folder), Wanted(results=str(past), architecture="simple_rnn")):
        predicted = load_predictor(where, lambda _: None).predict(TEXTS)["probability"]
        np.testing.assert_allclose(found, predicted, atol=1e-5)


def test_what_the_readme_shows_of_an_onnx_model_runs(
    past: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (shown,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    assert main(["--results", str(past), "--architecture", "simple_rnn", "--output", "my_model", "--onnx"]) == 0
    capsys.readouterr()
    exec(shown, {})
    predicted = load_predictor(Wanted(model=Path("my_model")), lambda _: None).predict(["a wonderful film"])
    assert float(capsys.readouterr().out.strip("[]\n")) == pytest.approx(predicted["probability"][0], abs=1e-5)


def test_an_onnx_model_is_written_of_networks_and_where_it_is_asked_for(
    past: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = written(past, tmp_path / "model", "simple_rnn")
    assert not (folder / exported_model.ONNX).exists()
    assert "onnx" not in (folder / "README.md").read_text()
    assert main(["--results", str(past), "--architecture", "nb_svm", "--output", str(tmp_path / "x"), "--onnx"]) == 2
    assert "onnx: received nb_svm. An ONNX model is written of these networks" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


@pytest.mark.fault(22)
@pytest.mark.parametrize("name", [exported_model.CARD, exported_model.WEIGHTS, exported_model.VOCABULARY])
@pytest.mark.parametrize("how", ["flip", "no checksum"])
def test_what_its_checksums_do_not_cover_is_refused(past: Path, tmp_path: Path, name: str, how: str) -> None:
    folder = written(past, tmp_path / "model", "simple_rnn")
    path = folder / name
    if how == "flip":
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    else:
        path.with_name(f"{name}.sha256").unlink()
    with pytest.raises((store.DamagedFileError, FileNotFoundError)):
        load_predictor(Wanted(model=folder), lambda _: None)


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    "change",
    [
        {"architecture": "os.system"}, {"architecture": "../lstm"}, {"format": 2}, {"temperature": 0},
        {"recipe": {"units": 10**9}}, {"more": "code"}, {"classes": ["one"]},
    ],
    ids=str,
)  # fmt: skip
def test_a_card_of_no_model_is_refused_though_its_checksum_is_right(
    past: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    folder = written(past, tmp_path / "model", "nb_svm")
    card = json.loads((folder / exported_model.CARD).read_text()) | change
    store.write(folder / exported_model.CARD, json.dumps(card).encode())
    with pytest.raises(store.DamagedFileError, match=r"model\.json is not valid"):
        load_predictor(Wanted(model=folder), lambda _: None)


@pytest.mark.fault(23)
def test_a_written_model_is_private_and_overwrites_nothing(past: Path, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        folder = written(past, tmp_path / "models" / "mine", "simple_rnn")
    finally:
        os.umask(before)
    assert open_to_others(tmp_path) == []
    with pytest.raises(UserError, match="is there already"):
        written(past, folder, "nb_svm")


@pytest.mark.fault(8)
def test_what_cannot_be_written_leaves_nothing(past: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exported_model, "described", full)  # after the weights were written
    with pytest.raises(UserError, match="No space left"):
        written(past, tmp_path / "model", "nb_svm")
    assert list(tmp_path.iterdir()) == []

"""Exported models: same predictions as the run's model, and no use of changed files."""

import json
import os
import re
import shutil
import socket
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.config.errors import MissingFileError, UserError
from tasks.data.tokenization import text_array, tokenize
from tasks.inference import exported_model
from tasks.inference.model_card import (  # fmt: skip
    CARD_FILE,
    EXAMPLES_FILE,
    ONNX_FILE,
    README_FILE,
    TOKENIZATION_FILE,
    TOKENS_FILE,
    VOCABULARY_FILE,
    WEIGHTS_FILE,
    read_model_card,
)
from tasks.inference.predictor import load_predictor, split_text
from tasks.inference.selection import ModelSelection, select_models
from tasks.storage import store
from tasks.storage.runs import open_run
from tests.conftest import ROOT
from tests.helpers.odd_texts import ODD_TEXTS
from tests.helpers.predictors import run_onnx_model
from tests.helpers.subcommands import run_subcommand
from tests.integration.test_file_modes import open_to_others

pytestmark = pytest.mark.usefixtures("with_tensorflow")

TEXTS = ["a good film", "bad, bad plot", *ODD_TEXTS]


def export(past: Path, folder: Path, architecture: str) -> Path:
    run = open_run(past, None)
    (model,) = select_models(run, ModelSelection(architecture=architecture))
    return exported_model.export_model(run, model, folder)


def export_command(past: Path, folder: Path | str, *options: str, architecture: str = "simple_rnn") -> int:
    given = ["--results", str(past), "--architecture", architecture, "--output", str(folder), *options]
    return run_subcommand("export", *given)


@pytest.mark.parametrize("architecture", ["simple_rnn", "tfidf_logistic", "nb_svm", "averaged_embeddings", "majority"])
def test_exported_model_predicts_like_the_model_of_the_run(past: Path, tmp_path: Path, architecture: str) -> None:
    folder = export(past, tmp_path / "model", architecture)
    of_run = load_predictor(ModelSelection(results=str(past), architecture=architecture)).predict(TEXTS)
    predictor = load_predictor(ModelSelection(model=folder))
    exported = predictor.predict(TEXTS)
    np.testing.assert_allclose(exported["probability"], of_run["probability"], atol=1e-9)
    assert exported["label"].tolist() == of_run["label"].tolist()
    assert exported["unknown"].tolist() == of_run["unknown"].tolist()
    assert str(folder) in predictor.description


def test_readme_contains_data_scores_costs_limitations_and_usage(past: Path, tmp_path: Path) -> None:
    text = (export(past, tmp_path / "model", "simple_rnn") / README_FILE).read_text()
    facts = (
        "400 reviews of tiny.csv", "Accuracy: ", "2 seeds", "parameters", "last 12 tokens",
        '`imdb-compare predict --model <folder> "a text"`', "MIT",
    )  # fmt: skip
    assert [fact for fact in facts if fact not in text] == []
    assert (tmp_path / "model").stat().st_mode & 0o077 == 0


def test_exported_model_states_the_validation_score_in_the_main_metric(past: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(past, results, symlinks=True)
    record = results / "runs" / "first" / "run.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"metric": "log_loss"}))
    folder = export(results, tmp_path / "model", "nb_svm")
    scores = pd.read_parquet(results / "runs" / "first" / "tables" / "scores.parquet")
    (score,) = scores.query("architecture == 'nb_svm' and split == 'validation' and metric == 'log_loss'")["value"]
    card = read_model_card(folder)
    assert (card.metric, card.validation_score) == ("log_loss", score)
    for text in (load_predictor(ModelSelection(model=folder)).description, (folder / README_FILE).read_text()):
        assert f"{score:.4f}" in text


def test_export_and_predict_subcommands(past: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "model")
    assert export_command(past, folder, architecture="nb_svm") == 0
    assert export_command(past, folder, architecture="nb_svm") == 2
    assert folder in capsys.readouterr().err
    assert run_subcommand("predict", "--model", folder, "--json", "a good film") == 0
    assert json.loads(capsys.readouterr().out)["label"] == "positive"
    assert run_subcommand("predict", "--model", folder, "--seed", "0", "x") == 2
    assert "seed" in capsys.readouterr().err
    assert run_subcommand("predict", "--model", str(tmp_path), "x") == 2
    assert CARD_FILE in capsys.readouterr().err


def test_onnx_model_predicts_like_the_model_of_the_run(past: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    assert export_command(past, folder, "--onnx") == 0
    assert ONNX_FILE in (folder / README_FILE).read_text()
    tokens = tokenize(text_array(TEXTS), store.frame(folder / VOCABULARY_FILE), max_tokens=12).to_pylist()
    token_ids = np.array([each + [0] * (12 - len(each)) for each in tokens])
    probabilities = run_onnx_model(store.read_bytes(folder / ONNX_FILE), token_ids)
    for selection in (ModelSelection(model=folder), ModelSelection(results=str(past), architecture="simple_rnn")):
        predicted = load_predictor(selection).predict(TEXTS)["probability"]
        np.testing.assert_allclose(probabilities, predicted, atol=1e-5)


def test_onnx_example_of_the_documentation_runs(
    past: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "inference.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    assert export_command(past, "my_model", "--onnx") == 0
    capsys.readouterr()
    exec(example, {})
    predicted = load_predictor(ModelSelection(model=Path("my_model"))).predict(["a wonderful film"])
    assert float(capsys.readouterr().out.strip("[]\n")) == pytest.approx(predicted["probability"][0], abs=1e-5)


@pytest.mark.parametrize("architecture", ["simple_rnn", "tfidf_logistic", "nb_svm", "averaged_embeddings", "majority"])
def test_test_vectors_are_the_predictions_of_the_exported_model(past: Path, tmp_path: Path, architecture: str) -> None:
    folder = export(past, tmp_path / "my model 模型", architecture)
    vectors = json.loads((folder / EXAMPLES_FILE).read_text("ascii"))
    examples = vectors["examples"]
    texts = [each["text"] for each in examples]
    predicted = load_predictor(ModelSelection(model=folder)).predict(texts)
    assert [each["probability"] for each in examples] == predicted["probability"].tolist()
    assert [each["label"] for each in examples] == predicted["label"].tolist()
    assert [each["tokens"] for each in examples] == [split_text(text, "words") for text in texts]
    assert all(len(each["ids"]) > 1 for each in examples[:2]) == (architecture != "majority")


def test_test_vectors_contain_the_cases_that_implementations_treat_differently(past: Path, tmp_path: Path) -> None:
    vectors = json.loads((export(past, tmp_path / "model", "simple_rnn") / EXAMPLES_FILE).read_text())
    tokens = {each["text"]: each["tokens"] for each in vectors["examples"]}
    assert len(tokens) >= 20
    assert tokens[""] == []
    assert max(map(len, tokens.values())) > vectors["max_tokens"] == 12
    assert max(len(each["ids"]) for each in vectors["examples"]) == 12
    text = " ".join(tokens)
    assert all(
        case in text for case in ("😍", "<br />", "&quot;", "电影", "é", "e\u0301".upper(), "İ", "ΟΔΟΣ", "\u200b")
    )
    assert [text for text, found in tokens.items() if text.strip() and not found] == ["... — “” {} ~ %"]


def test_readme_states_the_steps_from_text_to_probability(past: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    assert export_command(past, folder, "--onnx") == 0
    readme = (folder / README_FILE).read_text()
    steps = readme[readme.index("## From text to probability") :]
    assert all(
        pattern in steps for pattern in json.loads((folder / TOKENIZATION_FILE).read_text())["patterns"].values()
    )
    first = json.loads((folder / EXAMPLES_FILE).read_text())["examples"][0]
    shown = dict(line.split(maxsplit=1) for line in steps[steps.rindex("text   ") :].split("```")[0].splitlines())
    assert {name: json.loads(shown[name]) for name in ("text", "tokens", "ids", "label")} == {
        name: first[name] for name in ("text", "tokens", "ids", "label")
    }
    temperature = json.loads((folder / CARD_FILE).read_text())["temperature"]
    assert repr(temperature) in steps
    calibrated = 1 / (1 + np.exp(-float(shown["logit"]) / temperature))
    assert calibrated == pytest.approx(float(shown["probability"]), abs=1e-3 / temperature)
    assert float(shown["probability"]) == pytest.approx(first["probability"], abs=1e-6)


def test_every_exported_file_has_a_checksum(past: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    assert export_command(past, folder, "--onnx") == 0
    names = {path.name for path in folder.iterdir() if path.suffix != ".sha256"}
    assert names == {
        README_FILE, CARD_FILE, WEIGHTS_FILE, VOCABULARY_FILE, TOKENS_FILE, TOKENIZATION_FILE, EXAMPLES_FILE, ONNX_FILE
    }  # fmt: skip
    assert all(store.read_bytes(folder / name) for name in names)


def test_position_of_a_token_in_the_json_vocabulary_is_its_id(past: Path, tmp_path: Path) -> None:
    folder = export(past, tmp_path / "model", "simple_rnn")
    tokens = json.loads((folder / TOKENS_FILE).read_text())
    vocabulary = store.frame(folder / VOCABULARY_FILE)
    assert [tokens[index] for index in vocabulary["index"]] == vocabulary["word"].tolist()
    assert tokens[:2] == [None, None]


def test_export_needs_no_network(past: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert export_command(past, tmp_path / "model", "--onnx") == 0
    assert run_subcommand("predict", "--model", str(tmp_path / "model"), "a good film") == 0


def test_onnx_model_is_written_only_with_the_option_and_only_for_networks(past: Path, tmp_path: Path) -> None:
    folder = export(past, tmp_path / "model", "simple_rnn")
    assert not (folder / ONNX_FILE).exists()
    assert f"Run `{ONNX_FILE}`" not in (folder / README_FILE).read_text()
    assert export_command(past, tmp_path / "x", "--onnx", architecture="nb_svm") == 2
    assert not (tmp_path / "x").exists()


@pytest.mark.failure_mode("malicious-model-file")
@pytest.mark.parametrize("name", [CARD_FILE, WEIGHTS_FILE, VOCABULARY_FILE])
@pytest.mark.parametrize("change", ["flip a bit", "remove the checksum"])
def test_file_that_does_not_match_its_checksum_is_not_used(past: Path, tmp_path: Path, name: str, change: str) -> None:
    folder = export(past, tmp_path / "model", "simple_rnn")
    path = folder / name
    if change == "flip a bit":
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    else:
        path.with_name(f"{name}.sha256").unlink()
    with pytest.raises((store.DamagedFileError, MissingFileError)):
        load_predictor(ModelSelection(model=folder))


@pytest.mark.failure_mode("malicious-model-file")
@pytest.mark.parametrize(
    "change",
    [
        {"architecture": "os.system"}, {"architecture": "../lstm"}, {"format": 2}, {"temperature": 0},
        {"recipe": {"units": 10**9}}, {"more": "code"}, {"classes": ["one"]},
    ],
    ids=str,
)  # fmt: skip
def test_invalid_model_card_is_not_used_even_with_a_correct_checksum(
    past: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    folder = export(past, tmp_path / "model", "nb_svm")
    card = json.loads((folder / CARD_FILE).read_text()) | change
    store.write(folder / CARD_FILE, json.dumps(card).encode())
    with pytest.raises(store.DamagedFileError, match=re.escape(CARD_FILE)):
        load_predictor(ModelSelection(model=folder))


@pytest.mark.failure_mode("malicious-pickle")
def test_exported_model_is_private_and_overwrites_nothing(past: Path, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        folder = export(past, tmp_path / "models" / "mine", "simple_rnn")
    finally:
        os.umask(before)
    assert open_to_others(tmp_path) == []
    with pytest.raises(UserError, match="exists"):
        export(past, folder, "nb_svm")


@pytest.mark.failure_mode("disk-full")
def test_full_disk_leaves_no_folder(past: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exported_model, "format_readme", fail)  # called after the weights are written
    with pytest.raises(UserError, match="No space left"):
        export(past, tmp_path / "model", "nb_svm")
    assert list(tmp_path.iterdir()) == []

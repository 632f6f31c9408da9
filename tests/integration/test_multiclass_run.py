"""A comparison with more than two classes, from the file to predictions, exported models and ONNX."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from tasks.config.labels import label_in_sentence
from tasks.data.tokenization import text_array, tokenize
from tasks.inference.model_card import EXAMPLES_FILE, ONNX_FILE, README_FILE, VOCABULARY_FILE
from tasks.inference.predictor import load_predictor
from tasks.inference.selection import ModelSelection
from tasks.storage.runs import open_run
from tests.conftest import TINY, command
from tests.helpers.predictors import run_onnx_model
from tests.helpers.subcommands import run_subcommand

pytestmark = pytest.mark.usefixtures("with_tensorflow")


class Case(NamedTuple):
    """A data set of several classes.

    Attributes:
        sizes: Number of texts of each class.
        words: Words that all classes share.
        separator: Separator of the words; empty in Japanese.
    """

    sizes: tuple[int, ...]
    words: str
    separator: str = " "

    @property
    def names(self) -> list[str]:
        return [f"{self.words.split()[0]} {number}" for number in range(len(self.sizes))]


ENGLISH, JAPANESE = "film plot actors music story", "映画 物語 俳優 音楽 監督"
CASES = {
    "3 imbalanced": Case((150, 90, 75), ENGLISH),
    "5 japanese": Case((75,) * 5, JAPANESE, ""),
    "40": Case((75,) * 40, ENGLISH),
}


def write_reviews(case: Case, path: Path) -> Path:
    """Write texts, each with one word of its class: for Japanese, one character."""
    rng, rows = np.random.default_rng(0), []
    for number, size in enumerate(case.sizes):
        mark = chr(0x5000 + 7 * number) if not case.separator else f"mark{number}"
        for copy in range(size):
            words = [*rng.choice(case.words.split(), rng.integers(2, 6)), mark, f"x{copy}x{number}"]
            rows.append((case.separator.join(words), case.names[number]))
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(path, index=False)
    return path


@pytest.fixture(
    scope="module",
    params=["3 imbalanced", *(pytest.param(name, marks=pytest.mark.slow) for name in ("5 japanese", "40"))],
)
def run(request: pytest.FixtureRequest, api: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, Path, Path]:
    """Compare on the data of a case, and return the case, its file and the results folder."""
    case, folder = CASES[request.param], tmp_path_factory.mktemp("classes")
    file = write_reviews(case, folder / "own.csv")
    given = TINY | {"--data": str(file), "--results": str(folder / "results"), "--epochs": "2"}
    given |= {"--vocabulary-size": "200", "--learning-rate": "0.05"}
    done = command(*(word for option in given.items() for word in option), environment={"PREFECT_API_URL": api})
    assert done.returncode == 0, done.stderr
    return case, file, folder / "results"


def test_tables_and_report_have_all_classes(run: tuple[Case, Path, Path]) -> None:
    case, _, results = run
    record, tables = open_run(results, None), results / "latest" / "tables"
    by_size = sorted(case.names, key=lambda name: (-case.sizes[case.names.index(name)], name))
    assert record.info.classes == tuple(by_size)
    predictions = pd.read_parquet(tables / "predictions.parquet")
    columns = [f"probability_{number}" for number in range(len(by_size))]
    assert [name for name in predictions if name.startswith("probability")] == columns
    np.testing.assert_allclose(predictions[columns].sum(axis=1), 1, atol=1e-5)
    assert predictions["label"].nunique() == len(by_size)
    scores = pd.read_parquet(tables / "scores.parquet").query("split == 'test'")
    assert scores.groupby("architecture")["metric"].nunique().eq(8).all()
    best = scores.query("metric == 'accuracy'").set_index("architecture")["value"]
    assert best["nb_svm"] > 0.9
    assert best["tfidf_logistic"] > 0.9
    assert best["averaged_embeddings"] > 0.9
    assert set(pd.read_parquet(tables / "classes.parquet")["class"]) == set(by_size)
    page = (results / "latest" / "report.html").read_text()
    assert "Most frequent confusions" in page
    figures = {path.stem for path in (results / "latest" / "figures").glob("*.png")}
    assert {"confusion_matrices", "scores_by_class", "reliability_diagram"} <= figures
    assert ({"class_roc_curves", "class_reliability"} <= figures) == (len(by_size) <= 5)
    assert "roc_curves" not in figures


@pytest.mark.parametrize("architecture", ["simple_rnn", "tfidf_logistic", "nb_svm", "averaged_embeddings", "majority"])
def test_exported_model_predicts_like_the_run(
    run: tuple[Case, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], architecture: str
) -> None:
    case, file, results = run
    onnx = ["--onnx"] if architecture == "simple_rnn" else []
    folder = tmp_path / "model"
    options = ["--results", str(results), "--architecture", architecture, "--output", str(folder), *onnx]
    assert run_subcommand("export", *options) == 0, capsys.readouterr().err
    texts = pd.read_csv(file)["text"].tolist()[:20]
    of_run = load_predictor(ModelSelection(results=str(results), architecture=architecture)).predict(texts)
    predictor = load_predictor(ModelSelection(model=folder))
    assert_main_score_is_stated(results, architecture, (folder / README_FILE).read_text(), predictor.description)
    exported = predictor.predict(texts)
    pd.testing.assert_frame_equal(of_run, exported, atol=1e-9)
    vectors = json.loads((folder / EXAMPLES_FILE).read_text())
    assert len(vectors["classes"]) == len(vectors["examples"][0]["probability"]) == len(case.sizes)
    for example in vectors["examples"]:
        assert example["label"] == vectors["classes"][int(np.argmax(example["probability"]))]
    assert "The label of a text is the most probable of the classes" in (folder / README_FILE).read_text()
    if onnx:
        vocabulary = pd.read_parquet(folder / VOCABULARY_FILE)
        tokens = [tokenize(text_array([text]), vocabulary, max_tokens=12).to_pylist() for text in texts]
        found = [run_onnx_model((folder / ONNX_FILE).read_bytes(), np.array(each))[0] for each in tokens]
        np.testing.assert_allclose(found, of_run.filter(like="probability_"), atol=1e-5)


def assert_main_score_is_stated(results: Path, architecture: str, *texts: str) -> None:
    """Check that texts name the main metric, which is not accuracy for imbalanced classes, and its validation score."""
    record = open_run(results, None)
    (score,) = record.trials.loc[record.trials["architecture"] == architecture, "score"]
    stated = f"{100 * score:.2f}%"
    assert all(f"validation {label_in_sentence(record.info.metric)}" in text.lower() for text in texts)
    assert all(stated in text for text in texts)


def test_predictions_of_a_file_find_the_classes(run: tuple[Case, Path, Path], tmp_path: Path) -> None:
    _, file, results = run
    output = tmp_path / "scored.parquet"
    options = ["--results", str(results), "--architecture", "nb_svm", "--keep", "label", "--output", str(output)]
    renamed = pd.read_csv(file).rename(columns={"label": "kind"})
    renamed.to_csv(tmp_path / "in.csv", index=False)
    options[options.index("label")] = "kind"
    assert run_subcommand("predict", "--file", str(tmp_path / "in.csv"), *options) == 0
    scored = pd.read_parquet(output)
    assert (scored["label"] == scored["kind"]).mean() > 0.95
    classes = [name for name in scored if name.startswith("probability_")]
    np.testing.assert_allclose(scored[classes].sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(scored[classes].max(axis=1), scored["probability"])


def test_json_diff_and_threshold(run: tuple[Case, Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    case, _, results = run
    options = ["--results", str(results), "--architecture", "nb_svm"]
    assert run_subcommand("predict", *options, "--json", "film mark1") == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["probabilities"]) == set(case.names)
    assert found["probability"] == max(found["probabilities"].values())
    assert run_subcommand("predict", *options, "--threshold", "0.7", "film") == 2
    assert "classes, and the most probable one is predicted" in capsys.readouterr().err
    name = open_run(results, None).name
    assert run_subcommand("diff", name, name, "--results", str(results)) == 0

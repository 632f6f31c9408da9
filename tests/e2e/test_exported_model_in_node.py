"""An exported model without this project: the programs in `node/` follow the steps in its README, in Node.js."""

import json
import logging
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.inference.model_card import EXAMPLES_FILE
from tasks.inference.predictor import load_predictor, split_text
from tasks.inference.selection import ModelSelection
from tests.conftest import ROOT, TINY, command
from tests.helpers.subcommands import run_subcommand

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="needs node and npm"),
    pytest.mark.usefixtures("with_tensorflow"),
]

logger = logging.getLogger(__name__)
NETWORKS = ("simple_rnn", "lstm", "bidirectional_lstm")
BASELINES = ("majority", "tfidf_logistic", "nb_svm", "averaged_embeddings")
CLASSES = ("плохо", "好評")
OFFLINE = re.compile("ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH")
TEXTS = (
    "A good film 😍 and the actors don’t sleep",
    "bad, BAD plot :-( #awful",
    "", "😡" * 30, "İSTANBUL ΟΔΟΣ ﬁlm", "<p>good&nbsp;film &amp;quot;", "良い映画！", "x\ud800y good", "good " * 2_000,
    "b\0a\u202ed",
)  # fmt: skip
Predict = Callable[[Path, list[str]], list[dict]]


@pytest.fixture(scope="module")
def predict_in_node(tmp_path_factory: pytest.TempPathFactory) -> Predict:
    """Install the locked packages, and return a function that predicts texts with an exported model."""
    programs = shutil.copytree(ROOT / "tests" / "e2e" / "node", tmp_path_factory.mktemp("node programs") / "node")
    # Without scripts, nothing but the contents of the packages is installed.
    install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(install, cwd=programs, capture_output=True, text=True, check=False)
    if OFFLINE.search(done.stderr):
        pytest.skip("needs the npm registry")
    assert done.returncode == 0, done.stderr

    def predict(folder: Path, texts: list[str]) -> list[dict]:
        file = programs / "texts.json"
        file.write_text(json.dumps(texts))
        arguments = ["node", str(programs / "predict.mjs"), str(folder), str(file)]
        return json.loads(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout)

    return predict


@pytest.fixture(scope="module", params=["words", "characters"])
def results(request: pytest.FixtureRequest, api: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results of a comparison with this tokenizer, whose vocabulary has words, emoji and characters."""
    folder = tmp_path_factory.mktemp(f"results of {request.param} für")
    rng = np.random.default_rng(0)
    words = np.array(["a", "film", "and", "actors", "don't", "İstanbul", "ΟΔΟΣ", "naïve", "映画", "!", "#plot", "@me"])
    positive, negative = np.array(["good", "良い", "😍", ":)"]), np.array(["bad", "awful", "😡", ":("])
    labels = rng.permutation(np.repeat([0, 1], 200))
    texts = [
        " ".join([*rng.choice(words, rng.integers(2, 20)), rng.choice(positive if label else negative), str(row)])
        for row, label in enumerate(labels)
    ]
    pd.DataFrame({"text": texts, "label": np.take(CLASSES, labels)}).to_csv(folder / "reviews.csv", index=False)
    given = TINY | {
        "--data": str(folder / "reviews.csv"), "--positive": CLASSES[1], "--results": str(folder / "results"),
        "--architectures": ",".join(NETWORKS if request.param == "words" else NETWORKS[:1]),
        "--tokenizer": request.param,
        "--epochs": "6", "--units": "6", "--max-tokens": "15", "--learning-rate": "0.02", "--vocabulary-size": "90",
    }  # fmt: skip
    done = command(*(word for option in given.items() for word in option), environment={"PREFECT_API_URL": api})
    assert done.returncode == 0, done.stderr
    return folder / "results"


def check_model(results: Path, folder: Path, architecture: str, predict_in_node: Predict) -> None:
    """Compare what Node.js computes with the test vectors, and with what the project predicts for other texts."""
    options = ["--architecture", architecture, *(["--onnx"] if architecture in NETWORKS else [])]
    assert run_subcommand("export", "--results", str(results), "--output", str(folder), *options) == 0
    vectors = json.loads((folder / EXAMPLES_FILE).read_text())
    expected = vectors["examples"]
    found = predict_in_node(folder, [each["text"] for each in expected])
    for name in ("tokens", "ids", "label"):
        assert [each[name] for each in found] == [each[name] for each in expected]
    difference = np.abs([one["probability"] - other["probability"] for one, other in zip(found, expected, strict=True)])
    assert difference.max() <= vectors["tolerance"] == 1e-5
    predicted = load_predictor(ModelSelection(model=folder)).predict(TEXTS)
    found = predict_in_node(folder, list(TEXTS))
    assert [each["tokens"] for each in found] == [split_text(text, vectors["tokenizer"]) for text in TEXTS]
    assert [each["label"] for each in found] == predicted["label"].tolist()
    further = np.abs(predicted["probability"] - [each["probability"] for each in found])
    assert further.max() <= 1e-5
    spread = np.ptp(predicted["probability"])
    assert spread > 0.1 or architecture == "majority"
    logger.info(
        "%s, %s: %d test vectors, largest difference %.1e; %d other texts, %.1e; probabilities differ by %.2f",
        architecture, vectors["tokenizer"], len(expected), difference.max(), len(TEXTS), further.max(), spread,
    )  # fmt: skip


def test_node_program_obtains_the_probabilities_of_each_model(
    results: Path, tmp_path: Path, predict_in_node: Predict
) -> None:
    trained = {path.name.partition("-seed")[0] for path in (results / "cache").rglob("*.safetensors")}
    models = [each for each in (*NETWORKS, *BASELINES) if each in trained]
    assert {"simple_rnn", *BASELINES} <= set(models)
    for architecture in models:
        check_model(results, tmp_path / f"my {architecture} 模型", architecture, predict_in_node)

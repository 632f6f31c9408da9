"""Architectures of the user's own: what works is compared and used like any other, what does not is told as theirs."""

import json
from pathlib import Path

import pandas as pd
import pytest

from flows.predict_command import main
from tasks.architectures import builder
from tasks.cells import architecture_of, cell_name
from tasks.code_version import reached
from tasks.errors import UserError
from tasks.own_architectures import check_own, own_file
from tasks.settings import Recipe
from tests.conftest import Command

RECIPE = Recipe(vocabulary_size=50, embedding_size=5, units=3, max_tokens=12)
MODULE = "tests.own_models"


def test_the_wrong_ones_are_told_together_each_with_its_line() -> None:
    names = [f"{MODULE}:{name}" for name in ("gru", "two_answers", "breaks", "no_model", "forgotten_layer")]
    with pytest.raises(UserError) as refused:
        check_own(["lstm", *names], RECIPE)
    said = str(refused.value).splitlines()
    assert said[0] == f"{MODULE}:two_answers: gives (3, 2) for 3 reviews, and not (3, 1)."
    assert "breaks: AttributeError" in said[1]
    assert "(own_models.py, line " in said[1]
    assert "keras.layers.LSTM(recipe.no_such_field)" in said[1]
    assert said[2] == f"{MODULE}:no_model: gives a int, and no keras.Model."
    assert "forgotten_layer: does not train dense" in said[3]
    assert said[4].startswith("Wanted is a function (recipe) -> keras.Model")
    assert len(said) == 5


@pytest.mark.fault(24)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../../etc/passwd", "no module:function"), (":gru", "no module:function"),
        ("nowhere:gru", "there is no file .*nowhere.py"), ("os:system", "there is no file"),
        ("numpy:array", "there is no file"), ("tests.own_models:missing", "has no function missing. It has: .*gru"),
        ("tests.own_models.deeper:x", "there is no file"),
    ],
)  # fmt: skip
def test_what_is_no_function_in_a_file_of_this_folder_is_refused_unrun(name: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        own_file(name)


def test_a_file_that_is_no_python_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_models.py").write_text("def gru(recipe:\n    pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=r"broken_models\.py, line 1"):
        own_file("broken_models:gru")


def test_its_own_source_is_in_the_name_of_its_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = cell_name(f"{MODULE}:gru", 3, RECIPE, "data")
    assert name.startswith("tests.own_models.gru-seed-3-")
    assert architecture_of(name) == f"{MODULE}:gru"
    code = reached(builder(f"{MODULE}:gru"))
    assert (MODULE, "gru") in code
    assert (MODULE, "_embedded") in code
    assert (MODULE, "cnn") not in code


@pytest.mark.slow
@pytest.mark.usefixtures("with_tensorflow")
def test_three_of_the_users_own_are_compared_and_used(
    compare: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{MODULE}:{name}" for name in ("gru", "attention_lstm", "cnn")]
    asked = ("--results", str(tmp_path), "--architectures", ",".join(["simple_rnn", *names]), "--epochs", "3")
    done = compare(*asked, "--learning-rate", "0.05", "--units", "8")
    assert done.returncode == 0, done.stderr
    scores = pd.read_parquet(tmp_path / "latest" / "tables" / "scores.parquet")
    assert set(names) <= set(scores["architecture"])
    assert "Attention LSTM" in (tmp_path / "latest" / "report.html").read_text()
    assert "training 0." in compare(*asked, "--learning-rate", "0.05", "--units", "8").stderr
    for name in names:
        assert main(["--results", str(tmp_path), "--architecture", name, "--json", "--words", "0", "a good film"]) == 0
        assert 0 <= json.loads(capsys.readouterr().out)["probability"] <= 1


@pytest.mark.slow
def test_a_run_with_a_wrong_one_ends_before_any_training(compare: Command, tmp_path: Path) -> None:
    done = compare("--results", str(tmp_path), "--architectures", f"lstm,{MODULE}:breaks")
    assert done.returncode == 2
    assert "no_such_field" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "cache").exists()

"""User-defined architectures: valid ones are compared and used like others, invalid ones are user errors."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tasks.config.errors import UserError
from tasks.config.recipe import Recipe
from tasks.models.registry import builder
from tasks.storage.fingerprint import reached
from tasks.storage.trials import architecture_of
from tasks.training.check_user_model import check_user_architectures, user_module_file
from tasks.training.trial import trial_name
from tests.conftest import ROOT, Command
from tests.helpers import runs
from tests.helpers.subcommands import run_subcommand

RECIPE = Recipe(vocabulary_size=50, embedding_size=5, units=3, max_tokens=12)
MODULE = "tests.helpers.own_models"


def test_all_invalid_architectures_are_reported_with_their_lines() -> None:
    names = [f"{MODULE}:{name}" for name in ("gru", "two_answers", "breaks", "no_model", "forgotten_layer")]
    with pytest.raises(UserError) as refused:
        check_user_architectures(["lstm", *names], RECIPE)
    *problems, requirement = str(refused.value).splitlines()
    facts = [
        ("two_answers", "(3, 2)", "(3, 1)"),
        ("breaks", "AttributeError", "(own_models.py, line ", "keras.layers.LSTM(recipe.no_such_field)"),
        ("no_model", "int", "keras.Model"),
        ("forgotten_layer", "dense"),
    ]
    assert len(problems) == len(facts)
    for problem, (name, *details) in zip(problems, facts, strict=True):
        assert problem.startswith(f"{MODULE}:{name}: ")
        assert all(detail in problem for detail in details), problem
    assert "keras.Model" in requirement


def test_architectures_for_more_than_two_classes_get_their_number() -> None:
    check_user_architectures([f"{MODULE}:any_classes"], RECIPE, 5)
    assert builder(f"{MODULE}:any_classes")(RECIPE, 5).output_shape == (None, 5)
    with pytest.raises(UserError) as refused:
        check_user_architectures([f"{MODULE}:gru"], RECIPE, 5)
    problem, requirement = str(refused.value).splitlines()
    assert problem.startswith(f"{MODULE}:gru: TypeError")
    assert "(recipe, classes) -> keras.Model with one logit per class" in requirement


@pytest.mark.failure_mode("unsafe-name")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../../etc/passwd", "no module:function"), (":gru", "no module:function"),
        ("nowhere:gru", "there is no file .*nowhere.py"), ("os:system", "there is no file"),
        ("numpy:array", "there is no file"),
        ("tests.helpers.own_models:missing", "has no function missing.*gru"),
        ("tests.helpers.own_models.deeper:x", "there is no file"),
    ],
)  # fmt: skip
def test_names_without_a_function_in_this_folder_are_refused_without_running_code(name: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        user_module_file(name)


def test_file_with_a_syntax_error_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_models.py").write_text("def gru(recipe:\n    pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=r"broken_models\.py, line 1"):
        user_module_file("broken_models:gru")


CANARY = "from pathlib import Path\nPath(__file__).with_name('ran').touch()\n"
BUILDS = "def gru(recipe):\n    pass\n"


def project(folder: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> Path:
    """Write files into a folder, and make it the current folder and importable."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.mark.parametrize("name", ["canary.models:gru", "canary.deep.models:gru", "canary.nothing:gru", "canary:gru"])
def test_packages_around_a_file_do_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    inits = {"canary/__init__.py": CANARY, "canary/deep/__init__.py": CANARY}
    models = {"canary/models.py": CANARY + BUILDS, "canary/deep/models.py": CANARY + BUILDS}
    folder = project(tmp_path, monkeypatch, inits | models)
    if name.endswith("models:gru"):
        assert user_module_file(name) == folder.joinpath(*name.partition(":")[0].split(".")).with_suffix(".py")
    else:
        with pytest.raises(UserError, match="there is no file"):
            user_module_file(name)
    assert not list(folder.rglob("ran"))
    assert "canary" not in sys.modules


def test_installed_module_is_refused_without_running_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys\nfrom tasks.training.check_user_model import user_module_file\n"
         "try:\n user_module_file('this.x:y')\nfinally:\n print('this' in sys.modules)"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == "False\n"  # the module `this` prints a poem when it runs
    assert "there is no file" in done.stderr


def test_links_out_of_the_folder_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outside.py").write_text(BUILDS)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "models.py").write_text(BUILDS)
    folder = project(tmp_path / "here", monkeypatch, {"real.py": BUILDS})
    (folder / "linked.py").symlink_to(tmp_path / "outside.py")
    (folder / "package").symlink_to(tmp_path / "elsewhere")
    (folder / "near.py").symlink_to(folder / "real.py")
    for name in ("linked:gru", "package.models:gru"):
        with pytest.raises(UserError, match="leads out of"):
            user_module_file(name)
    assert user_module_file("near:gru") == folder / "real.py"


@pytest.mark.parametrize("name", ["json", "sys"])
def test_file_hidden_by_another_module_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / f"{name}.py").write_text(BUILDS)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"another module is called {name}"):
        user_module_file(f"{name}:gru")


@pytest.mark.parametrize("content", [b"\xff", b"a\0"])
def test_binary_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    folder = project(tmp_path, monkeypatch, {"odd_models.py": ""})
    (folder / "odd_models.py").write_bytes(content)
    with pytest.raises(UserError, match=r"odd_models\.py"):
        user_module_file("odd_models:gru")


def test_cache_key_covers_the_source_of_a_user_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = trial_name(f"{MODULE}:gru", 3, RECIPE, "data")
    assert name.startswith("tests.helpers.own_models.gru-seed-3-")
    assert architecture_of(name) == f"{MODULE}:gru"
    code = reached(builder(f"{MODULE}:gru"))
    assert (MODULE, "gru") in code
    assert (MODULE, "_embedded") in code
    assert (MODULE, "cnn") not in code


def test_trial_of_a_function_in_nested_folders_has_a_name(tmp_path: Path) -> None:
    """The folders are packages without `__init__.py`, which no module has imported in a new process."""
    (tmp_path / "nested" / "deep").mkdir(parents=True)
    (tmp_path / "nested" / "deep" / "models.py").write_text(BUILDS)
    program = (
        "from tasks.config.recipe import Recipe; from tasks.training.trial import trial_name; "
        "print(trial_name('nested.deep.models:gru', 0, Recipe(), 'data'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": f"{ROOT}:{tmp_path}"}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout.startswith("nested.deep.models.gru-seed-0-"), done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("with_tensorflow")
def test_user_architectures_are_compared_and_predict(
    compare: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{MODULE}:{name}" for name in ("gru", "attention_lstm", "cnn")]
    asked = ("--results", str(tmp_path), "--architectures", ",".join(["simple_rnn", *names]), "--epochs", "3")
    done = compare(*asked, "--learning-rate", "0.05", "--units", "8")
    assert done.returncode == 0, done.stderr
    scores = pd.read_parquet(tmp_path / "latest" / "tables" / "scores.parquet")
    assert set(names) <= set(scores["architecture"])
    assert "attention_lstm (tests.helpers.own_models)" in (tmp_path / "latest" / "report.html").read_text()
    assert runs.count_trainings(compare(*asked, "--learning-rate", "0.05", "--units", "8").stderr) == 0
    for name in names:
        assert (
            run_subcommand(
                "predict", "--results", str(tmp_path), "--architecture", name, "--json", "--words", "0", "a good film"
            )
            == 0
        )
        assert 0 <= json.loads(capsys.readouterr().out)["probability"] <= 1


@pytest.mark.slow
def test_run_with_an_invalid_architecture_ends_before_training(compare: Command, tmp_path: Path) -> None:
    done = compare("--results", str(tmp_path), "--architectures", f"lstm,{MODULE}:breaks")
    assert done.returncode == 2
    assert "no_such_field" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("cache/trials/*"))

"""The comparison flow as a process, on tiny data, with a real Prefect server."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import httpx
import pandas as pd
import pytest

from tasks.config.metric_names import METRIC_NAMES
from tasks.inference.selection import ModelSelection, select_models
from tasks.models.baselines import BASELINES
from tasks.storage.runs import open_run
from tests.conftest import Command, command, tiny_reviews
from tests.helpers import runs
from tests.helpers.subcommands import run_subcommand


@pytest.fixture(scope="module")
def finished(past: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the results of one architecture with two seeds, which tests may extend and damage."""
    return Path(shutil.copytree(past, tmp_path_factory.mktemp("copy") / "results", symlinks=True))


def count_trained(done: object) -> int:
    """Return the number of trials that a run trained, from its log."""
    return runs.count_trainings(done.stderr + done.stdout)


def test_run_writes_report_tables_and_figures(finished: Path) -> None:
    latest = finished / "latest"
    assert latest.resolve() == finished / "runs" / "first"
    assert {path.name for path in latest.iterdir()} >= {"report.html", "report.md", "tables", "figures", "run.json"}
    assert "400 reviews of tiny.csv" in (latest / "report.html").read_text()
    scores = pd.read_parquet(latest / "tables" / "scores.parquet")
    assert list(scores) == ["architecture", "seed", "split", "metric", "value"]
    assert set(scores["split"]) == {"validation", "test"}
    pd.testing.assert_frame_equal(pd.read_csv(latest / "tables" / "scores.csv"), scores, check_dtype=False)


def test_each_trial_is_evaluated_where_it_was_trained(finished: Path) -> None:
    trials = finished / "cache" / "trials"
    # The time of a file is that of its last use, the time of its checksum that of its writing.
    checksums = trials.glob("*.evaluation-*.zip.sha256")
    evaluations = {path.name.split(".")[0]: path.stat().st_mtime_ns for path in checksums}
    weights = pd.read_parquet(finished / "latest" / "tables" / "trials.parquet")["weights"]
    assert evaluations.keys() == {Path(name).stem for name in weights}
    assert min(evaluations.values()) < max(path.stat().st_mtime_ns for path in trials.glob("*.safetensors.sha256"))


def test_all_parquet_files_can_be_read_by_duckdb(finished: Path) -> None:
    files = list(finished.rglob("*.parquet"))
    assert len(files) > 8
    for file in files:
        assert len(duckdb.sql(f"select * from read_parquet('{file}')").fetchall()) == len(pd.read_parquet(file))


def test_prefect_has_the_task_runs_and_artifacts(finished: Path, api: str) -> None:
    query = {"flow_runs": {"name": {"any_": ["first"]}}}
    (run,) = httpx.post(f"{api}/flow_runs/filter", json=query).json()
    assert run["state"]["type"] == "COMPLETED"
    tasks = {task["name"] for task in httpx.post(f"{api}/task_runs/filter", json=query).json()}
    baselines = {f"{name}-seed-0" for name in BASELINES}
    always = {"load-reviews", "encode-reviews-1.0", "evaluate", "check-nights", "report"}
    plots = {f"plot-{path.stem}" for path in (finished / "latest" / "figures").glob("*.png")}
    assert len(plots) > 8
    assert tasks >= {"simple_rnn-seed-0", "simple_rnn-seed-1"} | always | baselines | plots
    others = {name for name in tasks if not name.startswith("plot-")}
    assert others == {"simple_rnn-seed-0", "simple_rnn-seed-1"} | always | baselines
    artifacts = {each["key"] for each in httpx.post(f"{api}/artifacts/filter", json=query).json()}
    assert artifacts >= {"report", "summary", "scores", "cells", "nights", "training-simple-rnn-seed-0"}


def test_second_run_trains_nothing_and_gives_the_same_scores(finished: Path, compare: Command) -> None:
    before = pd.read_parquet(finished / "runs" / "first" / "tables" / "scores.parquet")
    again = compare("--results", str(finished), "--seeds", "2", "--run-name", "again")
    assert again.returncode == 0, again.stderr
    assert count_trained(again) == 0
    pd.testing.assert_frame_equal(pd.read_parquet(finished / "latest" / "tables" / "scores.parquet"), before)


@pytest.fixture(scope="module")
def grown() -> dict[str, object]:
    """Return a dictionary for the run of `more`, so that it happens once."""
    return {}


@pytest.fixture
def more(finished: Path, compare: Command, grown: dict[str, object]) -> object:
    """Run the comparison again with one more seed, one more architecture and a smaller fraction, once."""
    if not grown:
        asked = ("--seeds", "3", "--architectures", "simple_rnn,lstm", "--train-fractions", "1.0,0.4")
        grown["run"] = compare("--results", str(finished), "--run-name", "more", *asked)
    return grown["run"]


def test_only_new_seeds_architectures_and_fractions_are_trained(finished: Path, more: object) -> None:
    assert more.returncode == 0, more.stderr
    assert count_trained(more) == 1 + 3 + 2 * 3 + len(BASELINES)  # of the whole, and of the fraction
    trials = pd.read_parquet(finished / "runs" / "more" / "tables" / "trials.parquet")
    baselines = {name: [0] for name in BASELINES}
    seeds = trials.groupby("architecture")["seed"].agg(list).to_dict()
    assert seeds == {"simple_rnn": [0, 1, 2], "lstm": [0, 1, 2], **baselines}
    assert set(trials["status"]) == {"finished"}


def test_train_fractions_add_a_learning_curve(finished: Path, more: object) -> None:
    assert more.returncode == 0, more.stderr
    tables = finished / "runs" / "more" / "tables"
    curve = pd.read_parquet(tables / "learning_curve.parquet")
    assert set(curve["architecture"]) == {"simple_rnn", "lstm", *BASELINES}
    assert sorted(set(curve["fraction"])) == [0.4, 1.0]
    assert set(pd.read_parquet(tables / "trials.parquet")["train_fraction"]) == {1.0}
    report = (tables.parent / "report.html").read_text()
    assert "training reviews, " in report
    assert "Learning curve" in report


@pytest.mark.slow
@pytest.mark.failure_mode("damaged-file")
def test_missing_and_damaged_trials_are_trained_again(finished: Path, compare: Command) -> None:
    trials = pd.read_parquet(finished / "runs" / "first" / "tables" / "trials.parquet").set_index("architecture")
    trials = trials[trials["seed"] == 0]
    lost, flipped = (finished / "cache" / "trials" / trials.loc[name, "weights"] for name in ("nb_svm", "simple_rnn"))
    before = flipped.read_bytes()
    lost.with_suffix(".parquet").unlink()
    flipped.write_bytes(before[:-9] + bytes([before[-9] ^ 1]) + before[-8:])
    done = compare("--results", str(finished), "--seeds", "2")
    assert done.returncode == 0, done.stderr
    assert count_trained(done) == 2
    assert len(re.findall(".* does not match its checksum", done.stderr)) == 1
    assert flipped.read_bytes() == before
    assert lost.with_suffix(".parquet").exists()


@pytest.mark.failure_mode("loss-diverged")
@pytest.mark.slow
def test_run_in_which_all_networks_diverge_is_a_user_error(compare: Command, tmp_path: Path) -> None:
    done = compare("--results", str(tmp_path), "--learning-rate", "1e38")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("Every training diverged")
    assert "Try a smaller learning rate" in done.stderr
    assert "this seed counts as diverged" in done.stderr
    assert "Traceback" not in done.stderr
    finished = {path.name.split("-")[0] for path in tmp_path.glob("cache/trials/*.parquet")}
    assert finished == {"simple_rnn", *BASELINES}


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that runs an invalid command in this process, and returns its error message."""
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setenv("PREFECT_CLIENT_MAX_RETRIES", "3")
    monkeypatch.setenv("PREFECT_LOGGING_INTERNAL_LEVEL", "CRITICAL")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")

    def refuse(*words: str) -> str:
        try:
            code = run_subcommand("run", *words)
        except SystemExit as end:
            code = end.code
        assert code == 2
        return capsys.readouterr().err

    return refuse


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--architectures", "gru2"], ["'gru2'", "simple_rnn, cnn, gru, lstm"]),
        (["--seeds", "0"], ["seeds", "'0'", "greater than or equal to 1"]),
        (["--max-tokens", "0"], ["--max-tokens", "'0'"]),
        (["--data", "nowhere.csv"], ["nowhere.csv"]),
        (["--data", "imdb2"], ["imdb2", "bundled"]),
        (["--no-such-option", "1"], ["--no-such-option"]),
        (["--seeds", "0", "--units", "many"], ["--seeds", "--units", "'many'"]),
        (["--train-fractions", "0.5,2"], ["--train-fractions", "2", "less than or equal to 1"]),
        (["--train-fractions", "0.5,0.5"], ["--train-fractions", "once"]),
        (["--resample-training", "1"], ["--resample-training", "at least 2"]),
        (["--resample-training", "5", "--new-seeds", "1"], ["--resample-training", "Nightly"]),
    ],
)
def test_user_error_names_parameter_and_value(refused: Callable[..., str], options: list[str], said: list[str]) -> None:
    message = refused(*options)
    assert all(words in message for words in said), message


def test_user_error_of_the_command_is_one_line() -> None:
    done = command("--architectures", "gru2")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "gru2" in done.stderr
    assert not done.stdout


@pytest.mark.failure_mode("unsafe-name")
@pytest.mark.parametrize("name", ["../x", "/etc/x", "", "x" * 300, "a\nb", "-rf", "🙂"])
def test_run_name_cannot_leave_its_folder(refused: Callable[..., str], name: str, tmp_path: Path) -> None:
    message = refused(f"--run-name={name}", f"--results={tmp_path}")
    assert "--run-name" in message
    assert not list(tmp_path.iterdir())


def test_user_error_in_a_data_file_is_found_before_training(api: str, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("text,label\n" + "fine,good\nmeh,bad\nso,neutral\n" * 40)
    done = command(
        *("--data", str(tmp_path / "own.csv"), "--results", str(tmp_path / "results")),
        environment={"PREFECT_API_URL": api},
    )
    assert done.returncode == 2
    assert "'neutral' (train: 40" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.safetensors"))


def test_help_lists_all_parameters() -> None:
    from tasks.config.parameters import Parameters

    done = command("--help")
    assert done.returncode == 0
    for name, field in Parameters.model_fields.items():
        assert f"--{name.replace('_', '-')} " in done.stdout
        assert field.description is None or field.description.split()[0] in done.stdout


def test_signature_of_the_flow_equals_the_settings_model() -> None:
    import inspect

    from flows.imdb_compare import imdb_compare
    from tasks.config.parameters import Parameters

    signature = inspect.signature(imdb_compare.fn).parameters
    assert {name: parameter.default for name, parameter in signature.items()} == Parameters().model_dump()
    schema = imdb_compare.parameters.properties
    assert all(schema[name].get("description") for name in Parameters.model_fields)


@pytest.mark.parametrize(("metric", "unit"), [("log_loss", "nats"), ("f1", "points")])
def test_chosen_metric_ranks_the_same_trials(finished: Path, compare: Command, metric: str, unit: str) -> None:
    done = compare("--results", str(finished), "--seeds", "2", "--run-name", metric, "--metric", metric)
    assert done.returncode == 0, done.stderr
    assert count_trained(done) == 0
    run = finished / "runs" / metric
    groups, setup, summary = (
        pd.read_parquet(run / "tables" / f"{name}.parquet") for name in ("groups", "setup", "summary")
    )
    assert setup[["metric", "metric_is_default"]].iloc[0].tolist() == [metric, False]
    own = summary.query("split == 'validation' and metric == @metric").set_index("architecture")["mean"]
    assert groups.loc[groups["best"], "validation_mean"].item() == (own.min() if metric == "log_loss" else own.max())
    assert set(summary["metric"]) == set(METRIC_NAMES)
    assert json.loads((run / "run.json").read_text())["metric"] == metric
    assert f"in {unit}" in done.stdout
    (model,) = select_models(open_run(finished, metric), ModelSelection())
    assert model.architecture == groups.loc[groups["best"], "architecture"].item()
    history = pd.read_parquet(sorted(finished.glob("history/**/*.parquet"), key=lambda file: file.stat().st_mtime)[-1])
    assert {json.loads(settings)["metric"] for settings in history["settings"]} == {metric}
    assert history[list(METRIC_NAMES)].notna().all(axis=None)


@pytest.mark.slow
def test_default_metric_of_imbalanced_data_is_balanced_accuracy(compare: Command, tmp_path: Path) -> None:
    reviews = pd.read_csv(tiny_reviews(tmp_path / "all.csv"))
    rare = pd.concat([reviews[reviews["label"] == 0], reviews[reviews["label"] == 1].head(60)])
    rare.to_csv(tmp_path / "rare.csv", index=False)
    done = compare("--results", str(tmp_path / "results"), "--data", str(tmp_path / "rare.csv"), "--run-name", "rare")
    assert done.returncode == 0, done.stderr
    setup = pd.read_parquet(tmp_path / "results" / "runs" / "rare" / "tables" / "setup.parquet")
    assert setup[["metric", "metric_is_default"]].iloc[0].tolist() == ["balanced_accuracy", True]
    assert "the default metric is balanced accuracy" in " ".join(done.stdout.replace("│", " ").split())

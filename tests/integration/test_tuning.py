"""A search in a real run: selected by validation reviews only, resumed after a kill, and reused by nightly runs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from tasks.config.labels import label
from tasks.models.baselines import BASELINES
from tasks.nightly.history import read_history
from tasks.storage.layout import cache_dir, predictions_file, run_table
from tasks.storage.retention import TRIALS, plan_removal
from tasks.storage.runs import open_run
from tasks.tuning.search_space import SEARCH_SPACE, TUNING_SEED
from tests.conftest import TINY, Command, command
from tests.helpers import runs
from tests.helpers.subcommands import run_subcommand

DIVERGING = "tests.helpers.programs.odd_architectures:diverging"
MEASURED = ["cpu_seconds", "train_seconds"]


def read_table(results: Path, name: str, run: str = "latest") -> pd.DataFrame:
    folder = results / run if run == "latest" else results / "runs" / run
    return pd.read_parquet(run_table(folder, name))


@pytest.fixture(scope="module")
def tuned(api: str, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results of a run of two architectures with a search of three configurations."""
    results = tmp_path_factory.mktemp("tuned")
    (results / "reviews.csv").write_text(tiny.read_text())
    done = run_again(api, results, "--run-name", "tuned", "--tune", "3")
    assert done.returncode == 0, done.stderr
    return results


def run_again(api: str, results: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the comparison of the two architectures on the reviews in a results folder, with further options."""
    given = TINY | {"--architectures": "simple_rnn,lstm", "--seeds": "2"}
    given |= {"--data": str(results / "reviews.csv"), "--results": str(results)}
    words = (word for option in given.items() for word in option)
    return command(*words, *options, environment={"PREFECT_API_URL": api})


@pytest.mark.slow
def test_each_architecture_tries_the_same_configurations(tuned: Path) -> None:
    table = read_table(tuned, "tuning")
    one, other = (rows.reset_index(drop=True) for _, rows in table.groupby("architecture", sort=False))
    assert_frame_equal(one[[*SEARCH_SPACE]], other[[*SEARCH_SPACE]])
    assert one["configuration"].tolist() == [1, 2, 3]
    assert one.loc[0, "units"] == int(TINY["--units"])
    assert set(table["seed"]) == {TUNING_SEED}
    assert table.groupby("architecture")["selected"].sum().tolist() == [1, 1]
    for _, rows in table.groupby("architecture"):
        assert rows.loc[rows["selected"], "validation_loss"].tolist() == [rows["validation_loss"].min()]


@pytest.mark.slow
def test_only_the_selected_configuration_is_compared_and_no_trial_of_a_search(tuned: Path) -> None:
    tuning = read_table(tuned, "tuning")
    names = {Path(name).stem for name in tuning["weights"]}
    for table in ("trials", "scores", "predictions", "history"):
        seeds = read_table(tuned, table).groupby("architecture")["seed"].unique().map(list).to_dict()
        assert {name: seeds[name] for name in ("simple_rnn", "lstm")} == {"simple_rnn": [0, 1], "lstm": [0, 1]}
    assert not names & set(read_history(tuned)["trial"])
    for name in names:
        predictions = pd.read_parquet(predictions_file(cache_dir(tuned), name))
        assert set(predictions["split"]) == {"validation"}
    unused = {item.name for item in plan_removal(tuned, keep_runs=9, older_than=0).items if item.kind == TRIALS}
    assert not names & unused  # the run refers to them


@pytest.mark.slow
@pytest.mark.usefixtures("with_tensorflow")
def test_stored_models_have_the_selected_recipe(tuned: Path, tmp_path: Path) -> None:
    tuning = read_table(tuned, "tuning")
    run = open_run(tuned, "tuned")
    for row in tuning[tuning["selected"]].to_dict("records"):
        recipe = run.recipe_of(row["architecture"])
        assert {name: getattr(recipe, name) for name in SEARCH_SPACE} == {name: row[name] for name in SEARCH_SPACE}
        options = ["--results", str(tuned), "--architecture", row["architecture"]]
        assert run_subcommand("predict", *options, "a good film") == 0
        folder = tmp_path / row["architecture"]
        assert run_subcommand("export", *options, "--output", str(folder), "--onnx") == 0
        assert json.loads((folder / "model.json").read_text())["recipe"]["units"] == row["units"]
    assert len({run.recipe_of(name).units for name in ("simple_rnn", "lstm")} - {3}) > 0


@pytest.mark.slow
def test_nightly_runs_reuse_the_search_and_can_repeat_it(tuned: Path, api: str) -> None:
    nightly = ("--tune", "3", "--new-seeds", "1", "--nightly-date", "2026-11-27")
    again = run_again(api, tuned, *nightly, "--run-name", "night")
    assert again.returncode == 0, again.stderr
    assert re.findall(r"(\d+) of (\d+) trials are in the cache", again.stderr + again.stdout) == [
        (str(4 + len(BASELINES)), str(6 + len(BASELINES)))
    ]
    before = read_table(tuned, "tuning", "tuned")
    assert_frame_equal(read_table(tuned, "tuning", "night"), before)

    with (tuned / "reviews.csv").open("a") as file:
        file.writelines(f"a new film {number} good,1\n" for number in range(20))
    reused = run_again(api, tuned, *nightly, "--run-name", "grown")
    repeated = run_again(api, tuned, *nightly, "--run-name", "repeated", "--retune")
    assert reused.returncode == 0, reused.stderr
    assert_frame_equal(read_table(tuned, "tuning", "grown"), before)
    assert repeated.returncode == 0, repeated.stderr
    assert not read_table(tuned, "tuning", "repeated")["validation_loss"].equals(before["validation_loss"])


@pytest.mark.slow
def test_tuned_and_untuned_runs_have_histories_of_their_own(tuned: Path, api: str) -> None:
    plain = run_again(api, tuned, "--run-name", "plain")
    assert plain.returncode == 0, plain.stderr
    assert read_table(tuned, "tuning", "plain").empty
    assert list(read_table(tuned, "tuning", "plain")) == list(read_table(tuned, "tuning", "tuned"))
    partitions = read_history(tuned).groupby("run")["configuration"].first()
    assert partitions["plain"] != partitions["tuned"]


@pytest.mark.slow
def test_selection_and_weights_do_not_depend_on_the_test_labels(compare: Command, tiny: Path, tmp_path: Path) -> None:
    reviews = pd.read_csv(tiny)
    reviews[:300].to_csv(tmp_path / "train.csv", index=False)
    found = {}
    for name, labels in (("as-they-are", reviews["label"]), ("inverted", 1 - reviews["label"])):
        test, results = tmp_path / f"{name}.csv", tmp_path / name
        reviews.assign(label=labels)[300:].to_csv(test, index=False)
        done = compare(
            "--results", str(results), "--tune", "3", "--data", str(tmp_path / "train.csv"), "--test-data", str(test)
        )
        assert done.returncode == 0, done.stderr
        trials = read_table(results, "trials")[["architecture", "seed", "weights_sha256"]]
        accuracy = read_table(results, "scores").query("split == 'test' and metric == 'accuracy'")["value"].to_numpy()
        found[name] = (read_table(results, "tuning").drop(columns=[*MEASURED, "weights"]), trials, accuracy)
    (tuning, trials, accuracy), (other_tuning, other_trials, other_accuracy) = found.values()
    assert_frame_equal(tuning, other_tuning)
    assert_frame_equal(trials, other_trials)
    assert accuracy == pytest.approx(1 - other_accuracy)


@pytest.mark.slow
def test_architecture_whose_configurations_all_diverge_is_reported_with_the_others(
    compare: Command, tmp_path: Path
) -> None:
    done = compare("--results", str(tmp_path), "--tune", "2", "--architectures", f"simple_rnn,{DIVERGING}")
    assert done.returncode == 1
    assert f"{label(DIVERGING)}: all 2 configurations" in done.stderr
    assert label(DIVERGING) in (tmp_path / "latest" / "report.html").read_text()
    assert "Traceback" not in done.stderr
    assert set(read_table(tmp_path, "trials")["architecture"]) == {"simple_rnn", *BASELINES}
    tuning = read_table(tmp_path, "tuning")
    assert tuning[tuning["architecture"] == DIVERGING]["status"].tolist() == ["diverged", "diverged"]


@pytest.mark.slow
@pytest.mark.failure_mode("flow-killed")
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_search_of_a_hundred_trials_resumes_after_a_kill(api: str, tiny: Path, tmp_path: Path) -> None:
    options = TINY | {"--tune": "100", "--workers": "2", "--data": str(tiny), "--results": str(tmp_path)}
    run = runs.start(options, tmp_path / "output", {"PREFECT_API_URL": api})
    run.wait_until(lambda: len(runs.finished_trials(tmp_path)) >= 40, seconds=400)
    run.process.kill()
    assert run.wait_for_exit() < 2
    before = runs.finished_trials(tmp_path)
    assert 40 <= len(before) < 100
    again = runs.start(options, tmp_path / "output", {"PREFECT_API_URL": api})
    assert again.process.wait(timeout=500) == 0, again.output
    assert runs.count_trainings(again.output) == 100 + 1 + len(BASELINES) - len(before)
    assert before.items() <= runs.finished_trials(tmp_path).items()  # none was written again
    assert len(read_table(tmp_path, "tuning")) == 100
    assert not runs.find_violations(tmp_path)


@pytest.mark.parametrize(
    ("options", "parameter"), [(("--tune", "1"), "--tune"), (("--retune",), "--retune"), (("--tune", "-2"), "--tune")]
)
def test_useless_numbers_are_user_errors(
    options: tuple[str, ...], parameter: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_subcommand("run", *options) == 2
    assert capsys.readouterr().err.startswith(f"{parameter}: received")


def test_too_few_validation_reviews_are_a_user_error_before_a_server_starts(tiny: Path, tmp_path: Path) -> None:
    pd.read_csv(tiny)[:200].to_csv(tmp_path / "few.csv", index=False)
    options = ("--data", str(tmp_path / "few.csv"), "--results", str(tmp_path), "--tune", "2")
    done = command(*options, environment={"PREFECT_API_URL": "", "PREFECT_HOME": str(tmp_path / "prefect")})
    assert done.returncode == 2
    assert not (tmp_path / "prefect" / "prefect.db").exists()
    assert "--tune: received 2, but" in done.stderr

"""Two runs compared: what differs is found where there are seeds enough, and told with what was changed."""

import json
from pathlib import Path

import pandas as pd
import pytest

from flows.cli.diff import main
from tasks.config.errors import UserError
from tasks.reporting.run_diff import changes, compare_two, in_markdown
from tasks.storage.runs import SavedRun, open_run
from tests.helpers.simulated_predictions import as_predictions, simulated_panels


def made_up(folder: Path, name: str, predictions: pd.DataFrame, seconds: float = 10.0, **facts: object) -> SavedRun:
    """Write the tables of a run, as far as they are read."""
    (folder / name / "tables").mkdir(parents=True)
    trials = predictions[["architecture", "seed"]].drop_duplicates().assign(train_seconds=seconds)
    trials = trials.assign(status="finished", weights="x.safetensors")
    for table, frame in {"predictions": predictions, "trials": trials}.items():
        frame.to_parquet(folder / name / "tables" / f"{table}.parquet")
    common = {"fingerprint": "f" * 64, "source": "1,000 reviews", "settings": {}, "versions": {}, "hardware": {}}
    return SavedRun(name, folder / name, folder, {**common, **facts}, trials)


def simulated(folder: Path, after_points: float, seeds: int = 6) -> tuple[SavedRun, SavedRun]:
    """Simulate two architectures before and after a change that moves the first one's accuracy alone."""
    accuracies = [0.88, 0.88 + after_points / 100, 0.86, 0.86]
    drawn = as_predictions(simulated_panels(accuracies, seeds=seeds, reviews=4_000, seed=1, seed_points=0.002))
    names = list(dict.fromkeys(drawn["architecture"]))
    runs = []
    for place, when in enumerate(("before", "after")):
        called = {names[place]: "lstm", names[2 + place]: "deep_lstm"}
        part = drawn[drawn["architecture"].isin(called)]
        part = part.assign(architecture=part["architecture"].map(called))
        versions = {"keras": f"3.15.{place}", "numpy": "2.4.0"}
        runs.append(made_up(folder, when, part, seconds=10 + 5 * place, versions=versions))
    return runs[0], runs[1]


@pytest.mark.parametrize(("points", "verdict"), [(-3.0, "worse"), (3.0, "better")])
def test_a_true_change_is_found_and_the_other_is_not(tmp_path: Path, points: float, verdict: str) -> None:
    table = compare_two(*simulated(tmp_path, points)).set_index("architecture")
    assert table.loc["lstm", "verdict"] == verdict
    assert table.loc["lstm", "low"] <= points / 100 <= table.loc["lstm", "high"]
    assert table.loc["lstm", "difference"] == pytest.approx(table.loc["lstm", "after"] - table.loc["lstm", "before"])
    assert table.loc["deep_lstm", "verdict"] in ("not separable", "equivalent")
    assert table["slower"].tolist() == [1.5, 1.5]


def test_with_few_seeds_nothing_is_claimed(tmp_path: Path) -> None:
    assert set(compare_two(*simulated(tmp_path, -3.0, seeds=3))["verdict"]) == {"too few seeds"}


def test_what_was_changed_is_told(tmp_path: Path) -> None:
    before, after = simulated(tmp_path, 0)
    assert changes(before, after) == ["versions: keras 3.15.0 → 3.15.1"]
    report = in_markdown(compare_two(before, after), before, after)
    assert report.startswith("# before → after\n")
    assert "- versions: keras 3.15.0 → 3.15.1" in report
    assert report.count("\n| ") == 3


def test_runs_on_other_reviews_are_refused(tmp_path: Path) -> None:
    before, after = simulated(tmp_path, 0)
    with pytest.raises(UserError, match="Only runs on the same reviews"):
        compare_two(before, after._replace(facts=after.facts | {"fingerprint": "e" * 64}))
    with pytest.raises(UserError, match="no architecture in common"):
        compare_two(before, after._replace(trials=after.trials.assign(architecture="gru")))


def test_the_command_compares_a_run_with_itself(past: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["first", "first", "--results", str(past), "--json", "--output", str(tmp_path / "report.md")]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["architecture"] for row in rows} == {"simple_rnn", "tfidf_logistic", "nb_svm"}
    assert {row["difference"] for row in rows} == {0.0}
    assert not {row["verdict"] for row in rows} & {"better", "worse"}
    assert "nothing that the runs wrote down" in (tmp_path / "report.md").read_text()
    assert main(["first", "other", "--results", str(past)]) == 2
    assert "no finished run 'other'" in capsys.readouterr().err
    assert open_run(past, "first").name == "first"

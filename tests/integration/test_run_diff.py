"""Comparison of two runs: significance, changes, and user errors."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.config.recipe import Recipe
from tasks.reporting.run_diff import compare_runs, list_changes, list_missing
from tasks.reporting.run_diff_text import format_diff
from tasks.storage.run_info import RunInfo, VectorInfo
from tasks.storage.runs import RunRecord, open_run
from tests.helpers.simulated_predictions import simulate_predictions, to_frame
from tests.helpers.subcommands import run_subcommand


def write_run_record(
    folder: Path, name: str, predictions: pd.DataFrame, seconds: float = 10.0, **info: object
) -> RunRecord:
    """Write the tables of a run that a comparison reads, and return its record."""
    (folder / name / "tables").mkdir(parents=True)
    trials = predictions[["architecture", "seed"]].drop_duplicates().assign(train_seconds=seconds)
    trials = trials.assign(status="finished", weights="x.safetensors")
    for table, frame in {"predictions": predictions, "trials": trials}.items():
        frame.to_parquet(folder / name / "tables" / f"{table}.parquet")
    common = {"fingerprint": "f" * 64, "source": "1,000 reviews", "settings": {}, "versions": {}, "hardware": {}}
    record = RunInfo(rows={"test": 1_000}, classes=("negative", "positive"), caveats=(), run_name=name, started="now",
                   **{**common, **info})  # fmt: skip
    return RunRecord(record, folder / name, folder, Recipe(), folder / "vocabulary.parquet", trials)


def simulate_runs(folder: Path, after_points: float, seeds: int = 6) -> tuple[RunRecord, RunRecord]:
    """Simulate two architectures before and after a change that affects the accuracy of the first one only."""
    accuracies = [0.88, 0.88 + after_points / 100, 0.86, 0.86]
    predictions = to_frame(simulate_predictions(accuracies, seeds=seeds, reviews=4_000, seed=1, seed_std=0.002))
    names = list(dict.fromkeys(predictions["architecture"]))
    runs = []
    for place, when in enumerate(("before", "after")):
        new_names = {names[place]: "lstm", names[2 + place]: "deep_lstm"}
        part = predictions[predictions["architecture"].isin(new_names)]
        part = part.assign(architecture=part["architecture"].map(new_names))
        versions = {"keras": f"3.15.{place}", "numpy": "2.4.0"}
        runs.append(write_run_record(folder, when, part, seconds=10 + 5 * place, versions=versions))
    return runs[0], runs[1]


@pytest.mark.parametrize(("points", "verdict"), [(-3.0, "worse"), (3.0, "better")])
def test_changed_architecture_is_significantly_different(tmp_path: Path, points: float, verdict: str) -> None:
    table = compare_runs(*simulate_runs(tmp_path, points)).set_index("architecture")
    assert table.loc["lstm", "verdict"] == verdict
    assert table.loc["lstm", "low"] <= points / 100 <= table.loc["lstm", "high"]
    assert table.loc["lstm", "difference"] == pytest.approx(table.loc["lstm", "after"] - table.loc["lstm", "before"])
    assert table.loc["deep_lstm", "verdict"] in ("not separable", "equivalent")
    assert table["slower"].tolist() == [1.5, 1.5]


def test_the_output_on_a_terminal_has_no_markdown_escapes(tmp_path: Path) -> None:
    before, after = simulate_runs(tmp_path, -3.0)
    before = replace(before, info=before.info.model_copy(update={"source": "9 reviews of my_file.csv"}))
    table = compare_runs(before, after)
    assert "my\\_file.csv" in format_diff(table, before, after)
    assert "9 reviews of my_file.csv" in format_diff(table, before, after, escape_terminal)


def test_hardware_that_one_run_did_not_record_is_no_change(tmp_path: Path) -> None:
    before, after = simulate_runs(tmp_path, -3.0)
    found = [{"cores": 2, "memory": "4 GiB"}, {"cores": 4, "processor_model": "x"}]
    before, after = (
        replace(run, info=run.info.model_copy(update={"hardware": each}))
        for run, each in zip((before, after), found, strict=True)
    )
    assert [change for change in list_changes(before, after) if "hardware" in change] == ["hardware: cores 2 → 4"]


def test_word_vectors_are_compared_by_their_content_and_not_by_their_path(tmp_path: Path) -> None:
    before, after = simulate_runs(tmp_path, -3.0)

    def with_vectors(run: RunRecord, folder: str, digit: str, *, frozen: bool) -> RunRecord:
        vectors = VectorInfo(
            source="own.vec", sha256=digit * 64, size=5, frozen=frozen, words=1, vocabulary=2, token_share=0.5
        )
        settings = {"vectors": f"{folder}/own.vec", "vectors_frozen": frozen}
        return replace(run, info=run.info.model_copy(update={"vectors": vectors, "settings": settings}))

    def changes(before: RunRecord, after: RunRecord) -> list[str]:
        return [change for change in list_changes(before, after) if "vectors" in change]

    same = with_vectors(before, "first", "a", frozen=False)
    assert changes(same, with_vectors(after, "moved", "a", frozen=False)) == []
    (named,) = changes(before, with_vectors(after, "first", "a", frozen=True))
    assert "none → own.vec" in named
    assert "frozen" in named
    (replaced,) = changes(same, with_vectors(after, "first", "b", frozen=False))
    assert "aaaa" in replaced.split("→")[0]
    assert "bbbb" in replaced.split("→")[1]
    assert len(changes(same, with_vectors(after, "first", "a", frozen=True))) == 1


def test_few_seeds_are_inconclusive(tmp_path: Path) -> None:
    before, after = simulate_runs(tmp_path, -3.0, seeds=3)
    table = compare_runs(before, after)
    assert set(table["verdict"]) == {"too few seeds"}
    assert table["minimum_detectable_difference"].isna().all()
    report = format_diff(table, before, after)
    assert "Nothing could be tested." in report
    assert "Not tested: LSTM (3 shared seeds; at least 5 are needed); Deep LSTM (3 shared seeds" in report
    assert "ignificant" not in report  # nothing was tested, so nothing is called significant or not
    assert "unknown" not in report  # three seeds show their variance


def test_report_states_what_was_tested_and_how_certain_the_result_is(tmp_path: Path) -> None:
    before, after = simulate_runs(tmp_path, -3.0)
    table = compare_runs(before, after)
    row, other = table.to_dict("records")
    report = format_diff(table, before, after)
    assert f"Significantly worse after the change: LSTM ({100 * row['difference']:+.2f} points" in report
    assert "Tested: LSTM and Deep LSTM." in report
    assert "Not tested" not in report
    assert "at most 5% of comparisons" in report
    assert "4,000 test texts." in report
    assert "eed variance" not in report
    assert "Failed" not in report
    detectable = f"Deep LSTM {100 * other['minimum_detectable_difference']:.2f} points."
    assert (detectable in report) == (other["verdict"] == "not separable")
    assert "of the training texts of these runs" not in report
    assert "trained on the training texts of these runs" in report


def test_baseline_has_no_seed_variance_and_its_test_counts_reviews_only(tmp_path: Path) -> None:
    predictions = to_frame(simulate_predictions([0.88, 0.83], seeds=1, reviews=4_000, seed=1))
    before, after = (
        write_run_record(tmp_path, when, predictions[predictions["architecture"] == name].assign(architecture="nb_svm"))
        for when, name in zip(("before", "after"), ("model_0", "model_1"), strict=True)
    )
    table = compare_runs(before, after)
    assert table[["verdict", "noise", "seeds"]].to_numpy().tolist() == [["worse", "reviews", 1]]
    report = format_diff(table, before, after)
    assert "No seed variance: NB-SVM (without seeds)." in report
    assert "unknown for" not in report
    assert report.count("| none |") == 1


def test_architectures_without_scores_in_both_runs_are_listed(tmp_path: Path) -> None:
    before, after = simulate_runs(tmp_path, 0)
    place = after.run_dir / "tables" / "trials.parquet"
    trials = after.table("trials")
    gru = {"architecture": "gru", "seed": 0, "train_seconds": 1.0, "status": "finished", "weights": "x.safetensors"}
    status = np.where(trials["architecture"] == "deep_lstm", "diverged", "finished")
    pd.concat([trials.assign(status=status), pd.DataFrame([gru])]).to_parquet(place)
    finished = pd.concat([after.trials, pd.DataFrame([gru])])
    after = replace(after, trials=finished[finished["architecture"] != "deep_lstm"])
    assert list_missing(before, after) == {"gru": "not in before", "deep_lstm": "all seeds diverged in after"}
    table = compare_runs(before, after)
    assert table["architecture"].tolist() == ["lstm"]
    report = format_diff(table, before, after)
    assert "Not tested: GRU (not in before); Deep LSTM (all seeds diverged in after)." in report


def test_diverged_seeds_prevent_a_better_result(tmp_path: Path) -> None:
    before, after = simulate_runs(tmp_path, 3.0, seeds=8)
    lost = "architecture == 'lstm' and seed < 3"
    trials, predictions = after.table("trials"), after.table("predictions")
    trials.loc[trials.query(lost).index, "status"] = "diverged"
    trials.to_parquet(after.run_dir / "tables" / "trials.parquet")
    predictions.drop(predictions.query(lost).index).to_parquet(after.run_dir / "tables" / "predictions.parquet")
    table = compare_runs(before, after).set_index("architecture")
    columns = ["verdict", "seeds", "before_failed", "after_failed"]
    assert table.loc["lstm", columns].tolist() == ["not separable", 5, 0, 3]
    assert "Failed or diverged seeds: LSTM (0 before, 3 after)." in format_diff(table.reset_index(), before, after)


def test_cpu_time_is_compared_if_both_runs_have_it(tmp_path: Path) -> None:
    before, after = simulate_runs(tmp_path, 0)
    table = compare_runs(before, after)
    assert table["cpu_slower"].isna().all()
    assert format_diff(table, before, after).count("×1.50 (d) |") == 2
    for run, seconds in ((before, 4.0), (after, 5.0)):
        run.table("trials").assign(cpu_seconds=seconds).to_parquet(run.run_dir / "tables" / "trials.parquet")
    table = compare_runs(before, after)
    assert table["cpu_slower"].tolist() == [1.25, 1.25]
    assert format_diff(table, before, after).count("×1.25 |") == 2


def test_one_shared_seed_is_no_test_and_its_variance_is_unknown(tmp_path: Path) -> None:
    before, after = simulate_runs(tmp_path, -30.0, seeds=1)
    report = format_diff(compare_runs(before, after), before, after)
    assert report.count("| not tested |") == 2
    assert "0.0000" not in report
    assert "Seed variance is unknown for LSTM and Deep LSTM" in report


def test_report_lists_changed_versions(tmp_path: Path) -> None:
    before, after = simulate_runs(tmp_path, 0)
    assert list_changes(before, after) == ["versions: keras 3.15.0 → 3.15.1"]
    report = format_diff(compare_runs(before, after), before, after)
    assert report.startswith("# before → after\n")
    assert "- versions: keras 3.15.0 → 3.15.1" in report
    assert report.count("\n| ") == 3


def test_report_lists_recipes_that_a_search_has_changed(tmp_path: Path) -> None:
    before, after = simulate_runs(tmp_path, 0)
    recipes = {"lstm": before.recipe.model_copy(update={"units": 32}), "missing": before.recipe}
    after = replace(after, info=after.info.model_copy(update={"recipes": recipes}))
    changes = [change for change in list_changes(before, after) if change.startswith("recipes")]
    assert changes == [f"recipes: lstm units {before.recipe.units} → 32"]


def test_runs_on_other_data_are_user_errors(tmp_path: Path) -> None:
    before, after = simulate_runs(tmp_path, 0)
    with pytest.raises(UserError, match="Only runs on the same reviews"):
        compare_runs(before, replace(after, info=after.info.model_copy(update={"fingerprint": "e" * 64})))
    with pytest.raises(UserError, match="no architecture in common"):
        compare_runs(before, replace(after, trials=after.trials.assign(architecture="gru")))


def test_command_compares_a_run_with_itself(past: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run_subcommand(
            "diff", "first", "first", "--results", str(past), "--json", "--output", str(tmp_path / "report.md")
        )
        == 0
    )
    rows = [json.loads(line, parse_constant=pytest.fail) for line in capsys.readouterr().out.splitlines()]
    assert {row["architecture"] for row in rows} == {"simple_rnn", "tfidf_logistic", "nb_svm", "averaged_embeddings"}
    assert {row["difference"] for row in rows} == {0.0}
    assert not {row["verdict"] for row in rows} & {"better", "worse"}
    report = (tmp_path / "report.md").read_text()
    assert "nothing that the runs recorded" in report
    assert "-0.00" not in report
    assert run_subcommand("diff", "first", "other", "--results", str(past)) == 2
    assert "no finished run 'other'" in capsys.readouterr().err
    assert open_run(past, "first").name == "first"

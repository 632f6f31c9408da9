"""The history of nightly runs: files, partitions, selection of seeds, trend, changes and the subcommand."""

import logging
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from flows.cli.history import format_history
from tasks.config.recipe import Recipe
from tasks.figures.nightly import nights
from tasks.nightly.history import HistoryPartition, read_history, remove_run, write_run
from tasks.nightly.history_rows import HistoryRun, build_rows
from tasks.nightly.seeds import REUSED_RUNS, nightly_seeds
from tasks.nightly.selection import NightlySelection, find_reused_trials
from tasks.nightly.trend import list_changes, nightly_tables, trend_table
from tasks.reporting.nightly_text import format_alarms, format_nightly_summary, nightly_table
from tasks.storage import store
from tasks.storage.trial_records import TrialResult, TrialSpec
from tests.helpers import synthetic
from tests.helpers.subcommands import run_subcommand

RECIPE = Recipe()
PARTITION = HistoryPartition.from_recipe("f" * 64, RECIPE, 1.0)
FIRST = date(2026, 3, 1)
LAST = date(2099, 12, 31)


def make_spec(seed: int, name: str, train_fraction: float = 1.0) -> TrialSpec:
    return TrialSpec("lstm", seed, RECIPE, Path("x"), train_fraction, f"lstm-seed-{seed}", name, Path("cache"))


def make_result(spec: TrialSpec) -> TrialResult:
    return TrialResult(
        architecture="lstm", seed=spec.seed, parameters=1, train_seconds=30.0, epochs=1, best_epoch=1,
        status="finished", train_reviews=1, probe_seconds=0.5, cpu_seconds=20.0, weights=f"{spec.name}.safetensors",
        weights_sha256="0" * 64,
    )  # fmt: skip


def make_scores(specs: list[TrialSpec], seeds: dict[int, float]) -> pd.DataFrame:
    rows = [
        {"architecture": "lstm", "seed": spec.seed, "split": split, "metric": metric, "value": seeds[spec.seed]}
        for spec in specs for split in ("validation", "test") for metric in ("accuracy", "f1")
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["architecture", "seed", "split", "metric", "value"])


def make_run(name: str, night: date, started: date, **values: dict[str, object]) -> HistoryRun:
    start = datetime(started.year, started.month, started.day, 3, tzinfo=UTC)
    recorded = {"code": {"lstm": "one"}, "versions": {}, "hardware": {"cores": 2}, "settings": {}, **values}
    return HistoryRun(name=name, night=night, started=start, new_seeds=1, **recorded)


def add(
    results: Path,
    night: date,
    seeds: dict[int, float],
    *,
    keras: str = "3.15.1",
    partition: HistoryPartition = PARTITION,
    started: date | None = None,
    run: str | None = None,
    **values: dict[str, object],
) -> Path:
    """Add a run of an LSTM whose seeds have these test accuracies; a seed with NaN failed."""
    specs = [make_spec(seed, f"lstm-seed-{seed}-{keras}") for seed in seeds]
    finished = [spec for spec in specs if np.isfinite(seeds[spec.seed])]
    shared = make_run(run or f"{night}", night, started or night, **({"versions": {"keras": keras}} | values))
    rows = build_rows(shared, specs, [make_result(spec) for spec in finished], make_scores(finished, seeds))
    return write_run(results, partition, f"{night}", rows)


def add_nightly_runs(results: Path, count: int) -> list[date]:
    """Add nightly runs of three seeds and one more each; earlier seeds come from the cache."""
    dates = [FIRST + timedelta(days=day) for day in range(count)]
    seeds = {0: 0.878, 1: 0.882, 2: 0.878}
    for day, night in enumerate(dates):
        seeds[nightly_seeds(night, 1)[0]] = 0.878 if day % 2 else 0.882
        add(results, night, seeds)
    return dates


def list_files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


# Files and partitions.


def test_each_run_is_one_file_and_duckdb_reads_all_as_one_table(tmp_path: Path) -> None:
    for night in add_nightly_runs(tmp_path, 3):
        assert len(list(tmp_path.glob(f"history/*/*/{night}.parquet"))) == 1
    add(tmp_path, FIRST, {0: 0.5}, partition=HistoryPartition.from_recipe("a" * 64, RECIPE, 1.0))
    query = f"from read_parquet('{tmp_path}/history/**/*.parquet', hive_partitioning = true)"
    assert duckdb.sql(f"select count(*) {query}").fetchall() == [(4 + 5 + 6 + 1,)]
    found = duckdb.sql(f"select data, configuration, count(*) {query} group by all order by 3").fetchall()
    assert found == [("a" * 16, PARTITION.configuration, 1), ("f" * 16, PARTITION.configuration, 15)]
    newest = duckdb.sql(f"select accuracy, relative_seconds, night {query} where data = 'ffffffffffffffff'").df()
    assert (newest["relative_seconds"] == 60).all()
    assert read_history(tmp_path)["night"].tolist() == sorted(read_history(tmp_path)["night"])


def test_runs_of_an_earlier_version_have_no_cpu_time(tmp_path: Path) -> None:
    old, new = add(tmp_path, FIRST, {0: 0.8}), add(tmp_path, FIRST + timedelta(days=1), {1: 0.8})
    store.write(old, store.table(old).drop_columns("cpu_seconds"))
    assert "cpu_seconds" not in store.table(old).column_names
    np.testing.assert_array_equal(read_history(tmp_path)["cpu_seconds"], [np.nan, 20])
    query = f"from read_parquet('{tmp_path}/history/**/*.parquet', hive_partitioning = true, union_by_name = true)"
    assert duckdb.sql(f"select cpu_seconds {query} order by night").fetchall() == [(None,), (20.0,)]
    store.write(new, store.table(new).drop_columns("probe_seconds"))
    assert len(read_history(tmp_path)) == 1  # a file without another column is damaged


def test_partition_depends_on_data_recipe_and_train_fraction_only() -> None:
    assert HistoryPartition.from_recipe("f" * 64, Recipe(), 1.0) == PARTITION
    others = [
        HistoryPartition.from_recipe("e" * 64, RECIPE, 1.0),
        HistoryPartition.from_recipe("f" * 64, Recipe(units=8), 1.0),
        HistoryPartition.from_recipe("f" * 64, RECIPE, 0.5),
        HistoryPartition.from_recipe("f" * 64, RECIPE, 1.0, vectors="vectors"),
    ]
    assert len({PARTITION, *others}) == 5


def test_partition_of_a_tuned_run_depends_on_the_recipe_of_each_architecture() -> None:
    selections = [{"lstm": RECIPE, "gru": RECIPE}, {"lstm": RECIPE, "gru": Recipe(units=8)}, {"lstm": RECIPE}]
    tuned = {HistoryPartition.from_recipe("f" * 64, RECIPE, 1.0, recipes) for recipes in selections}
    assert len({PARTITION, *tuned}) == 4


def test_same_run_again_replaces_its_file(tmp_path: Path) -> None:
    add(tmp_path, FIRST, {0: 0.8})
    add(tmp_path, FIRST, {0: 0.8, 1: 0.9})
    assert read_history(tmp_path)["seed"].tolist() == [0, 1]


def test_damaged_file_is_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    add(tmp_path, FIRST, {0: 0.8})
    file = add(tmp_path, FIRST + timedelta(days=1), {0: 0.8})
    file.write_bytes(file.read_bytes()[:-9])
    with caplog.at_level(logging.WARNING):
        assert len(read_history(tmp_path)) == 1
    assert len(set(caplog.messages)) == 1
    assert file.name in caplog.messages[0]


def test_failed_trial_has_a_row_without_scores(tmp_path: Path) -> None:
    add(tmp_path, FIRST, {0: 0.8, 1: float("nan")})
    rows = read_history(tmp_path).set_index("seed")
    assert rows["status"].tolist() == ["finished", "failed"]
    assert rows.loc[0, "accuracy"] == 0.8
    assert np.isnan(rows.loc[1, ["accuracy", "train_seconds", "relative_seconds"]].astype(float)).all()


def test_run_without_any_score_has_rows() -> None:
    rows = build_rows(make_run("x", FIRST, FIRST), [make_spec(0, "x")], [], scores=None)
    assert rows["status"].tolist() == ["failed"]


def test_rows_are_ordered_by_the_start_of_the_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(tmp_path, LAST, {0: 0.5}, started=FIRST)
    other = HistoryPartition.from_recipe("f" * 64, Recipe(units=8), 1.0)
    add(tmp_path, LAST, {0: 0.5}, partition=other, started=FIRST + timedelta(days=1))
    add(tmp_path, FIRST + timedelta(days=2), {0: 0.8, 1: 0.8})
    assert read_history(tmp_path)["night"].tolist() == [LAST, LAST, *[FIRST + timedelta(days=2)] * 2]
    table = nightly_table(nightly_tables(read_history(tmp_path), PARTITION))
    assert table["Date"].tolist() == ["2026-03-03", "2099-12-31"]
    assert run_subcommand("history", f"--results={tmp_path}") == 0
    printed = capsys.readouterr().out
    assert f"configuration {PARTITION.configuration}; 1 others" in printed
    assert printed.index("2026-03-03") < printed.index("2099-12-31")


# Seeds.


def test_seeds_come_from_the_date_and_no_two_dates_share_one() -> None:
    assert nightly_seeds(date(2026, 11, 24), 2) == [202611240, 202611241]
    assert nightly_seeds(FIRST, 0) == []
    dates = [FIRST + timedelta(days=day) for day in range(800)]
    assert len({seed for night in dates for seed in nightly_seeds(night, 10)}) == 8_000
    assert max(nightly_seeds(LAST, 10)) < 2**31


def select_seeds(results: Path, night: date, new_seeds: int = 1) -> list[int]:
    """Return the seeds that a nightly run of unchanged code trains or finds in the cache."""

    def plan(seeds):
        return [make_spec(seed, f"lstm-seed-{seed}-3.15.1") for seed in seeds]

    selection = NightlySelection(night, 3, new_seeds, PARTITION, read_history(results))
    return [spec.seed for spec in selection.select_trials(plan)]


def test_nightly_run_adds_its_seed_and_reuses_earlier_ones(tmp_path: Path) -> None:
    dates = add_nightly_runs(tmp_path, 3)
    earlier = [nightly_seeds(night, 1)[0] for night in dates]
    following = FIRST + timedelta(days=3)
    assert select_seeds(tmp_path, following) == [0, 1, 2, *earlier, 202603040]
    assert select_seeds(tmp_path, following) == select_seeds(tmp_path, following)
    assert select_seeds(tmp_path, dates[-1]) == [0, 1, 2, *earlier]  # the same date again adds nothing
    assert select_seeds(tmp_path, following, new_seeds=0) == [0, 1, 2]


def test_seeds_of_at_most_thirty_nightly_runs_are_used(tmp_path: Path) -> None:
    dates = add_nightly_runs(tmp_path, 40)
    seeds = select_seeds(tmp_path, dates[-1] + timedelta(days=1))
    assert len(seeds) == 3 + REUSED_RUNS
    assert seeds[3] == nightly_seeds(dates[40 - 29], 1)[0]


def test_changed_library_does_not_train_earlier_nightly_seeds_again(tmp_path: Path) -> None:
    add(tmp_path, FIRST, {0: 0.8, 202603010: 0.8}, keras="3.14")
    assert select_seeds(tmp_path, FIRST + timedelta(days=1)) == [0, 1, 2, 202603020]


def test_smaller_fractions_use_the_first_seeds_only(tmp_path: Path) -> None:
    def plan(seeds):
        return [make_spec(seed, f"{seed}-{fraction}", fraction) for fraction in (0.5, 1.0) for seed in seeds]

    specs = NightlySelection(FIRST, 2, 1, PARTITION, read_history(tmp_path)).select_trials(plan)
    assert [(spec.train_fraction, spec.seed) for spec in specs] == [
        (0.5, 0), (0.5, 1), (1.0, 0), (1.0, 1), (1.0, 202603010),
    ]  # fmt: skip


def test_new_trials_without_a_score_are_missing(tmp_path: Path) -> None:
    selection = NightlySelection(FIRST, 1, 2, PARTITION, read_history(tmp_path))
    specs = [make_spec(seed, f"x-{seed}") for seed in (0, *selection.own_seeds)]
    scores = make_scores(specs[:2], {0: 0.9, 202603010: 0.9})
    assert selection.find_missing_trials(specs, scores) == ["lstm-seed-202603011"]
    assert selection.find_missing_trials(specs, scores.head(0)) == ["lstm-seed-202603010", "lstm-seed-202603011"]


# Trend and changes.


def test_interval_shrinks_with_the_number_of_seeds(tmp_path: Path) -> None:
    add_nightly_runs(tmp_path, 14)
    tables = nightly_tables(read_history(tmp_path), PARTITION)
    widths = (tables["nights"]["high"] - tables["nights"]["low"]).tolist()
    assert widths[-1] < 0.5 * widths[0]
    assert tables["nights"]["seeds"].tolist() == list(range(4, 18))
    assert tables["nights"]["new_trials"].tolist() == [4, *[1] * 13]
    summary = format_nightly_summary(tables)[0]
    assert "14" in summary
    assert "17" in summary
    table = nightly_table(tables)
    assert table["Date"].tolist()[0] == "2026-03-14"
    assert table["Seeds"].tolist()[0] == 17


def test_interval_matches_student_t_by_hand(tmp_path: Path) -> None:
    add(tmp_path, FIRST, {0: 0.87, 1: 0.89})
    (row,) = trend_table(read_history(tmp_path)).to_dict("records")
    assert row["mean"] == pytest.approx(0.88)
    assert row["high"] - row["mean"] == pytest.approx(12.7062 * 0.01, rel=1e-4)  # t(1), s / sqrt(2) = 0.01


def test_single_nightly_run_has_no_summary_and_no_figure(tmp_path: Path) -> None:
    add(tmp_path, FIRST, {0: 0.87, 1: 0.89})
    tables = nightly_tables(read_history(tmp_path), PARTITION)
    assert format_nightly_summary(tables) == []
    assert nights(tables["nights"], {"lstm": "#000000"}) is None


def test_alarm_names_what_changed(tmp_path: Path) -> None:
    dates = add_nightly_runs(tmp_path, 6)
    night = dates[-1] + timedelta(days=1)
    lower = {0: 0.86, 1: 0.861, 2: 0.859, nightly_seeds(night, 1)[0]: 0.86}
    add(tmp_path, night, lower, keras="3.16", hardware={"cores": 4}, code={"lstm": "two"})
    history = read_history(tmp_path)
    changes = ["keras 3.15.1 → 3.16", "cores 2 → 4", "code of lstm"]
    assert list_changes(history, PARTITION, night) == changes
    tables = nightly_tables(history, PARTITION)
    alarm = tables["alarms"].iloc[0]
    assert (alarm["architecture"], alarm["metric"]) == ("lstm", "accuracy")
    assert (alarm["new_values"], alarm["earlier_values"]) == (4, 9)
    accuracy, *_, changed = format_alarms(tables["alarms"], night)
    assert accuracy.startswith("LSTM")
    assert "1.98 points" in accuracy
    assert all(change in changed for change in changes)
    assert format_alarms(tables["alarms"], dates[-1]) == []
    assert accuracy in nightly_table(tables)["Alarms"].iloc[0]


def test_another_processor_is_named_without_an_alarm(tmp_path: Path) -> None:
    dates = add_nightly_runs(tmp_path, 6)
    models = ["family 25, model 1", "family 25, model 17"]
    for day, model in enumerate(models, start=1):
        night = dates[-1] + timedelta(days=day)
        add(tmp_path, night, {0: 0.88}, hardware={"cores": 2, "processor_model": model})
    change = f"processor_model {models[0]} → {models[1]}"
    assert list_changes(read_history(tmp_path), PARTITION, night) == [change]
    assert list_changes(read_history(tmp_path), PARTITION, dates[-1] + timedelta(days=1)) == []  # not known before
    assert f"Changed since the previous nightly run: {change}." in format_history(tmp_path, None)


def test_summary_states_what_could_not_be_tested_after_an_alarm(tmp_path: Path) -> None:
    dates = add_nightly_runs(tmp_path, 6)
    lower = {0: 0.848, 1: 0.85, 2: 0.852}
    for night in (dates[-1] + timedelta(days=day) for day in (1, 2)):
        seeds = lower | {nightly_seeds(night, 1)[0]: 0.85}
        tables = {}
        add(tmp_path, night, seeds, keras="3.16")
        tables = nightly_tables(read_history(tmp_path), PARTITION)
    row = tables["nights"].iloc[-1]
    assert (row["tested"], row["earlier_values"]) == (1, 4)  # the four values of the alarm are enough
    for day, seeds in enumerate([{202603090: 0.85}, {}]):
        add(tmp_path, date(2026, 3, 9 + day), {0: 0.85} | seeds, keras="3.17")
    text = " ".join(format_nightly_summary(nightly_tables(read_history(tmp_path), PARTITION)))
    assert "could not be tested" in text
    assert "LSTM (no new score)" in text
    assert "No deterioration" not in text


def test_summary_states_that_few_earlier_values_are_not_tested(tmp_path: Path) -> None:
    add(tmp_path, FIRST, {0: 0.88, 1: 0.87})
    add(tmp_path, FIRST + timedelta(days=1), {0: 0.88, 1: 0.87, 202603020: 0.5})
    text = " ".join(format_nightly_summary(nightly_tables(read_history(tmp_path), PARTITION)))
    assert "could not be tested" in text
    assert "LSTM (2 earlier values" in text
    assert "No deterioration" not in text


def test_summary_states_what_was_tested_and_what_would_be_detected(tmp_path: Path) -> None:
    add_nightly_runs(tmp_path, 14)
    tables = nightly_tables(read_history(tmp_path), PARTITION)
    nights_table = tables["nights"]
    last = nights_table.iloc[-1]
    assert (last["tested"], last["earlier_values"], last["outliers"]) == (1, 16, 0)
    assert (last["time_tested"], last["cpu_time_tested"], last["cpu_seconds"]) == (1, 1, 20)
    assert 0 < last["detection_rate"] <= 1
    assert nights_table["tested"].isna().sum() == 13  # of the last nightly run only
    text = " ".join(format_nightly_summary(tables))
    assert "No deterioration was detected" in text
    assert f"LSTM {100 * last['detection_rate']:.0f}% (seeds spread by {100 * last['spread']:.2f} points)" in text
    assert "scores of LSTM; CPU time of the training of LSTM." in text
    assert "10 of 1,000" in text
    assert "not tested" not in text


def test_summary_states_whose_times_were_not_tested_and_by_what_they_were(tmp_path: Path) -> None:
    add_nightly_runs(tmp_path, 12)
    tables = nightly_tables(read_history(tmp_path), PARTITION)
    last = tables["nights"].iloc[-1]
    assert (last["tested"], last["time_tested"], last["cpu_time_tested"]) == (1, 0, 0)
    text = " ".join(format_nightly_summary(tables))
    assert "Tested against earlier nightly runs: scores of LSTM." in text
    assert "Training times not tested: LSTM (fewer than 13 nightly runs" in text
    add_nightly_runs(tmp_path, 13)
    history = read_history(tmp_path)
    history.loc[history["night"] == FIRST, "cpu_seconds"] = np.nan
    text = " ".join(format_nightly_summary(nightly_tables(history, PARTITION)))
    assert "training time relative to a matrix product of LSTM" in text
    history[["cpu_seconds", "relative_seconds"]] = np.nan
    text = " ".join(format_nightly_summary(nightly_tables(history, PARTITION)))
    assert "Training times not tested: LSTM (no new time)" in text


def test_significant_differences_are_separated_by_whether_they_hold_at_every_look(tmp_path: Path) -> None:
    add_nightly_runs(tmp_path, 10)
    pairs = [("gru", "lstm", 0.0001, "first better"), ("gru", "simple_rnn", 0.01, "first better")]
    pairs += [("lstm", "simple_rnn", 0.3, "not separable")]
    frame = pd.DataFrame(pairs, columns=["first", "second", "p_holm", "verdict"]).assign(metric="accuracy")
    frames = {"pairs": frame, "setup": pd.DataFrame({"metric": ["accuracy"]})}
    *_, text = format_nightly_summary(nightly_tables(read_history(tmp_path), PARTITION) | frames)
    assert "1 of 2 significant differences" in text  # 0.05 / 120 at the tenth of 60 looks
    assert text.endswith("one look only: GRU and Simple RNN.")
    undecided = frames | {"pairs": frame.tail(1)}
    *_, text = format_nightly_summary(nightly_tables(read_history(tmp_path), PARTITION) | undecided)
    assert "one look" in text


def test_other_reviews_start_a_new_history_and_are_listed_as_a_change(tmp_path: Path) -> None:
    add(tmp_path, FIRST, {0: 0.9, 1: 0.9, 2: 0.9, 3: 0.9})
    other = HistoryPartition.from_recipe("e" * 64, RECIPE, 1.0)
    night = FIRST + timedelta(days=1)
    add(tmp_path, night, {0: 0.5, 1: 0.5, 2: 0.5, 3: 0.5}, partition=other)
    history = read_history(tmp_path)
    assert nightly_tables(history, other)["alarms"].empty
    assert list_changes(history, other, night) == [f"data: {'f' * 16} → {'e' * 16}"]


def test_changes_are_relative_to_the_run_that_started_before(tmp_path: Path) -> None:
    add(tmp_path, LAST, {0: 0.8}, started=FIRST, keras="1.0")
    add(tmp_path, FIRST + timedelta(days=1), {0: 0.8}, keras="2.0")
    history = read_history(tmp_path)
    assert list_changes(history, PARTITION, FIRST + timedelta(days=1)) == ["keras 1.0 → 2.0"]
    assert list_changes(history, PARTITION, LAST) == []
    assert list_changes(history, PARTITION, FIRST) == []


def test_figure_shows_means_and_alarms(tmp_path: Path) -> None:
    add_nightly_runs(tmp_path, 5)
    tables = nightly_tables(read_history(tmp_path), PARTITION)
    alarms = pd.DataFrame({"night": [FIRST + timedelta(days=3)], "architecture": ["all"]})
    figure = nights(tables["nights"], {"lstm": "#123456"}, alarms)
    axes = figure.axes[0]
    line = next(each for each in axes.lines if len(each.get_xdata()) == 5)
    np.testing.assert_allclose(line.get_ydata(), 100 * tables["nights"]["mean"])
    assert len([each for each in axes.lines if each.get_color() == "#D00000"]) == 1


def test_tables_can_be_written_in_every_format(tmp_path: Path) -> None:
    from tasks.reporting.tabular import table_records, write_csv
    from tasks.storage.store import parquet

    add_nightly_runs(tmp_path, 2)
    for table in nightly_tables(read_history(tmp_path), PARTITION).values():
        parquet(table)
        write_csv(table, tmp_path / "x.csv")
        table_records(table)
    assert synthetic.TRIALS.keys() >= set(read_history(tmp_path)["architecture"])


# The subcommand.


def test_history_subcommand_prints_the_trend_and_saves_a_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_nightly_runs(tmp_path, 4)
    assert run_subcommand("history", f"--results={tmp_path}") == 0
    printed = capsys.readouterr().out
    assert "2026-03-04" in printed
    assert "Alarm of" not in printed
    assert "Tested against earlier nightly runs: scores of LSTM." in printed
    assert "Training times not tested: LSTM" in printed
    assert (tmp_path / "history" / "trend.png").exists()
    assert run_subcommand("history", f"--results={tmp_path}", "--configuration=x") == 2
    assert PARTITION.configuration in capsys.readouterr().err


def test_history_subcommand_without_a_history_is_a_user_error(tmp_path: Path) -> None:
    assert run_subcommand("history", f"--results={tmp_path}") == 2


def test_remove_deletes_the_files_of_the_named_run_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_nightly_runs(tmp_path, 3)
    removed = add(tmp_path, LAST, {0: 0.5}, run="a mistake")
    (tmp_path / "runs" / "a mistake").mkdir(parents=True)
    (tmp_path / "runs" / "a mistake" / "report.html").touch()
    before = list_files(tmp_path)
    assert run_subcommand("history", f"--results={tmp_path}", "--remove=a mistake") == 0
    assert removed.name in capsys.readouterr().out
    path = removed.relative_to(tmp_path)
    assert list_files(tmp_path) == before - {str(path), f"{path}.sha256"}
    assert LAST not in read_history(tmp_path)["night"].tolist()
    assert run_subcommand("history", f"--results={tmp_path}", "--remove=a mistake") == 2


@pytest.mark.failure_mode("unsafe-name")
@pytest.mark.parametrize(
    "name", ["../x", "2026-03-0", "2026-03-0?", "*", "..", "/etc/passwd", "x" * 5_000, "🎬", "2026-03-01 ", "-"]
)
def test_remove_of_an_unknown_name_deletes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    add_nightly_runs(tmp_path / "results", 3)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "x.parquet").touch()
    before = list_files(tmp_path)
    assert run_subcommand("history", f"--results={tmp_path / 'results'}", f"--remove={name}") == 2
    printed = capsys.readouterr().err
    assert "'2026-03-03', '2026-03-02', '2026-03-01'" in printed
    assert len(printed) < 1_000
    assert list_files(tmp_path) == before


def test_remove_accepts_a_name_that_looks_like_a_path(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    file = add(tmp_path / "results", FIRST, {0: 0.5}, run="../x")
    assert remove_run(tmp_path / "results", "../x") == [file]
    assert list_files(tmp_path) == {"x"}


def test_remove_keeps_damaged_files(tmp_path: Path) -> None:
    file = add(tmp_path, FIRST, {0: 0.8}, run="a")
    file.write_bytes(file.read_bytes()[:-9])
    assert remove_run(tmp_path, "a") == []
    assert file.exists()


def test_table_is_printed_if_the_figure_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_nightly_runs(tmp_path, 4)
    for suffix in ("png", "svg"):
        (tmp_path / "history" / f"trend.{suffix}").mkdir()
    assert run_subcommand("history", f"--results={tmp_path}") == 0
    printed = capsys.readouterr()
    assert "2026-03-04" in printed.out
    assert printed.err


def test_reused_trials_are_those_that_the_next_nightly_run_selects_from_the_cache(tmp_path: Path) -> None:
    last = add_nightly_runs(tmp_path, REUSED_RUNS + 5)[-1]
    history, tomorrow = read_history(tmp_path), last + timedelta(days=1)

    def plan(seeds: Sequence[int]) -> list[TrialSpec]:
        return [make_spec(seed, f"lstm-seed-{seed}-3.15.1") for seed in seeds]

    selected = NightlySelection(tomorrow, 3, 1, PARTITION, history).select_trials(plan)
    new = set(nightly_seeds(tomorrow, 1))
    reused = find_reused_trials(history, tomorrow)
    assert reused == {spec.name for spec in selected if spec.seed not in new}
    assert len(reused) == 3 + REUSED_RUNS - 1


def test_reused_trials_of_other_data_count_while_their_nightly_runs_go_on(tmp_path: Path) -> None:
    other = HistoryPartition.from_recipe("e" * 64, RECIPE, 1.0)
    add(tmp_path, FIRST, {0: 0.9, nightly_seeds(FIRST, 1)[0]: 0.9}, partition=other, keras="2")
    last = add_nightly_runs(tmp_path, REUSED_RUNS + 2)[-1]
    names = {f"lstm-seed-{seed}-2" for seed in (0, nightly_seeds(FIRST, 1)[0])}
    history = read_history(tmp_path)
    assert names <= find_reused_trials(history, FIRST + timedelta(days=REUSED_RUNS))
    assert not names & find_reused_trials(history, last)
    assert find_reused_trials(history, LAST)  # of the last nightly run, however long ago
    assert find_reused_trials(history.iloc[:0], last) == find_reused_trials(read_history(tmp_path / "x"), last) == set()

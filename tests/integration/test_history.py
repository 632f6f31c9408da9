"""The history of the nights: written by runs, read as one table, never mixed, and what is told of it."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from flows.cli import history as command
from tasks.config.recipe import Recipe
from tasks.figures.nightly import nights
from tasks.nightly import history
from tasks.nightly.selection import Night
from tasks.nightly.trend import changes, night_frames, trend
from tasks.reporting.nightly_text import alarms_in_words, night_table, nights_in_words
from tests.helpers import synthetic

RECIPE = Recipe()
WHERE = history.partition("f" * 64, RECIPE, 1.0)
FIRST = date(2026, 3, 1)


def add(
    place: Path,
    night: date,
    seeds: dict[int, float],
    *,
    keras: str = "3.15.1",
    where: dict[str, str] = WHERE,
    began: date | None = None,
    run: str | None = None,
    **more: str,
) -> Path:
    """Add a run of an LSTM whose seeds have these test accuracies; one of NaN failed."""
    asked = [{"architecture": "lstm", "seed": seed, "name": f"lstm-seed-{seed}-{keras}"} for seed in seeds]
    kept = [call for call in asked if np.isfinite(seeds[call["seed"]])]
    trials = [
        {"weights": f"{call['name']}.safetensors", "status": "finished", "train_seconds": 30.0, "probe_seconds": 0.5}
        for call in kept
    ]
    scores = pd.DataFrame(
        [
            {"architecture": "lstm", "seed": call["seed"], "split": split, "metric": metric}
            | {"value": seeds[call["seed"]]}
            for call in kept for split in ("validation", "test") for metric in ("accuracy", "f1")
        ],
        columns=["architecture", "seed", "split", "metric", "value"],
    )  # fmt: skip
    manifest = {
        "versions": {"keras": keras}, "hardware": {"cores": 2}, "code": {"lstm": "one"}, "settings": {}, **more,
    }  # fmt: skip
    began = began or night
    started = datetime(began.year, began.month, began.day, 3, tzinfo=UTC)
    rows = history.rows(
        asked, trials, scores, manifest, run=run or f"{night}", night=night, started=started, new_seeds=1
    )
    return history.append(place, where, f"{night}", rows)


def add_nights(place: Path, count: int) -> list[date]:
    """Add nights of three seeds and one more each, the earlier ones from the cache."""
    dates = [FIRST + timedelta(days=day) for day in range(count)]
    seeds = {0: 0.878, 1: 0.882, 2: 0.878}
    for day, night in enumerate(dates):
        seeds[history.seeds_of(night, 1)[0]] = 0.878 if day % 2 else 0.882
        add(place, night, seeds)
    return dates


def read(place: Path) -> pd.DataFrame:
    return history.read(place, pytest.fail)


def test_a_run_is_one_file_and_all_are_one_table(tmp_path: Path) -> None:
    for night in add_nights(tmp_path, 3):
        assert len(list(tmp_path.glob(f"history/*/*/{night}.parquet"))) == 1
    add(tmp_path, FIRST, {0: 0.5}, where=history.partition("a" * 64, RECIPE, 1.0))
    query = f"from read_parquet('{tmp_path}/history/**/*.parquet', hive_partitioning = true)"
    assert duckdb.sql(f"select count(*) {query}").fetchall() == [(4 + 5 + 6 + 1,)]
    found = duckdb.sql(f"select data, configuration, count(*) {query} group by all order by 3").fetchall()
    assert found == [("a" * 16, WHERE["configuration"], 1), ("f" * 16, WHERE["configuration"], 15)]
    newest = duckdb.sql(f"select accuracy, relative_seconds, night {query} where data = 'ffffffffffffffff'").df()
    assert (newest["relative_seconds"] == 60).all()
    assert read(tmp_path)["night"].tolist() == sorted(read(tmp_path)["night"])


def test_the_key_is_data_and_recipe_alone() -> None:
    assert history.partition("f" * 64, Recipe(), 1.0) == WHERE
    others = [
        history.partition("e" * 64, RECIPE, 1.0), history.partition("f" * 64, Recipe(units=8), 1.0),
        history.partition("f" * 64, RECIPE, 0.5),
    ]  # fmt: skip
    assert WHERE not in others
    assert len({str(other) for other in others}) == 3


def test_the_same_run_again_is_there_once(tmp_path: Path) -> None:
    add(tmp_path, FIRST, {0: 0.8})
    add(tmp_path, FIRST, {0: 0.8, 1: 0.9})
    assert read(tmp_path)["seed"].tolist() == [0, 1]


def test_a_damaged_night_is_left_out_and_told(tmp_path: Path) -> None:
    add(tmp_path, FIRST, {0: 0.8})
    file = add(tmp_path, FIRST + timedelta(days=1), {0: 0.8})
    file.write_bytes(file.read_bytes()[:-9])
    said: list[str] = []
    assert len(history.read(tmp_path, said.append)) == 1
    assert len(said) == 1
    assert file.name in said[0]


def test_a_trial_that_failed_has_a_row_without_scores(tmp_path: Path) -> None:
    add(tmp_path, FIRST, {0: 0.8, 1: float("nan")})
    rows = read(tmp_path).set_index("seed")
    assert rows["status"].tolist() == ["finished", "failed"]
    assert rows.loc[0, "accuracy"] == 0.8
    assert np.isnan(rows.loc[1, ["accuracy", "train_seconds", "relative_seconds"]].astype(float)).all()


def test_a_run_that_scored_nothing_is_written_too() -> None:
    asked = [{"architecture": "lstm", "seed": 0, "name": "x"}]
    manifest = {"versions": {}, "hardware": {}, "code": {}, "settings": {}}
    assert history.rows(asked, [], None, manifest, night=FIRST)["status"].tolist() == ["failed"]


def test_seeds_come_from_the_date_and_no_two_nights_share_one() -> None:
    assert history.seeds_of(date(2026, 11, 24), 2) == [202611240, 202611241]
    assert history.seeds_of(FIRST, 0) == []
    dates = [FIRST + timedelta(days=day) for day in range(800)]
    assert len({seed for night in dates for seed in history.seeds_of(night, 10)}) == 8_000
    assert max(history.seeds_of(date(2099, 12, 31), 10)) < 2**31


def tonight(place: Path, night: date, new_seeds: int = 1) -> list[int]:
    """Return the seeds that a night of an unchanged program trains or finds."""

    def planned(seeds):
        return [{"architecture": "lstm", "seed": s, "name": f"lstm-seed-{s}-3.15.1", "fraction": 1.0} for s in seeds]

    return [call["seed"] for call in Night(night, 3, new_seeds, WHERE, read(place)).calls(planned)]


def test_a_night_adds_its_seed_and_keeps_those_before(tmp_path: Path) -> None:
    dates = add_nights(tmp_path, 3)
    earlier = [history.seeds_of(night, 1)[0] for night in dates]
    following = FIRST + timedelta(days=3)
    assert tonight(tmp_path, following) == [0, 1, 2, *earlier, 202603040]
    assert tonight(tmp_path, following) == tonight(tmp_path, following)
    assert tonight(tmp_path, dates[-1]) == [0, 1, 2, *earlier]  # the same night twice does nothing twice
    assert tonight(tmp_path, following, new_seeds=0) == [0, 1, 2]


def test_at_most_thirty_nights_are_kept(tmp_path: Path) -> None:
    dates = add_nights(tmp_path, 40)
    seeds = tonight(tmp_path, dates[-1] + timedelta(days=1))
    assert len(seeds) == 3 + history.KEPT_NIGHTS
    assert seeds[3] == history.seeds_of(dates[40 - 29], 1)[0]


def test_a_changed_library_never_trains_the_nights_before_again(tmp_path: Path) -> None:
    add(tmp_path, FIRST, {0: 0.8, 202603010: 0.8}, keras="3.14")
    assert tonight(tmp_path, FIRST + timedelta(days=1)) == [0, 1, 2, 202603020]


def test_smaller_fractions_have_the_first_seeds_alone(tmp_path: Path) -> None:
    def planned(seeds):
        return [
            {"architecture": "lstm", "seed": seed, "name": f"{seed}-{fraction}", "fraction": fraction}
            for fraction in (0.5, 1.0) for seed in seeds
        ]  # fmt: skip

    calls = Night(FIRST, 2, 1, WHERE, read(tmp_path)).calls(planned)
    assert [(call["fraction"], call["seed"]) for call in calls] == [
        (0.5, 0), (0.5, 1), (1.0, 0), (1.0, 1), (1.0, 202603010),
    ]  # fmt: skip


def test_the_interval_shrinks_and_the_report_says_how_many_seeds(tmp_path: Path) -> None:
    add_nights(tmp_path, 14)
    frames = night_frames(read(tmp_path), WHERE)
    widths = (frames["nights"]["high"] - frames["nights"]["low"]).tolist()
    assert widths[-1] < 0.5 * widths[0]
    assert frames["nights"]["seeds"].tolist() == list(range(4, 18))
    assert frames["nights"]["fresh"].tolist() == [4, *[1] * 13]
    assert nights_in_words(frames)[0] == "After 14 nights: 17 seeds."
    table = night_table(frames)
    assert table["Night"].tolist()[0] == "2026-03-14"
    assert table["Seeds so far"].tolist()[0] == 17


def test_the_interval_is_students_by_hand(tmp_path: Path) -> None:
    add(tmp_path, FIRST, {0: 0.87, 1: 0.89})
    (row,) = trend(read(tmp_path)).to_dict("records")
    assert row["mean"] == pytest.approx(0.88)
    assert row["high"] - row["mean"] == pytest.approx(12.7062 * 0.01, rel=1e-4)  # t(1), s / sqrt(2) = 0.01


def test_one_night_is_no_trend(tmp_path: Path) -> None:
    add(tmp_path, FIRST, {0: 0.87, 1: 0.89})
    frames = night_frames(read(tmp_path), WHERE)
    assert nights_in_words(frames) == []
    assert nights(frames["nights"], {"lstm": "#000000"}) is None


def test_an_alarm_names_what_changed(tmp_path: Path) -> None:
    dates = add_nights(tmp_path, 6)
    night = dates[-1] + timedelta(days=1)
    lower = {0: 0.86, 1: 0.861, 2: 0.859, history.seeds_of(night, 1)[0]: 0.86}
    add(tmp_path, night, lower, keras="3.16", hardware={"cores": 4}, code={"lstm": "two"})
    past = read(tmp_path)
    changed = changes(past, WHERE, night)
    assert changed == ["keras 3.15.1 → 3.16", "cores 2 → 4", "code of lstm"]
    frames = night_frames(past, WHERE)
    accuracy, *_, last = alarms_in_words(frames["alarms"], night)
    assert accuracy.startswith("LSTM: Accuracy is 1.98 points lower (tonight, ")
    assert "4 new against 9 before" in accuracy
    assert last == "Changed since the night before: keras 3.15.1 → 3.16; cores 2 → 4; code of lstm."
    assert alarms_in_words(frames["alarms"], dates[-1]) == []
    assert accuracy in night_table(frames)["Alarms"].iloc[0]


def test_other_reviews_begin_a_history_and_are_named(tmp_path: Path) -> None:
    add(tmp_path, FIRST, {0: 0.9, 1: 0.9, 2: 0.9, 3: 0.9})
    other = history.partition("e" * 64, RECIPE, 1.0)
    night = FIRST + timedelta(days=1)
    add(tmp_path, night, {0: 0.5, 1: 0.5, 2: 0.5, 3: 0.5}, where=other)
    assert night_frames(read(tmp_path), other)["alarms"].empty
    assert changes(read(tmp_path), other, night) == [f"data: {'f' * 16} → {'e' * 16}"]


def test_the_picture_follows_the_nights(tmp_path: Path) -> None:
    add_nights(tmp_path, 5)
    frames = night_frames(read(tmp_path), WHERE)
    raised = pd.DataFrame({"night": [FIRST + timedelta(days=3)], "architecture": ["all"]})
    figure = nights(frames["nights"], {"lstm": "#123456"}, raised)
    axes = figure.axes[0]
    line = next(each for each in axes.lines if len(each.get_xdata()) == 5)
    np.testing.assert_allclose(line.get_ydata(), 100 * frames["nights"]["mean"])
    assert len([each for each in axes.lines if each.get_color() == "#D00000"]) == 1
    assert "Night" in axes.get_xlabel()


def test_the_command_prints_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_nights(tmp_path, 4)
    assert command.main([f"--results={tmp_path}"]) == 0
    said = capsys.readouterr().out
    assert "2026-03-04" in said
    assert "No alarm." in said
    assert (tmp_path / "history" / "trend.png").exists()
    assert command.main([f"--results={tmp_path}", "--configuration=x"]) == 2
    assert WHERE["configuration"] in capsys.readouterr().err


def test_without_a_history_the_command_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([f"--results={tmp_path}"]) == 2
    assert "none yet" in capsys.readouterr().err


def test_what_stands_in_the_frames_can_be_written(tmp_path: Path) -> None:
    from tasks.reporting.tabular import table_records, write_csv
    from tasks.storage.store import parquet

    add_nights(tmp_path, 2)
    for frame in night_frames(read(tmp_path), WHERE).values():
        parquet(frame)
        write_csv(frame, tmp_path / "x.csv")
        table_records(frame)
    assert synthetic.TRIALS.keys() >= set(read(tmp_path)["architecture"])


FAR = date(2099, 12, 31)


def test_the_order_is_that_in_which_runs_began(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(tmp_path, FAR, {0: 0.5}, began=FIRST)
    other = history.partition("f" * 64, Recipe(units=8), 1.0)
    add(tmp_path, FAR, {0: 0.5}, where=other, began=FIRST + timedelta(days=1))
    add(tmp_path, FIRST + timedelta(days=2), {0: 0.8, 1: 0.8})
    assert read(tmp_path)["night"].tolist() == [FAR, FAR, *[FIRST + timedelta(days=2)] * 2]
    assert night_table(night_frames(read(tmp_path), WHERE))["Night"].tolist() == ["2026-03-03", "2099-12-31"]
    assert command.main([f"--results={tmp_path}"]) == 0
    said = capsys.readouterr().out
    assert f"configuration {WHERE['configuration']}; 1 others" in said
    assert said.index("2026-03-03") < said.index("2099-12-31")


def test_what_changed_is_held_against_the_run_that_began_before(tmp_path: Path) -> None:
    add(tmp_path, FAR, {0: 0.8}, began=FIRST, keras="1.0")
    add(tmp_path, FIRST + timedelta(days=1), {0: 0.8}, keras="2.0")
    past = read(tmp_path)
    assert changes(past, WHERE, FIRST + timedelta(days=1)) == ["keras 1.0 → 2.0"]
    assert changes(past, WHERE, FAR) == []


def contents(place: Path) -> set[str]:
    return {str(file.relative_to(place)) for file in place.rglob("*") if file.is_file()}


def test_a_run_is_removed_by_its_exact_name_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_nights(tmp_path, 3)
    gone = add(tmp_path, FAR, {0: 0.5}, run="a mistake")
    (tmp_path / "runs" / "a mistake").mkdir(parents=True)
    (tmp_path / "runs" / "a mistake" / "report.html").touch()
    before = contents(tmp_path)
    assert command.main([f"--results={tmp_path}", "--remove=a mistake"]) == 0
    assert gone.name in capsys.readouterr().out
    removed = {str(gone.relative_to(tmp_path)), f"{gone.relative_to(tmp_path)}.sha256"}
    assert contents(tmp_path) == before - removed
    assert FAR not in read(tmp_path)["night"].tolist()
    assert command.main([f"--results={tmp_path}", "--remove=a mistake"]) == 2


@pytest.mark.fault(24)
@pytest.mark.parametrize(
    "name", ["../x", "2026-03-0", "2026-03-0?", "*", "..", "/etc/passwd", "x" * 5_000, "🎬", "2026-03-01 ", "-"]
)
def test_a_name_that_no_run_has_removes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    add_nights(tmp_path / "results", 3)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "x.parquet").touch()
    before = contents(tmp_path)
    assert command.main([f"--results={tmp_path / 'results'}", f"--remove={name}"]) == 2
    said = capsys.readouterr().err
    assert "'2026-03-03', '2026-03-02', '2026-03-01'" in said
    assert len(said) < 1_000
    assert contents(tmp_path) == before


def test_a_run_whose_name_looks_like_a_path_is_removed_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    file = add(tmp_path / "results", FIRST, {0: 0.5}, run="../x")
    assert history.remove(tmp_path / "results", "../x") == [file]
    assert contents(tmp_path) == {"x"}


def test_a_damaged_file_is_never_removed(tmp_path: Path) -> None:
    file = add(tmp_path, FIRST, {0: 0.8}, run="a")
    file.write_bytes(file.read_bytes()[:-9])
    assert history.remove(tmp_path, "a") == []
    assert file.exists()


def test_a_picture_that_cannot_be_written_does_not_keep_the_table_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_nights(tmp_path, 4)
    for ending in ("png", "svg"):
        (tmp_path / "history" / f"trend.{ending}").mkdir()
    assert command.main([f"--results={tmp_path}"]) == 0
    said = capsys.readouterr()
    assert "2026-03-04" in said.out
    assert "The picture was not written" in said.err

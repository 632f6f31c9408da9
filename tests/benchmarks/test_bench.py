"""The benchmark: arithmetic against numbers worked by hand, measurement of processes, and a whole run on few rows."""

import json
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.benchmarks import bench, sgemm
from tests.benchmarks.acceptance import accuracy_rows, overhead_rows, peer_rows, row, time_to_accuracy
from tests.benchmarks.ratios import overhead, sgemm_share, spread, summarize_repeats, summary_line
from tests.benchmarks.tables import format_spread, processes
from tests.benchmarks.watched import Watched, stages, task_runs, watch


def repeat(plain: float, flow: float, **changed: Any) -> dict[str, Any]:
    """Return a repeat of two architectures: 100 s of trials by two workers, of which 45 s are training of networks."""
    return {
        "plain": {
            "seconds": plain,
            "fit_seconds": {"simple_rnn": 40.0, "lstm": 60.0},
            "reviews_per_second": {"simple_rnn": 50.0, "lstm": 20.0},
            "accuracy": {"simple_rnn": 0.80, "lstm": 0.85},
            "peak_mb": 900.0,
        },
        "flow": {
            "seconds": flow,
            "workers": 2,
            "train_seconds": {"simple_rnn": 15.0, "lstm": 30.0},
            "reviews_per_second": {"simple_rnn": 100.0, "lstm": 30.0},
            "later_reviews_per_second": {"simple_rnn": 120.0, "lstm": 40.0},
            "accuracy": {"simple_rnn": 0.81, "lstm": 0.846},
            "flops": 9e12,
            "flops_without_padding": 6e12,
            "flops_padded": 12e12,
            "busy_seconds": 100.0,
            "worker_peak_mb": 700.0,
            "stages": {"train": {"seconds": 60.0}},
        }
        | changed,
    }


def test_sgemm_share_by_hand() -> None:
    assert sgemm_share(9e12, 60, 300) == pytest.approx(0.5)  # 9 TFLOP of 60 s x 300 GFLOP/s = 18 TFLOP


def test_overhead_is_the_time_without_trials() -> None:
    assert overhead(wall=62.5, busy=100, workers=2) == pytest.approx(0.2)  # 50 s of training each, of 62.5 s
    assert overhead(wall=50, busy=100, workers=2) == 0


def test_ratios_are_computed_within_a_repeat() -> None:
    repeats = [repeat(400, 100), repeat(900, 150), repeat(500, 250)]
    found = summarize_repeats(repeats, peak_gflops=300)
    assert found["speedup"] == {"median": 4.0, "low": 2.0, "high": 6.0}  # the ratio of the medians is 3.3
    assert found["plain_seconds"] == {"median": 500, "low": 400, "high": 900}
    assert found["speed_ratio"]["simple_rnn"] == spread([2.0])
    assert found["speed_ratio"]["lstm"]["median"] == 1.5
    assert found["accuracy_difference"]["simple_rnn"]["median"] == pytest.approx(1.0)
    assert found["accuracy_difference"]["lstm"]["median"] == pytest.approx(-0.4)


def test_shares_of_one_number_of_tokens_by_hand() -> None:
    found = {
        name: value["median"]
        for name, value in summarize_repeats([repeat(400, 62.5)], 300).items()
        if "median" in value
    }
    assert found["sgemm_share"] == pytest.approx(9 / 18)
    assert found["sgemm_share_without_padding"] == pytest.approx(6 / 18)
    assert found["padding"] == pytest.approx(1 / 3)
    assert found["sgemm_share_of_busy_cores"] == pytest.approx(9 / 6.75)  # 45 s on one of two cores: 22.5 s x 300
    assert found["sgemm_share_of_plain"] == pytest.approx(12 / 30)  # 100 s x 300 GFLOP/s
    assert found["overhead"] == pytest.approx(0.2)
    assert found["overhead_in_training"] == pytest.approx(1 / 6)  # 50 of 60 s


def test_summary_line_has_the_worse_number_of_tokens() -> None:
    long = repeat(900, 100, flops=18e12, busy_seconds=150.0, worker_peak_mb=1_204.0)
    result = {
        "lengths": {"200": [repeat(400, 62.5)], "400": [long]},
        "sgemm": {"peak_gflops": 300.0},
        "cached_rerun_seconds": [9.04, 7.0, 30.0],
    }
    assert summary_line(result) == {
        "speedup_200": 6.4,
        "speedup_400": 9.0,
        "accuracy_difference": 0.3,  # (1.0 - 0.4) / 2, at both lengths
        "sgemm_share": 0.5,  # not 1.0
        "overhead": 0.25,  # (100 - 75) / 100, not 0.2
        "cached_rerun_seconds": 9.0,
        "worker_peak_gb": 1.2,
    }


def test_acceptance_rows_compare_with_their_goals() -> None:
    reached = row("a ratio", 3.0, [2.0, 3.5, 4.0])
    assert reached == ("a ratio", "at least 3", "3.50 [2.00, 4.00]", "yes")
    assert row("memory", 1.2, [1.24], most=True, unit=" GB") == ("memory", "at most 1.2 GB", "1.24 GB", "no")
    overheads = overhead_rows({"200": [repeat(400, 62.5), repeat(400, 55)]})
    assert overheads[0][1:] == ("at most 12%", "14.55 [9.09, 20.00]%", "no")


def test_time_to_accuracy_counts_the_best_epoch_of_a_side_that_never_reaches_it() -> None:
    accuracy = {
        "own": {"lstm": (20.0, 0.87), "simple_rnn": (10.0, 0.85)}, "workers": 2,
        "plain": {"lstm": [[30.0, 0.80], [60.0, 0.86], [90.0, 0.84]], "simple_rnn": [[30.0, 0.85]]}, "torch": {},
    }  # fmt: skip
    assert time_to_accuracy(accuracy, "plain") == pytest.approx((60 + 30) / 15)
    plain, torch = accuracy_rows(accuracy)
    assert plain[0].endswith("the plain script (which never reaches: lstm 86.0 of 87.0%)")
    assert plain[2:] == ("6.00", "yes")
    assert "not measured" in torch[2]


def test_speeds_of_a_round_are_compared_with_each_other() -> None:
    speeds = [
        {"pace": {"200": {"lstm": 300.0}}, "peer": {"200": {"lstm": 200.0}}},
        {"pace": {"200": {"lstm": 100.0}}, "peer": {"200": {"lstm": 100.0}}},
        {"pace": {"200": {"lstm": 240.0}}, "peer": {"200": {"lstm": 200.0}}},
    ]
    (only,) = peer_rows(speeds)
    assert only[0].endswith("200 tokens, lstm")
    assert only[1:] == ("at least 1.1", "1.20 [1.00, 1.50]", "yes")
    (missing,) = peer_rows([])
    assert "--torch" in missing[2]


def test_later_reviews_per_second_exclude_the_first_epoch() -> None:
    history = pd.DataFrame(
        {"architecture": ["lstm"] * 6, "epoch": [1, 1, 2, 2, 3, 3], "split": ["train", "validation"] * 3}
    )
    history["seconds"] = [10.0, 10.0, 14.0, 14.0, 18.0, 18.0]
    assert bench.later_reviews_per_second(history, {"train": 100, "epochs": 3}) == {"lstm": 25.0}  # 200 reviews in 8 s
    assert bench.later_reviews_per_second(history, {"train": 100, "epochs": 1}) == {}


def test_peak_is_the_highest_sum_over_cores() -> None:
    before = {"2048": [100.0, 110.0], "4096": [120.0, 90.0]}
    after = {"2048": [100.0, 100.0], "4096": [105.0, 100.0]}
    found = bench.sgemm_summary(before, after)
    assert found["peak_gflops"] == 210
    assert found["best_before_and_after"] == [210, 205]
    assert found["lowest_gflops"] == 200


def test_sgemm_measures_every_core() -> None:
    found = sgemm.measure(sizes=(64, 96), seconds=0.01)
    assert list(found) == [64, 96]
    assert all(len(rates) == len(sgemm.cores()) and min(rates) > 0 for rates in found.values())


def test_stages_cover_the_whole_duration() -> None:
    watched = Watched(started=100.0, seconds=60.0, samples=[(112.0, "flow", 300.0), (112.0, "worker", 500.0)])
    watched.samples += [(115.0, "flow", 350.0), (150.0, "flow", 900.0)]
    tasks = [
        ("load", "load-reviews", 108.0, 109.0),
        ("encode", "encode-reviews-1.0", 109.5, 111.0),
        ("train", "lstm-seed-0", 114.0, 135.0),
        ("train", "nb_svm-seed-0", 114.5, 120.0),
        ("evaluate", "evaluate", 140.0, 142.0),
        ("check", "check-nights", 142.0, 143.0),
        ("report", "report", 143.5, 155.0),
    ]
    found = stages(watched, tasks)
    assert {stage: each["seconds"] for stage, each in found.items()} == {
        "start": 8.0, "load": 1.0, "encode": 2.0, "train": 24.0, "evaluate": 7.0, "check": 1.0, "report": 12.0,
        "end": 5.0,
    }  # fmt: skip
    assert (found["train"]["flow_mb"], found["train"]["all_mb"]) == (350.0, 800.0)
    assert (found["report"]["flow_mb"], found["report"]["all_mb"]) == (900.0, 900.0)
    assert np.isnan(found["load"]["all_mb"])


def test_processor_time_between_two_moments_is_interpolated() -> None:
    watched = Watched(100.0, cpu=[(110.0, "worker", 7, 2.0), (120.0, "worker", 7, 6.0), (120.0, "worker", 8, 5.0)])
    assert watched.cpu_between("worker", 100, 115) == pytest.approx(4)  # halfway from 2 to 6; 8 has not started
    assert watched.cpu_between("worker", 115, 200) == pytest.approx(2 + 5)
    assert watched.cpu_between("flow", 100, 200) == 0


def test_task_runs_are_those_of_the_latest_flow_run(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "prefect.db") as database:
        database.execute("CREATE TABLE flow_run (id, start_time)")
        database.execute("CREATE TABLE task_run (flow_run_id, task_key, name, start_time, end_time)")
        database.executemany(
            "INSERT INTO flow_run VALUES (?, ?)", [("new", "2026-01-02 00:00:00.5"), ("old", "2026-01-01 00:00:00.5")]
        )
        times = ("1970-01-02 00:00:01.500000", "1970-01-02 00:00:04")
        database.execute("INSERT INTO task_run VALUES ('old', 'load-1', 'load-reviews', ?, ?)", times)
        database.execute("INSERT INTO task_run VALUES ('new', 'evaluate_trials-1a', 'evaluate', ?, ?)", times)
    assert task_runs(tmp_path / "prefect.db") == [("evaluate", "evaluate", 86_401.5, 86_404.0)]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_duration_and_memory_of_a_process_are_measured(tmp_path: Path) -> None:
    hold = "import time; held = bytearray(200_000_000); time.sleep(1.2)"
    watched = watch([sys.executable, "-c", hold], tmp_path / "log")
    assert 1.2 < watched.seconds < 60
    assert abs(watched.started + watched.seconds - time.time()) < 5
    assert 200 < watched.peak_mb() < 400
    assert 0 < watched.cpu_seconds <= watched.seconds
    with pytest.raises(RuntimeError, match=r"ended with 3: …why"):
        watch([sys.executable, "-c", "print('why'); raise SystemExit(3)"], tmp_path / "log")


def test_spread_is_formatted_only_if_repeats_differ() -> None:
    assert format_spread(spread([0.51, 0.49, 0.53]), 1, 100) == "51.0 [49.0, 53.0]"
    assert format_spread(spread([1234.5]), 0) == "1,234"
    table = processes({"200": summarize_repeats([repeat(400, 100), repeat(900, 150)], 300)})
    assert table["200 tokens"][table[""].str.strip() == "ratio"].item() == "5.00 [4.00, 6.00]"


def test_both_sides_have_the_same_rows(tmp_path: Path) -> None:
    sizes = {"train": 60, "validation": 24, "test": 20}
    rng = np.random.default_rng(0)
    every = pd.DataFrame({"review_id": [f"r{number}" for number in range(300)]})
    every["split"] = np.repeat(list(sizes), 100)
    every["label"] = rng.integers(0, 2, 300).astype(np.int8)
    every["text"] = ["word " * count for count in rng.integers(1, 600, 300)]
    words = bench.write_rows(every, sizes, tmp_path)
    reviews = pd.read_parquet(tmp_path / "reviews.parquet")
    assert reviews["split"].value_counts().to_dict() == sizes
    for tokens in bench.LENGTHS:
        rows = np.load(tmp_path / f"rows-{tokens}.npz")
        for split, count in sizes.items():
            lengths = np.diff(rows[f"{split}_ends"], prepend=0)
            assert rows[f"{split}_labels"].tolist() == reviews.loc[reviews["split"] == split, "label"].tolist()
            assert len(lengths) == count
            assert lengths.max() <= tokens
            assert lengths.sum() == len(rows[f"{split}_tokens"]) == words[tokens][split]
    assert words[400]["train"] > words[200]["train"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_last_line_of_the_benchmark_is_its_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = {"train": 64, "validation": 24, "test": 24, "epochs": 1, "repeats": 1, "reruns": 1}
    monkeypatch.setattr(bench, "SHORT", sizes)
    assert bench.main(["--short", "--folder", str(tmp_path)]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(last) == [
        "speedup_200", "speedup_400", "accuracy_difference", "sgemm_share", "overhead", "cached_rerun_seconds",
        "worker_peak_gb",
    ]  # fmt: skip
    assert all(np.isfinite(list(last.values())))
    assert 0 < last["sgemm_share"] < 1
    assert 0 < last["overhead"] < 1
    (file,) = tmp_path.glob("*.json")
    saved = json.loads(file.read_text())
    assert saved["line"] == last
    assert set(saved["accuracy"]["plain"]) == set(saved["accuracy"]["own"])
    assert set(saved["small"]) > {"run", "cached rerun", "predict", "help"}
    assert saved["sizes"] == sizes

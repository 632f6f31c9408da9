"""`imdb-compare plan`: plans from published variances and from stored runs, and user errors."""

import itertools
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from flows.cli.options import PlanOptions
from flows.cli.parser import read_options
from flows.cli.plan import KNOWN_SIZES, make_plan
from tasks.config.labels import ARCHITECTURE_NAMES, BASELINE_NAMES
from tasks.data.datasets import load_reviews
from tasks.statistics.published_variances import PUBLISHED_PAIRS
from tasks.storage.environment import environment_info
from tasks.storage.runs import find_runs
from tests.conftest import ROOT
from tests.helpers.stored_runs import add_comparison
from tests.helpers.subcommands import run_subcommand
from tests.helpers.synthetic import make_frames, select_architectures

Capture = pytest.CaptureFixture[str]
ROWS = {"train": 1_000, "validation": 300, "test": 300}
Store = Callable[..., Path]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def store(results: Path) -> Store:
    """Return a function that stores a run of a number of seeds."""

    def add(name: str, seeds: int = 6, started: str = "2026-11-26 03:00:00 UTC", **info: object) -> Path:
        frames = make_frames(reviews=300, seeds=seeds, baselines=True)
        fields = {"rows": ROWS, "settings": {"seeds": seeds}, "hardware": environment_info().hardware, **info}
        return add_comparison(results, name, frames, started=started, **fields)

    return add


def plan(results: Path, *words: str) -> int:
    return run_subcommand("plan", f"--results={results}", *words)


def needed(text: str) -> list[str]:
    """Return the lines that state what is needed."""
    return [line for line in text.splitlines() if line.startswith("To detect ")]


def test_plan_without_a_run_uses_published_variances_and_writes_nothing(results: Path, capsys: Capture) -> None:
    assert plan(results, "--data", "bundled") == 0
    text = capsys.readouterr().out
    assert "on 5,003 test reviews" in text
    assert "published" in text
    assert "With 3 seeds, nothing can be detected" in text
    assert len(needed(text)) == 2
    assert not results.exists()


def test_known_sizes_are_those_of_the_bundled_reviews(tmp_path: Path) -> None:
    rows = load_reviews("bundled", data_folder=tmp_path).dataset.rows
    assert KNOWN_SIZES["bundled"] == (rows["train"], rows["test"])


def test_published_pairs_are_of_known_architectures() -> None:
    names = {name for pair in PUBLISHED_PAIRS for name in pair.names}
    assert names <= {*ARCHITECTURE_NAMES, *BASELINE_NAMES} - {"majority"}
    assert all(min(pair.seed_variance, pair.shared_variance, pair.rest_variance) >= 0 for pair in PUBLISHED_PAIRS)
    assert all(pair.p == 1 for pair in PUBLISHED_PAIRS)


def test_plan_from_a_run_names_its_pairs_and_uses_its_times(results: Path, store: Store, capsys: Capture) -> None:
    store("first")
    assert plan(results, "--run", "first", "--seeds", "5", "--difference", "5") == 0
    text = capsys.readouterr().out
    assert "run first (6 seeds, 300 test reviews)" in text
    assert "run first, on this machine" in text
    assert "With 5 seeds, the smallest difference that is detected is" in text
    assert re.search(r"Typical pair \(median of 10\): .+ and .+\.", text)
    assert plan(results, "--run", "latest", "--seeds", "5", "--difference", "5") == 0
    assert capsys.readouterr().out == text


def test_last_run_on_the_same_file_is_found(results: Path, store: Store, tiny: Path, capsys: Capture) -> None:
    fingerprint = load_reviews(str(tiny)).dataset.fingerprint
    store("other")
    store("old", fingerprint=fingerprint, started="2026-11-01 03:00:00 UTC")
    store("new", fingerprint=fingerprint, started="2026-11-02 03:00:00 UTC")
    store("newest_with_one_seed", seeds=1, fingerprint=fingerprint, started="2026-11-03 03:00:00 UTC")
    assert [name for name, _ in find_runs(results, fingerprint)] == ["newest_with_one_seed", "new", "old"]
    assert plan(results, "--data", str(tiny)) == 0
    text = capsys.readouterr().out
    assert "run new (6 seeds" in text
    assert "on 80 test reviews (400 reviews of tiny.csv)" in text


def add_training_pairs(folder: Path, variance: float = 1e-5) -> None:
    names = itertools.combinations([*ARCHITECTURE_NAMES, "nb_svm", "tfidf_logistic", "averaged_embeddings"], 2)
    table = pd.DataFrame(names, columns=["first", "second"])
    table.assign(metric="accuracy", training_variance=variance, resamples=6).to_parquet(
        folder / "tables" / "training_pairs.parquet"
    )


def test_resamples_are_planned_from_the_last_run_that_has_them(results: Path, store: Store, capsys: Capture) -> None:
    settings = {"seeds": 6, "resample_training": 6}
    add_training_pairs(store("resampled", settings=settings, started="2026-11-01 03:00:00 UTC"))
    store("table_was_removed", settings=settings, started="2026-11-02 03:00:00 UTC")
    store("later", started="2026-11-03 03:00:00 UTC")
    for name in ("resampled", "later"):
        assert plan(results, "--run", name, "--difference", "10", "--test-reviews", "5000") == 0
        text = capsys.readouterr().out
        assert "from 6 resamples of run resampled" in text
        assert "(--resample-training " in text


def test_unknown_number_of_resamples_is_stated(results: Path, store: Store, capsys: Capture) -> None:
    folder = store("first")
    for words in (["--data", "bundled"], ["--run", "first"]):
        assert plan(results, *words) == 0
        assert len(re.findall(r"^How many resamples .* unknown", capsys.readouterr().out, re.MULTILINE)) == 1
    add_training_pairs(folder, variance=float("nan"))  # too few resamples had scores
    assert plan(results, "--run", "first") == 0
    assert "is unknown" in capsys.readouterr().out


def test_damaged_runs_are_passed_over(results: Path, store: Store) -> None:
    store("good")
    (store("damaged") / "run.json").write_text("{")
    (results / "runs" / "empty").mkdir()
    assert [name for name, _ in find_runs(results, "f1f2" * 16)] == ["good"]


def test_times_of_another_machine_are_scaled(results: Path, store: Store, capsys: Capture) -> None:
    store("elsewhere", hardware={"processor": "another"})
    assert plan(results, "--run", "elsewhere") == 0
    # The synthetic trials have no time of the probe, so that only the published times can be scaled.
    assert "Times: published, scaled" in capsys.readouterr().out
    file = results / "runs" / "elsewhere" / "tables" / "trials.parquet"
    pd.read_parquet(file).assign(probe_seconds=0.01).to_parquet(file)
    assert plan(results, "--run", "elsewhere") == 0
    assert "Times: run elsewhere on another machine, scaled" in capsys.readouterr().out


def test_test_reviews_and_a_tiny_difference(results: Path, store: Store, capsys: Capture) -> None:
    store("first")
    assert plan(results, "--run", "first", "--difference", "0.5", "--test-reviews", "400") == 0
    text = capsys.readouterr().out
    assert "no number of seeds suffices" in text
    (reviews, *_) = re.findall(r"With [\d,]+ seeds, ([\d,]+) test reviews are needed", text)
    assert plan(results, "--run", "first", "--difference", "0.5", "--test-reviews", reviews.replace(",", "")) == 0
    assert re.search(r"between .+: [\d,]+ seeds \(95% limits", capsys.readouterr().out)


def test_differences_within_the_equivalence_margin_are_pointed_out(results: Path, capsys: Capture) -> None:
    assert plan(results, "--data", "bundled", "--difference", "0.3") == 0
    assert "A difference within 0.50 points may be called equivalent" in capsys.readouterr().out
    assert plan(results, "--data", "bundled", "--difference", "0.5") == 0
    assert "equivalent" not in capsys.readouterr().out


def test_network_without_variance_and_time(results: Path, store: Store, capsys: Capture) -> None:
    store("first")
    assert plan(results, "--run", "first", "--architectures", "my_models:attention") == 0
    text = capsys.readouterr().out
    assert "No variance of attention (my_models) is known" in text
    assert "The time of attention (my_models) is unknown" in text
    assert "Minutes" in text
    assert re.search(r"^ +5 .* over \d+$", text, re.MULTILINE)


def test_one_network_is_planned_against_the_baselines(results: Path, store: Store, capsys: Capture) -> None:
    store("first")
    assert plan(results, "--run", "first", "--architectures", "lstm") == 0
    assert re.search(r"median of 2\): LSTM and (NB-SVM|TF-IDF)", capsys.readouterr().out)


def test_run_with_one_seed_is_a_user_error_if_it_was_named(results: Path, store: Store, capsys: Capture) -> None:
    store("single", seeds=1)
    assert plan(results, "--run", "single") == 2
    assert "Run single has fewer than two seeds of each network" in capsys.readouterr().err


def test_run_with_one_seed_gives_its_times_if_it_was_found(
    results: Path, store: Store, tiny: Path, capsys: Capture
) -> None:
    store("single", seeds=1, fingerprint=load_reviews(str(tiny)).dataset.fingerprint)
    assert plan(results, "--data", str(tiny)) == 0
    text = capsys.readouterr().out
    assert "published" in text
    assert "run single, on this machine" in text


def test_plan_of_the_same_run_needs_fewer_seeds_for_larger_differences(results: Path, store: Store) -> None:
    store("first")

    def options(*words: str) -> PlanOptions:
        return read_options(PlanOptions, ["--run", "first", *words])

    assert make_plan(options("--difference", "2"), results).goal.difference == pytest.approx(0.02)
    assert make_plan(options("--test-reviews", "9000"), results).goal.reviews == 9_000
    chosen = make_plan(options("--architectures", "lstm,deep_lstm"), results)
    assert chosen.architectures == ["lstm", "deep_lstm"]
    assert make_plan(options(), results).architectures[0] == "simple_rnn"


def test_plan_reads_the_tables_of_a_real_run(past: Path, capsys: Capture) -> None:
    assert plan(past, "--run", "first", "--architectures", "simple_rnn", "--difference", "10") == 0
    assert "Simple RNN and" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--difference", "0"], "--difference: received '0'"),
        (["--difference", "nan"], "--difference: received 'nan'"),
        (["--difference", "101"], "--difference: received '101'"),
        (["--power", "0.8"], "--power: received '0.8'"),
        (["--power", "100"], "--power: received '100'. Give a number of percent from 10 to 99.9"),
        (["--power", "nan"], "--power: received 'nan'"),
        (["--test-reviews", "1"], "--test-reviews: received '1'"),
        (["--seeds", "0"], "--seeds: received '0'"),
        (["--architectures", "gru2"], "--architectures: received 'gru2'"),
        (["--run", "../x"], "--run: received '../x'"),
        (["--run", "missing"], "no finished run 'missing'"),
        (["--data", "missing.csv"], "missing.csv"),
    ],
)
def test_user_errors_are_one_message(results: Path, capsys: Capture, words: list[str], said: str) -> None:
    assert plan(results, *words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert len(err.splitlines()) == 1


def test_planning_loads_neither_prefect_nor_tensorflow(results: Path) -> None:
    words = ["plan", "--data", "bundled", f"--results={results}"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.programs.loaded_after_command", "prefect,tensorflow,keras", *words],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "[]")


def test_two_networks_have_one_pair(results: Path, capsys: Capture) -> None:
    frames = select_architectures(make_frames(reviews=300, seeds=6), "lstm", "deep_lstm")
    add_comparison(results, "two", frames, rows=ROWS)
    assert plan(results, "--run", "two") == 0
    assert "Noisiest" not in capsys.readouterr().out


def test_published_plan_is_that_of_the_experiment(results: Path, capsys: Capture) -> None:
    assert plan(results, "--data", "bundled") == 0
    assert re.findall(r"power between .*: (\d+) seeds", capsys.readouterr().out) == [
        "8",
        "33",
    ]  # 28 pairs; the experiment had 21

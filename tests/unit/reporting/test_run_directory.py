"""What a run leaves behind, from made-up frames."""

import json
import os
import shlex
from pathlib import Path

import pandas as pd
import pytest

from flows.cli.arguments import parse
from tasks.config.parameters import Parameters
from tasks.report import of_a_fraction
from tasks.reporting import run_directory
from tasks.reporting.model import Report
from tasks.storage.store import NotWrittenError
from tests.helpers.synthetic import frames as synthetic_frames


@pytest.fixture
def report() -> Report:
    frames = synthetic_frames(reviews=60, seeds=2)
    facts = {"source": "3 reviews", "fingerprint": "f" * 64, "caveats": [], "rows": {"test": 3}}
    return Report(facts=facts, frames=frames)


def test_a_run_is_written_whole(report: Report, tmp_path: Path) -> None:
    written = run_directory.write_run(report, tmp_path / "run", tmp_path / "cache", pytest.fail)
    for name, frame in report.frames.items():
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "run" / "tables" / f"{name}.parquet"), frame)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["source"] == "3 reviews"
    saved = {path.stem: path.read_bytes() for path in (tmp_path / "run" / "figures").glob("*.png")}
    assert {picture.name: picture.png for picture in written.pictures} == saved
    assert sum(len(picture.small) for picture in written.pictures) < 1_000_000


def test_latest_leads_to_the_newest_and_no_run_is_overwritten(tmp_path: Path) -> None:
    for expected in ("night", "night-2", "night-3"):
        partial = tmp_path / "runs" / ".partial"
        partial.mkdir(parents=True)
        assert run_directory.settle(partial, tmp_path, "night").name == expected
        assert (tmp_path / "latest").resolve().name == expected


def test_a_name_that_is_taken_in_any_way_is_not_used(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    (runs / "night").mkdir(parents=True)
    (runs / "night-2").symlink_to("nowhere")
    (runs / "night-3").touch()
    (runs / ".partial").mkdir()
    assert run_directory.settle(runs / ".partial", tmp_path, "night").name == "night-4"
    assert not list((runs / "night").iterdir())


def test_a_name_that_is_taken_at_the_last_moment_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = tmp_path / "runs"
    for name in ("night", ".partial"):
        (runs / name).mkdir(parents=True)
        (runs / name / "report.html").write_text(name)
    monkeypatch.setattr(os.path, "lexists", lambda path: False)  # as it was when it was looked for
    assert run_directory.settle(runs / ".partial", tmp_path, "night").name == "night-2"
    assert (runs / "night" / "report.html").read_text() == "night"


def test_a_folder_named_latest_is_kept_and_told(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    (tmp_path / "runs" / ".partial").mkdir(parents=True)
    with pytest.raises(NotWrittenError, match="latest could not be written: Is a directory"):
        run_directory.settle(tmp_path / "runs" / ".partial", tmp_path, "night")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "runs"]
    assert (tmp_path / "runs" / "night").is_dir()


def test_a_part_of_the_training_reviews_is_told_as_such() -> None:
    assert of_a_fraction({"train_fractions": [0.1, 1.0]}, 20_000) == []
    (told,) = of_a_fraction({"train_fractions": [0.05, 0.25]}, 20_000)
    assert told.startswith("Every model was trained on 25% of the 20,000 training reviews alone.")


def test_the_command_repeats_the_run() -> None:
    settings = Parameters(seeds=7, architectures=("lstm",), run_name="x").model_dump(mode="json")
    assert run_directory.command(settings) == "python -m flows.imdb_compare --architectures lstm --seeds 7"
    assert run_directory.command(Parameters().model_dump(mode="json")) == "python -m flows.imdb_compare"


def test_the_command_is_read_back_as_what_was_asked() -> None:
    asked = Parameters(positive="it's bad; rm -rf", group="$film", class_weights=True, train_fractions=(0.5, 1))
    program, *words = shlex.split(run_directory.command(asked.model_dump(mode="json")))[2:]
    assert program == "flows.imdb_compare"
    assert parse(Parameters, words, program) == asked

"""The run directory: its files, its name, the link `latest`, and the command that repeats the run."""

import json
import os
import shlex
from pathlib import Path

import pandas as pd
import pytest

from flows.cli.parser import read_options
from tasks.config.errors import UserError
from tasks.config.parameters import Parameters
from tasks.evaluation.scores import classification_reports
from tasks.report import format_fraction_caveat
from tasks.reporting import run_directory
from tasks.reporting.model import Report
from tasks.storage.run_info import RunInfo
from tests.helpers.rendered import render_figures
from tests.helpers.report_inputs import make_run_info
from tests.helpers.synthetic import make_frames


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    frames = make_frames(reviews=60, seeds=2)
    few = {"trials": frames["trials"]}
    return Report(make_run_info(), frames, render_figures(few, tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def written(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run directory of the report."""
    run = tmp_path_factory.mktemp("results") / "run"
    run_directory.write_run(report, run)
    return run


def test_command_of_a_file_without_header_has_the_flag() -> None:
    settings = Parameters(data="own.csv", header=False, separator="\t").model_dump(mode="json")
    command = run_directory.format_command(settings)
    assert "--no-header" in command.split()
    assert "--separator tab" in command
    assert "False" not in command


def test_run_directory_has_tables_figures_and_record(report: Report, written: Path) -> None:
    for name, frame in report.frames.items():
        stored = pd.read_parquet(written / "tables" / f"{name}.parquet")
        if name == "predictions":  # in another order
            keys = ["architecture", "seed", "split", "review_id"]
            stored, frame = (each.sort_values(keys, ignore_index=True) for each in (stored, frame))
        pd.testing.assert_frame_equal(stored, frame)
    files = {path.stem: path.read_bytes() for path in (written / "figures").glob("*.png")}
    assert {figure.name: figure.png for figure in report.figures} == files


@pytest.mark.slow
def test_thumbnails_of_all_figures_are_small(report: Report, tmp_path: Path) -> None:
    figures = render_figures(report.frames, tmp_path)
    assert len(figures) > len(report.figures)
    assert sum(len(figure.thumbnail) for figure in figures) < 1_000_000


def test_exported_table_has_the_class_names_of_the_data(report: Report, tmp_path: Path) -> None:
    frames = {"trials": report.frames["trials"], "classes": classification_reports(report.frames["predictions"])}
    info = make_run_info().model_copy(update={"classes": ("差评", "好评")})
    run_directory.write_tables(Report(info, frames), tmp_path)
    stored = pd.read_parquet(tmp_path / "tables" / "classes.parquet")
    assert set(stored["class"]) == {"差评", "好评"}
    assert stored.drop(columns="class").equals(frames["classes"].drop(columns="class"))
    assert "好评" in (tmp_path / "tables" / "classes.csv").read_text("utf-8")


def test_run_record_is_read_back_unchanged(report: Report, written: Path) -> None:
    content = (written / "run.json").read_bytes()
    assert RunInfo.model_validate_json(content) == report.info
    assert set(json.loads(content)) == {
        "source", "rows", "fingerprint", "classes", "vocabulary", "caveats", "settings", "versions", "hardware",
        "command", "run_name", "started", "seconds", "metric", "vectors", "recipes",
    }  # fmt: skip


def test_latest_points_to_the_last_run_and_no_run_is_overwritten(tmp_path: Path) -> None:
    for expected in ("night", "night-2", "night-3"):
        partial = tmp_path / "runs" / ".partial"
        partial.mkdir(parents=True)
        assert run_directory.publish_run_dir(partial, tmp_path, "night").name == expected
        assert (tmp_path / "latest").resolve().name == expected


def test_name_of_any_existing_path_is_taken(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    (runs / "night").mkdir(parents=True)
    (runs / "night-2").symlink_to("nowhere")
    (runs / "night-3").touch()
    (runs / ".partial").mkdir()
    assert run_directory.publish_run_dir(runs / ".partial", tmp_path, "night").name == "night-4"
    assert not list((runs / "night").iterdir())


def test_name_taken_after_the_check_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = tmp_path / "runs"
    for name in ("night", ".partial"):
        (runs / name).mkdir(parents=True)
        (runs / name / "report.html").write_text(name)
    monkeypatch.setattr(os.path, "lexists", lambda path: False)  # as if another run took the name after the check
    assert run_directory.publish_run_dir(runs / ".partial", tmp_path, "night").name == "night-2"
    assert (runs / "night" / "report.html").read_text() == "night"


def test_directory_named_latest_is_kept_and_reported(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    (tmp_path / "runs" / ".partial").mkdir(parents=True)
    with pytest.raises(UserError, match="latest"):
        run_directory.publish_run_dir(tmp_path / "runs" / ".partial", tmp_path, "night")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "runs"]
    assert (tmp_path / "runs" / "night").is_dir()


def test_caveat_states_fraction_of_training_reviews() -> None:
    assert format_fraction_caveat(1.0, 20_000) == []
    (caveat,) = format_fraction_caveat(0.25, 20_000)
    assert "25% of the 20,000 training reviews" in caveat


def test_command_has_only_changed_settings() -> None:
    settings = Parameters(seeds=7, architectures=("lstm",), run_name="x").model_dump(mode="json")
    assert run_directory.format_command(settings) == "imdb-compare run --architectures lstm --seeds 7"
    assert run_directory.format_command(Parameters().model_dump(mode="json")) == "imdb-compare run"


def test_command_is_parsed_to_the_same_parameters() -> None:
    parameters = Parameters(positive="it's bad; rm -rf", group="$film", class_weights=True, train_fractions=(0.5, 1))
    program, subcommand, *options = shlex.split(run_directory.format_command(parameters.model_dump(mode="json")))
    assert (program, subcommand) == ("imdb-compare", "run")
    assert read_options(Parameters, options) == parameters

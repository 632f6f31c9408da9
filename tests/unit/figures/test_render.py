"""Rendered figures and their cache."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from tasks.config.errors import DamagedFileError
from tasks.figures import render
from tests.helpers import synthetic
from tests.helpers.rendered import render_figures


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the name of every figure that is encoded."""
    names: list[str] = []
    encode = render.encode

    def record(figure, name):
        names.append(name)
        return encode(figure, name)

    monkeypatch.setattr(render, "encode", record)
    return names


@pytest.fixture(scope="module")
def frames() -> dict[str, pd.DataFrame]:
    frames = synthetic.select_architectures(synthetic.make_frames(reviews=40, seeds=1, epochs=2), "lstm")
    return {name: frames[name] for name in ("history", "trials", "scores")}


@pytest.fixture(scope="module")
def rendered(frames: dict[str, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list]:
    """Render the figures of `without_scores` once; return the cache, which tests must copy, and the figures."""
    cache = tmp_path_factory.mktemp("rendered")
    return cache, render_figures(without_scores(frames), cache)


def without_scores(frames: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the frames of which two figures are made."""
    return {name: frame for name, frame in frames.items() if name != "scores"}


def test_second_call_reads_figures_from_cache(
    frames: dict[str, pd.DataFrame], rendered: tuple[Path, list], encoded: list[str]
) -> None:
    cache, first = rendered
    assert {"costs", "learning_curves"} <= {figure.name for figure in first}
    assert render_figures(without_scores(frames), cache) == first
    assert not encoded


def test_changed_frame_renders_only_figures_that_read_it(
    frames: dict[str, pd.DataFrame], rendered: tuple[Path, list], tmp_path: Path, encoded: list[str]
) -> None:
    shutil.copytree(rendered[0], tmp_path, dirs_exist_ok=True)
    history = frames["history"].assign(loss=lambda frame: frame["loss"] + 0.1)
    render_figures({**without_scores(frames), "history": history}, tmp_path)
    assert encoded == ["learning_curves"]


def test_rendered_figure_has_texts_and_all_formats(frames: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    (figure,) = render_figures({"trials": frames["trials"]}, tmp_path)
    assert figure.name == "costs"
    assert figure.title
    assert len(figure.caption) > 40
    assert not figure.caption.startswith(figure.title)
    assert figure.png.startswith(b"\x89PNG")
    assert figure.thumbnail.startswith(b"\x89PNG")
    assert len(figure.thumbnail) < len(figure.png)
    assert b"<svg" in figure.svg


def test_figure_without_content_is_left_out(
    frames: dict[str, pd.DataFrame], tmp_path: Path, encoded: list[str]
) -> None:
    unknown = {"trials": frames["trials"], "scores": frames["scores"].assign(value=float("nan"))}
    for _ in range(2):
        names = [figure.name for figure in render_figures(unknown, tmp_path)]
        assert "costs" in names
        assert "scores_on_test" not in names
    assert encoded == names


@pytest.mark.parametrize(
    "change", [{"text.json": b"{}"}, {"large.png": b"<svg/>"}, {"extra": b""}, {"large.svg": b"\x89PNG\r\n\x1a\n"}]
)
def test_files_of_another_format_are_damaged(
    frames: dict[str, pd.DataFrame], tmp_path: Path, change: dict[str, bytes]
) -> None:
    ((name, arguments),) = render.figure_arguments({"trials": frames["trials"]}).items()
    files = render.render_files(name, render.FIGURES[name], arguments)
    assert render.parse_files(files, name, tmp_path)
    with pytest.raises(DamagedFileError):
        render.parse_files(files | change, name, tmp_path)

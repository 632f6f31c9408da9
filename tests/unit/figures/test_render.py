"""A picture is drawn once from the same frames, and again when a frame that it reads is another."""

from pathlib import Path

import pandas as pd
import pytest

from tasks.figures import render
from tests.helpers import synthetic


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the name of every figure that is drawn."""
    names: list[str] = []
    real = render.rendered

    def noting(figure, name):
        names.append(name)
        return real(figure, name)

    monkeypatch.setattr(render, "rendered", noting)
    return names


@pytest.fixture(scope="module")
def frames() -> dict[str, pd.DataFrame]:
    made = synthetic.of(synthetic.frames(reviews=40, seeds=1, epochs=2), "lstm")
    return {name: made[name] for name in ("history", "trials", "scores")}


def test_a_picture_is_drawn_once(frames: dict[str, pd.DataFrame], tmp_path: Path, drawn: list[str]) -> None:
    first = render.pictures(frames, tmp_path, pytest.fail)
    assert drawn == [picture.name for picture in first]
    assert {"costs", "learning_curves"} <= set(drawn)
    drawn.clear()
    assert render.pictures(frames, tmp_path, pytest.fail) == first
    assert not drawn


def test_only_what_reads_another_frame_is_drawn_again(
    frames: dict[str, pd.DataFrame], tmp_path: Path, drawn: list[str]
) -> None:
    render.pictures(frames, tmp_path, pytest.fail)
    drawn.clear()
    history = frames["history"].assign(loss=lambda frame: frame["loss"] + 0.1)
    render.pictures({**frames, "history": history}, tmp_path, pytest.fail)
    assert drawn == ["learning_curves"]


def test_a_picture_comes_with_its_words_and_a_small_form(frames: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    found = {picture.name: picture for picture in render.pictures({"trials": frames["trials"]}, tmp_path, pytest.fail)}
    assert list(found) == ["costs"]
    picture = found["costs"]
    assert picture.title == "What does each cost?"
    assert picture.caption.startswith("Bars begin at 0")
    assert picture.png.startswith(b"\x89PNG")
    assert picture.small.startswith(b"\x89PNG")
    assert len(picture.small) < len(picture.png)
    assert b"<svg" in picture.svg


def test_a_figure_that_shows_nothing_is_no_picture(frames: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    unknown = {"trials": frames["trials"], "scores": frames["scores"].assign(value=float("nan"))}
    for _ in range(2):
        names = [picture.name for picture in render.pictures(unknown, tmp_path, pytest.fail)]
        assert "costs" in names
        assert "scores_on_test" not in names

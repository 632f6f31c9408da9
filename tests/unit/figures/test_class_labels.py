"""Names of classes in figures: every script, length and special character."""

from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.font_manager import fontManager

from tasks.evaluation.reliability import reliability_table
from tasks.evaluation.scores import confusion_matrices
from tasks.figures import class_labels, registry, render
from tasks.figures.style import encode
from tests.helpers import synthetic

CHINESE = ("差评", "好评")


@pytest.fixture(scope="module")
def frames():
    made = synthetic.select_architectures(synthetic.make_frames(reviews=20, seeds=1), "lstm", "simple_rnn")
    tables = {"confusions": confusion_matrices(made["predictions"])}
    return {**tables, **made, "reliability": reliability_table(made["predictions"])}


@pytest.fixture
def chinese_font(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Install a font with the four characters of `CHINESE`."""
    pen = TTGlyphPen(None)
    for place, point in enumerate([(0, 0), (0, 700), (700, 700), (700, 0)]):
        pen.lineTo(point) if place else pen.moveTo(point)
    pen.closePath()
    glyph, builder = pen.glyph(), FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "box"])
    builder.setupCharacterMap({ord(letter): "box" for letter in "".join(CHINESE)})
    builder.setupGlyf({".notdef": glyph, "box": glyph})
    builder.setupHorizontalMetrics({".notdef": (800, 0), "box": (800, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Test Chinese", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "chinese.ttf")
    monkeypatch.setattr(fontManager, "ttflist", [*fontManager.ttflist])
    clear_caches()
    fontManager.addfont(tmp_path / "chinese.ttf")
    yield "Test Chinese"
    clear_caches()


def clear_caches() -> None:
    for cached in (class_labels.find_fonts, class_labels._system_fonts):
        cached.cache_clear()


def plot(frames, class_names, name="confusion_matrices"):
    return registry.plot_figures(frames, [name], class_names)[name]


def tick_labels(figure):
    axes = figure.axes[0]
    return [[text.get_text() for text in texts] for texts in (axes.get_xticklabels(), axes.get_yticklabels())]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("names", [("schlecht", "größer"), ("$x_1$", "<b>&"), ("плохо", "хорошо"), ("😡", "😍")])
def test_confusion_matrix_has_the_class_names_of_the_data(frames, names) -> None:
    figure = plot(frames, names)
    assert tick_labels(figure) == [list(names)] * 2
    assert encode(figure, "confusion_matrices", dpi=20)["svg"]


@pytest.mark.filterwarnings("error")  # matplotlib warns of missing characters
def test_chinese_class_names_are_shown_with_a_font_of_the_system(frames, chinese_font) -> None:
    figure = plot(frames, CHINESE)
    assert tick_labels(figure) == [list(CHINESE)] * 2
    assert figure.axes[0].get_xticklabels()[0].get_fontfamily() == ["DejaVu Sans", chinese_font]
    assert encode(figure, "confusion_matrices", dpi=20)["png"]
    assert CHINESE[1] in plot(frames, CHINESE, "reliability_diagram").axes[0].get_ylabel()


@pytest.mark.filterwarnings("error")
def test_class_name_that_no_font_shows_is_in_the_caption(frames) -> None:
    figure = plot(frames, ("bad", "好\ue123"))
    assert tick_labels(figure) == [["bad", "Class 1"]] * 2
    assert "class 1 is 好\\ue123" in figure.get_label()
    assert encode(figure, "confusion_matrices", dpi=20)["png"]


def test_names_from_right_to_left_are_in_the_caption(frames) -> None:
    figure = plot(frames, ("سيئ", "جيد"))
    assert tick_labels(figure) == [["Class 0", "Class 1"]] * 2
    assert "سيئ" in figure.get_label()


def test_long_class_name_is_cut_and_complete_in_the_caption(frames) -> None:
    name = "a rather negative opinion about the film and its actors"
    figure = plot(frames, (name, "好评" * 40))
    assert name in figure.get_label()
    assert all(len(line) <= 13 for text in tick_labels(figure)[0] for line in text.splitlines())


@pytest.mark.parametrize("name", ["roc_curves", "reliability_diagram"])
def test_captions_name_the_positive_class(frames, name) -> None:
    assert "excellent" in plot(frames, ("poor", "excellent"), name).get_label()


def test_more_than_two_classes_are_labeled_by_their_number() -> None:
    labels = class_labels.class_labels(("one", "two", "", "four"), 8)
    assert labels.texts == ["one", "two", "", "four"]
    assert labels.note == ""


def test_figure_is_drawn_again_for_other_names_or_with_other_fonts(frames, tmp_path, monkeypatch) -> None:
    def paths(names):
        tables = {"confusions": frames["confusions"]}
        return [spec.path for spec in render.plan_figures(tables, tmp_path, names)]

    assert paths(("bad", "good")) != paths(CHINESE)
    before = paths(CHINESE)
    monkeypatch.setattr(render, "find_fonts", lambda name: ("Noto Sans CJK SC",))
    assert paths(CHINESE) != before

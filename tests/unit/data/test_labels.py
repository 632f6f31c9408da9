"""Labels of two to a hundred classes: their order, names and selection."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.config.errors import UserError
from tasks.config.parameters import Parameters
from tasks.data.files import read_reviews
from tasks.data.labels import NOT_SELECTED, LabelOptions, Labels, parse_labels
from tasks.data.problems import Problems
from tasks.data.records import UnsplitReviews
from tasks.data.splits import split_reviews


def parse(values, path, **options):
    """Return the labels of a column, and the message on its problems."""
    problems = Problems(path)
    labels = parse_labels(values, [f"line {n}" for n in range(len(values))], LabelOptions(**options), problems)
    return labels, problems.message() if problems.found else ""


def make_reviews(sizes, groups=1):
    """Return different texts of classes with the given sizes, `groups` texts in each group."""
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    frame = pd.DataFrame({"text": [f"text {number}" for number in range(len(labels))], "label": labels})
    return frame if groups == 1 else frame.assign(group=[f"group {number // groups}" for number in range(len(labels))])


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["3", "1", " 2.0 ", "10", 1], ("1", "2", "3", "10")),  # numbers in their order
        (["b", "a", "c", "A", "c", "C"], ("c", "a", "b")),  # others by frequency, named as first written
        (["Zug", "Bus", "Auto"], ("Auto", "Bus", "Zug")),  # equally frequent ones by name
        (["良い", "普通", "悪い", "普通"], ("普通", "悪い", "良い")),
        (["neutral", "neg", "pos", "pos"], ("pos", "neg", "neutral")),
        (["0", "1", "2"], ("0", "1", "2")),
    ],
)
def test_three_or_more_labels_are_classes_in_order(tmp_path, values, classes):
    labels, message = parse(values, tmp_path)
    assert (labels.classes, message) == (classes, "")
    assert [classes[number].casefold() for number in labels.numbers] == [
        f"{float(value):g}" if str(value).strip().replace(".", "").isdigit() else str(value).casefold()
        for value in values
    ]


def test_names_of_the_file_order_the_classes(tmp_path):
    labels, _ = parse(["late", "early", "noon"], tmp_path, names=("early", "noon", "late", "never"))
    assert labels == Labels([2, 0, 1], ("early", "noon", "late"))


def test_selected_classes_are_in_their_order_and_others_are_left_out(tmp_path):
    assert parse(["a", "b", "c", "B"], tmp_path, classes="c, b")[0] == Labels([NOT_SELECTED, 1, 0, 1], ("c", "b"))
    quoted = parse(["x, y", "z", "w"], tmp_path, classes='z,"x, y",w')[0]
    assert quoted.classes == ("z", "x, y", "w")
    path = tmp_path / "own.csv"
    pd.DataFrame({"text": list("abcd"), "label": ["5", "3", "1", "3"]}).to_csv(path, index=False)
    unsplit = read_reviews(path, classes="3,5")
    assert (list(unsplit.frame["text"]), list(unsplit.frame["label"]), unsplit.classes) == (
        ["a", "b", "d"], [1, 0, 0], ("3", "5")
    )  # fmt: skip
    assert "1 of 4 reviews are left out, because their class was not selected." in unsplit.caveats


@pytest.mark.failure_mode("invalid-labels")
@pytest.mark.parametrize(
    ("values", "options", "said"),
    [
        ([f"id {n}" for n in range(101)], {}, "at most 100 classes are allowed. Choose the column of the labels by"),
        (["a", "b", "c"], {"classes": "a,d"}, "--classes names others: 'd'"),
        (["a", "", "c", "d"], {}, "no label"),
        (["a", "b", "c\x07"], {}, "control characters"),
    ],
)
def test_impossible_classes_are_one_message(tmp_path, values, options, said):
    assert said in parse(values, tmp_path, **options)[1]


@pytest.mark.parametrize(
    ("classes", "text"), [(["a", "b,c"], 'a,"b,c"'), ([1, 2, 3], "1,2,3"), ("x,y", "x,y"), (None, None)]
)
def test_classes_are_a_list_or_a_text(classes, text):
    assert Parameters.from_user(classes=classes).classes == text


@pytest.mark.parametrize("options", [{"classes": "a"}, {"classes": "a,a"}, {"classes": "a,b", "positive": "a"}])
def test_classes_that_cannot_be_used_are_refused(options):
    with pytest.raises(UserError, match="classes"):
        Parameters.from_user(**options)


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("sizes", [[100] * 3, [400, 90, 80, 200, 75], [80] * 40])
def test_splits_are_stratified_over_all_classes(sizes, groups):
    classes = tuple(f"class {number}" for number in range(len(sizes)))
    loaded = split_reviews(UnsplitReviews(make_reviews(sizes, groups), classes=classes), seed=0)
    for split, share in (("test", 0.2), ("validation", 0.16), ("train", 0.64)):
        found = loaded.dataset.class_sizes[split]
        assert all(abs(number - share * size) <= max(0.1 * size, 4) for number, size in zip(found, sizes, strict=True))
    assert loaded.frame["label"].dtype == "int8"


@given(st.permutations(range(9)))
def test_class_order_does_not_depend_on_the_order_of_rows(order):
    values = ["a", "b", "c", "b", "d", "c", "c", "a", "e"]
    problems = Problems(__file__)
    labels = parse_labels([values[row] for row in order], [""] * 9, LabelOptions(), problems)
    assert labels.classes == ("c", "a", "b", "d", "e")


@pytest.mark.failure_mode("too-few-rows")
def test_small_classes_are_one_message_with_the_fix():
    frame = make_reviews([100, 12, 100, 30])
    with pytest.raises(UserError) as refused:
        split_reviews(UnsplitReviews(frame, classes=("good", "odd", "so, so", "bad\x1b[2J")), seed=0)
    message = str(refused.value)
    assert "2 of 4 classes are too small: 'odd' (rows: 12), 'bad" in message
    assert "about 70 different reviews a class" in message
    assert "Leave these classes out by --classes 'good,\"so, so\"', merge labels in the file" in message
    assert message.isprintable()


def test_classes_that_are_too_small_in_a_split_are_named():
    frame = make_reviews([100, 100, 50])
    with pytest.raises(UserError, match=r"1 of 3 classes are too small: 'c' \(train: 32, validation: 8, test: 10\)"):
        split_reviews(UnsplitReviews(frame, classes=("a", "b", "c")), seed=0)


def test_advice_keeps_the_usual_positive_class():
    with pytest.raises(UserError, match="--classes neg,Pos, merge"):
        split_reviews(UnsplitReviews(make_reviews([100, 90, 3]), classes=("Pos", "neg", "pso")), seed=0)


def test_rare_class_of_several_is_named():
    frame = make_reviews([500, 100, 100])
    caveats = split_reviews(UnsplitReviews(frame, classes=("a", "b", "c")), seed=0).dataset.caveats
    assert any("14.3% of the test reviews are b: a model that predicts a for all" in each for each in caveats)

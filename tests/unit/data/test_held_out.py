"""Splits by groups of any sizes: close to the requested sizes, or reported."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.config.errors import UserError
from tasks.data.held_out import TOLERANCE, TOLERANCE_ROWS
from tasks.data.records import LoadedReviews, UnsplitReviews
from tasks.data.splits import split_reviews
from tests.helpers.examples import examples


def split(frame: pd.DataFrame, seed: int = 0) -> LoadedReviews:
    return split_reviews(UnsplitReviews(frame), seed=seed)


def copies(*texts: tuple[str, int, int], different: int) -> pd.DataFrame:
    """Return different texts of both classes, and copies of some texts (text, label, number)."""
    rows = [(f"different text {number}", number % 2) for number in range(different)]
    rows += [(text, label) for text, label, number in texts for _ in range(number)]
    return pd.DataFrame(rows, columns=["text", "label"])


def requested_rows(frame: pd.DataFrame, name: str) -> np.ndarray:
    """Return a fifth of all reviews (test), or of those outside of test (validation), by class."""
    rest = frame if name == "test" else frame[frame["split"] != "test"]
    return rest["label"].value_counts().reindex([0, 1]).to_numpy() / 5


def is_close(frame: pd.DataFrame, name: str) -> bool:
    found = frame.loc[frame["split"] == name, "label"].value_counts().reindex([0, 1], fill_value=0).to_numpy()
    requested = requested_rows(frame, name)
    return bool((np.abs(found - requested) <= np.maximum(TOLERANCE * requested, TOLERANCE_ROWS)).all())


@pytest.mark.failure_mode("many-copies-of-a-text")
def test_many_copies_of_a_text_stay_in_training():
    loaded = split(copies(("Good", 1, 300), ("Bad", 0, 150), different=550))
    assert loaded.dataset.rows == {"test": 200, "train": 640, "validation": 160}
    assert loaded.dataset.class_sizes == {"test": (85, 115), "train": (272, 368), "validation": (68, 92)}
    assert set(loaded.frame.loc[loaded.frame["text"].isin(["Good", "Bad"]), "split"]) == {"train"}
    assert any(sentence.startswith("448 of 1,000 reviews are copies") for sentence in loaded.dataset.caveats)


def test_emoji_that_are_the_whole_text_are_different_texts():
    loaded = split(copies(("😍", 1, 60), ("😡", 0, 60), different=120))
    assert loaded.dataset.rows == {"test": 48, "train": 154, "validation": 38}
    assert loaded.dataset.duplicates == 118
    assert not any("both labels" in sentence for sentence in loaded.dataset.caveats)


def test_one_dominant_text_is_reported():
    loaded = split(copies(("Good", 1, 2_000), different=200))
    assert set(loaded.frame.loc[loaded.frame["text"] == "Good", "split"]) == {"train"}
    assert {split: sizes[1] for split, sizes in loaded.dataset.class_sizes.items()} == {
        "test": 67, "train": 2_011, "validation": 22
    }  # fmt: skip
    assert any("the largest has 2,000 reviews" in sentence for sentence in loaded.dataset.caveats)


def test_texts_without_tokens_are_never_the_same_text():
    frame = copies(different=200)
    empty = pd.DataFrame({"text": ["...", "…", "-- ", "...", "&nbsp;", "<br />"] * 10, "label": [0, 1] * 30})
    loaded = split(pd.concat([frame, empty]))
    assert loaded.frame["cluster"].nunique() == 260
    assert loaded.dataset.duplicates == 0
    assert sum(loaded.dataset.without_tokens.values()) == 60
    assert set(loaded.frame.loc[loaded.frame["text"].isin(empty["text"]), "split"]) == {"train", "validation", "test"}
    counts = ", ".join(f"{name} {loaded.dataset.without_tokens[name]}" for name in ("train", "validation", "test"))
    assert any(f"60 reviews have no words, emoji or other tokens ({counts})" in each for each in loaded.dataset.caveats)


SIZES = {
    "one huge group": st.tuples(st.integers(100, 400)).map(lambda size: [*size, *[1] * 250]),
    "geometric sizes": st.integers(3, 8).map(lambda powers: [2**power for power in range(powers)] * 8),
    "many equal groups": st.tuples(st.integers(2, 12), st.integers(20, 60)).map(lambda pair: [pair[0]] * pair[1]),
    "any sizes": st.lists(st.integers(1, 60), min_size=5, max_size=60),
}


@st.composite
def grouped_reviews(draw: st.DrawFn) -> pd.DataFrame:
    """Draw groups of any sizes whose reviews have one label or both, as copies of a text or as a known group."""
    sizes = draw(st.one_of(*SIZES.values()))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    positive = rng.choice(draw(st.sampled_from([[0, 1], [0, 0.5, 1], [0.1, 0.3], [0, 0, 0, 1]])), len(sizes))
    group = np.repeat(np.arange(len(sizes)), sizes)
    labels = (rng.random(len(group)) < positive[group]).astype(int)
    texts = [f"text {number}" for number in group]
    if draw(st.booleans()):
        return pd.DataFrame({"text": texts, "label": labels})
    different = [f"text {number}" for number in range(len(group))]
    return pd.DataFrame({"text": different, "label": labels, "group": texts})


@pytest.mark.failure_mode("many-copies-of-a-text")
@examples(15, thorough=60)
@given(grouped_reviews(), st.integers(0, 9))
def test_splits_by_groups_of_any_sizes_are_close_to_the_request_or_reported(frame, seed):
    try:
        loaded = split(frame, seed)
    except UserError as refused:
        assert "The minimum is 10 reviews of each class in each split" in str(refused)
        return
    made = loaded.frame
    assert (
        made.groupby(["split", "label"])
        .size()
        .reindex(pd.MultiIndex.from_product([["test", "train", "validation"], [0, 1]]), fill_value=0)
        .min()
        >= 10
    )
    assert made.groupby("group" if "group" in made else "text")["split"].nunique().max() == 1
    for name in ("test", "validation"):
        told = any(sentence.startswith(f"The {name} split has") for sentence in loaded.dataset.caveats)
        assert told != is_close(made, name)
    shuffled = split(frame.sample(frac=1, random_state=seed), seed)
    assert shuffled.dataset == loaded.dataset
    pd.testing.assert_frame_equal(shuffled.frame, made)


@pytest.mark.parametrize("known", [True, False])
def test_reachable_sizes_are_reached_with_a_huge_group(known):
    sizes = [700, *[1] * 300]
    group = np.repeat(np.arange(len(sizes)), sizes)
    names = [f"item {number}" for number in group]
    labels = np.where(group == 0, np.arange(1_000) % 2, group % 2)
    frame = pd.DataFrame({"text": names, "label": labels})
    if known:
        frame = frame.assign(group=names, text=[f"text {number}" for number in range(1_000)])
    for seed in range(5):
        loaded = split(frame, seed)
        assert is_close(loaded.frame, "test")
        assert set(loaded.frame.loc[loaded.frame["cluster"] == loaded.frame["cluster"].mode()[0], "split"]) == {"train"}

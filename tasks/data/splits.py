"""Split a data set into training, validation and test data, by content."""

import hashlib
from typing import Any

import numpy as np
import pandas as pd

from tasks.config.errors import UserError
from tasks.data.balance import imbalanced
from tasks.data.files import SMALLEST_CLASS, SPLITS
from tasks.data.tokenization import normalise, text_array
from tasks.storage.table_fingerprint import fingerprint

HELD_OUT = 0.2
FOLDS = 5


def split_reviews(frame: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Give every review an id and a split, by content alone: the order of rows and columns changes nothing.

    Reviews with the same words stay together in the splits that are made here, and so do those of one film where
    `group` names it. A split that is given is kept; its duplicates are counted.

    Args:
        frame: Columns text and label; split and group where they are known; `attrs` with source and caveats.
        seed: Decides which reviews are held out.

    Returns:
        The frame reviews with its facts, as `load_reviews` describes them.

    Raises:
        UserError: Where a split would have fewer than `SMALLEST_CLASS` reviews of a class.
    """
    facts: dict[str, Any] = {
        "caveats": [],
        "classes": ["negative", "positive"],
        **{str(name): fact for name, fact in frame.attrs.items()},
    }
    optional = [name for name in ("split", "group") if name in frame]
    reviews = frame[["text", "label", *optional]].reset_index(drop=True)
    reviews.attrs = {}
    reviews["content"] = [hashlib.sha256(text.encode()).hexdigest() for text in reviews["text"]]
    reviews = reviews.sort_values(["content", "label", *optional], ignore_index=True)
    occurrence = reviews.groupby("content").cumcount()
    reviews["review_id"] = reviews["content"].str[:16] + "-" + occurrence.astype("str")
    reviews["words"] = [hashlib.sha256(words.encode()).hexdigest() for words in _normalised(reviews["text"])]
    given = sorted(set(reviews["split"])) if "split" in reviews else []
    reviews["split"] = reviews["split"].astype("object") if given else "train"
    together = _together(reviews)
    if not given:
        share = facts.pop("test", HELD_OUT * len(reviews)) / max(len(reviews), 1)
        reviews.loc[_held_out(reviews, together, share, seed), "split"] = "test"
    facts.pop("test", None)
    if "validation" not in given:
        training = reviews["split"] == "train"
        chosen = _held_out(reviews[training], together[training], HELD_OUT, seed + 1)
        reviews.loc[chosen, "split"] = "validation"
    _check_sizes(reviews, bool(given))
    counted = _facts(reviews, given, facts["classes"])
    facts = facts | counted | {"caveats": facts["caveats"] + counted["caveats"]}
    columns = ["review_id", "split", "label", "text", *(["group"] if "group" in reviews else [])]
    reviews = reviews.astype({"split": "str", "label": "int8"})
    reviews = reviews.sort_values(["split", "review_id"], ignore_index=True)
    facts["fingerprint"] = fingerprint(reviews[["split", "review_id", "label", "content"]])
    reviews = reviews[columns]
    reviews.attrs.update(facts)
    return reviews


def _normalised(texts: pd.Series) -> list[str]:
    pieces = [texts.iloc[start : start + 4_000] for start in range(0, len(texts), 4_000)]
    return [words for piece in pieces for words in normalise(text_array(piece)).to_pylist()]


def _together(reviews: pd.DataFrame) -> pd.Series:
    """Number the groups that no split may part: linked by the same words or, where it is known, the same film."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    words, _ = pd.factorize(reviews["words"])
    if "group" not in reviews:
        return pd.Series(words, index=reviews.index)
    films, _ = pd.factorize(reviews["group"])
    nodes = words.max() + films.max() + 2
    links = coo_array((np.ones(len(words)), (words, films + words.max() + 1)), shape=(nodes, nodes))
    return pd.Series(connected_components(links, directed=False)[1][words], index=reviews.index)


def _held_out(reviews: pd.DataFrame, together: pd.Series, share: float, seed: int) -> pd.Index:
    """Choose the rows of one split, stratified by label, whole groups only."""
    from sklearn.model_selection import StratifiedGroupKFold, train_test_split

    labels = reviews["label"].to_numpy()
    first = ~together.duplicated()
    rows = labels if "group" in reviews else labels[first.to_numpy()]
    if min(np.bincount(rows, minlength=2)) < FOLDS or together.nunique() < FOLDS:
        return reviews.index[:0]  # too few to split at all, which the check of sizes says in words
    if "group" in reviews:
        folds = StratifiedGroupKFold(round(1 / share), shuffle=True, random_state=seed)
        held_out = next(iter(folds.split(labels, labels, together.to_numpy())))[1]
        return reviews.index.take(held_out)
    # Groups of duplicates are so small that drawing groups stratifies rows, too, and in a hundredth of the time.
    _, chosen = train_test_split(together[first], test_size=share, random_state=seed, stratify=rows)
    return reviews.index[together.isin(chosen)]


def _check_sizes(reviews: pd.DataFrame, given: bool) -> None:
    counts = reviews.groupby(["split", "label"]).size().unstack(fill_value=0)  # noqa: PD010
    counts = counts.reindex(index=SPLITS, columns=[0, 1], fill_value=0)
    if counts.to_numpy().min() >= SMALLEST_CLASS:
        return
    found = "; ".join(f"{split}: {row[0]:,} negative, {row[1]:,} positive" for split, row in counts.iterrows())
    hint = "" if given else f" Without a split column that takes about {SMALLEST_CLASS * 7} different reviews a class."
    if "group" in reviews and not given:
        hint += f" The reviews are of {reviews['group'].nunique():,} groups, and none of these may be split."
    raise UserError(
        f"Too few reviews: {len(reviews):,} rows come to {found}. "
        f"The minimum is {SMALLEST_CLASS} reviews of each class in each split.{hint}"
    )


def _facts(reviews: pd.DataFrame, given: list[str], classes: list[str]) -> dict[str, Any]:
    """Count what the report says about the splits."""
    by_split = reviews.groupby("split")["label"]
    training = set(reviews.loc[reviews["split"] != "test", "words"])
    across = int((reviews["words"].isin(training) & (reviews["split"] == "test")).sum())
    made = "by group" if "group" in reviews else "at random, stratified by class"
    return {
        "rows": {split: int(number) for split, number in by_split.size().items()},
        "positives": {split: int(number) for split, number in by_split.sum().items()},
        "validation": "given" if "validation" in given else made,
        "duplicates": int(reviews["words"].duplicated().sum()),
        "across_splits": across,
        "caveats": _caveats(reviews, given, classes, across),
    }


def _caveats(reviews: pd.DataFrame, given: list[str], classes: list[str], across: int) -> list[str]:
    """Say in sentences what of the reviews would mislead who does not know it."""
    parted = _parted_groups(reviews) if given and "group" in reviews else 0
    conflicting = int((reviews.groupby("words")["label"].agg(["min", "max"]).diff(axis=1)["max"] > 0).sum())
    tested = reviews.loc[reviews["split"] == "test", "label"]
    share = float(tested.mean())
    rare, common = classes if share > 0.5 else classes[::-1]
    low, high = 100 * min(share, 1 - share), 100 * max(share, 1 - share)
    sentences = {
        f"{across:,} test reviews of the given split also stand in training or validation, word for word.": across,
        f"{parted:,} groups of the given split have reviews in test and in training or validation.": parted,
        f"{conflicting:,} texts stand under both labels.": conflicting,
        f"Only {low:.1f}% of the test reviews are {rare}, and calling all of them {common} is right in {high:.1f}%: "
        "accuracy says little here. See balanced accuracy and PR-AUC, and class_weights.": imbalanced(tested),
    }
    return [sentence for sentence, holds in sentences.items() if holds]


def _parted_groups(reviews: pd.DataFrame) -> int:
    in_test = reviews["split"] == "test"
    return len(set(reviews.loc[in_test, "group"]) & set(reviews.loc[~in_test, "group"]))

"""Split a data set into training, validation and test data."""

import hashlib

import numpy as np
import pandas as pd

from tasks.data.balance import is_imbalanced
from tasks.data.class_sizes import check_split_sizes, check_total_sizes
from tasks.data.columns import SPLITS
from tasks.data.held_out import differs_from_request, select_held_out
from tasks.data.records import Dataset, LoadedReviews, UnsplitReviews, ValidationSplit
from tasks.data.tokenization import BATCH_REVIEWS, normalize_text, text_array
from tasks.storage.table_fingerprint import fingerprint

HELD_OUT_SHARE = 0.2


def split_reviews(unsplit: UnsplitReviews, *, seed: int) -> LoadedReviews:
    """Return reviews with an id and a split, which depend on the content alone, not on the order of rows and columns.

    Reviews with the same words are in the same split, and so are those of one group if groups are known. A given
    split is kept; its duplicates are counted.

    Args:
        unsplit: The reviews as they were read.
        seed: Seed of the selection of held-out reviews.

    Returns:
        The split reviews and their description.

    Raises:
        UserError: If a split has fewer than `MIN_CLASS_SIZE` reviews of a class.
    """
    reviews = _identify(unsplit.frame)
    given = sorted(set(reviews["split"])) if "split" in reviews else []
    reviews["split"] = reviews["split"].astype("object") if given else "train"
    reviews["cluster"] = _link_groups(reviews).astype("int64")
    check_total_sizes(reviews, unsplit.classes, is_given=bool(given))
    deviations = []
    if not given:
        test_rows = HELD_OUT_SHARE * len(reviews) if unsplit.test_rows is None else unsplit.test_rows
        deviations += _hold_out(reviews, "test", test_rows / max(len(reviews), 1), seed, unsplit.classes)
    if "validation" not in given:
        deviations += _hold_out(reviews, "validation", HELD_OUT_SHARE, seed + 1, unsplit.classes)
    check_split_sizes(reviews, unsplit.classes, is_given=bool(given))
    reviews = reviews.astype({"split": "str", "label": "int8"})
    reviews = reviews.sort_values(["split", "review_id"], ignore_index=True)
    columns = ["review_id", "split", "label", "text", *(["group"] if "group" in reviews else []), "cluster"]
    return LoadedReviews(reviews[columns], _describe(reviews, given, unsplit, deviations))


def _identify(frame: pd.DataFrame) -> pd.DataFrame:
    """Return reviews sorted by content, with the columns content and words (hashes), review_id and has_tokens."""
    optional = [name for name in ("split", "group") if name in frame]
    reviews = frame[["text", "label", *optional]].reset_index(drop=True)
    reviews["content"] = [hashlib.sha256(text.encode()).hexdigest() for text in reviews["text"]]
    reviews = reviews.sort_values(["content", "label", *optional], ignore_index=True)
    occurrence = reviews.groupby("content").cumcount()
    reviews["review_id"] = reviews["content"].str[:16] + "-" + occurrence.astype("str")
    words = _normalized_texts(reviews["text"])
    reviews["has_tokens"] = [text != "" for text in words]
    # Texts without tokens have nothing in common, so each one has an identity of its own.
    same = (text or f" {number}" for text, number in zip(words, reviews["review_id"], strict=True))
    reviews["words"] = [hashlib.sha256(text.encode()).hexdigest() for text in same]
    return reviews


def _normalized_texts(texts: pd.Series) -> list[str]:
    batches = [texts.iloc[start : start + BATCH_REVIEWS] for start in range(0, len(texts), BATCH_REVIEWS)]
    return [words for batch in batches for words in normalize_text(text_array(batch)).to_pylist()]


def _link_groups(reviews: pd.DataFrame) -> pd.Series:
    """Return the number of the group of each review: reviews with the same words, or the same group if it is known."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    words, _ = pd.factorize(reviews["words"])
    if "group" not in reviews:
        return pd.Series(words, index=reviews.index)
    known, _ = pd.factorize(reviews["group"])
    nodes = words.max() + known.max() + 2
    links = coo_array((np.ones(len(words)), (words, known + words.max() + 1)), shape=(nodes, nodes))
    return pd.Series(connected_components(links, directed=False)[1][words], index=reviews.index)


def _hold_out(reviews: pd.DataFrame, split: str, share: float, seed: int, classes: tuple[str, ...]) -> list[str]:
    """Move a share of the training reviews to another split, and return a sentence if it has another size."""
    training = reviews[reviews["split"] == "train"]
    labels, known = training["label"], "group" in reviews
    held_out = select_held_out(labels, training["cluster"], share, seed, known=known)
    reviews.loc[training.index[held_out], "split"] = split
    found, requested = (np.bincount(chosen, minlength=len(classes)) for chosen in (labels[held_out], labels))
    if not differs_from_request(found, requested * share):
        return []
    largest = int(training.groupby("cluster").size().max())
    kind = "group" if known else "text with its copies"
    return [
        f"The {split} split has {found.sum():,} instead of {share * len(training):,.0f} reviews, "
        f"{_describe_deviation(found, share * requested, classes)}: a {kind} is never divided, and the largest has "
        f"{largest:,} reviews."
    ]


def _describe_deviation(found: np.ndarray, wanted: np.ndarray, classes: tuple[str, ...]) -> str:
    """Format the sizes of two classes, or that of the class of several with the largest relative deviation."""
    if len(classes) == 2:
        return f"{found[0]:,} and {found[1]:,} of the two classes instead of {wanted[0]:,.0f} and {wanted[1]:,.0f}"
    largest = int(np.argmax(np.abs(found - wanted) / np.maximum(wanted, 1)))
    return f"and {found[largest]:,} instead of {wanted[largest]:,.0f} of the class {classes[largest]}"


def _describe(reviews: pd.DataFrame, given: list[str], unsplit: UnsplitReviews, deviations: list[str]) -> Dataset:
    by_split = reviews.groupby("split")["label"]
    elsewhere = set(reviews.loc[reviews["split"] != "test", "words"])
    across_splits = int((reviews["words"].isin(elsewhere) & (reviews["split"] == "test")).sum())
    empty = ~reviews["has_tokens"]
    duplicates = int(reviews["words"].duplicated().sum())
    without_tokens = {str(split): int(number) for split, number in empty.groupby(reviews["split"]).sum().items()}
    validation: ValidationSplit = "by group" if "group" in reviews else "at random, stratified by class"
    return Dataset(
        source=unsplit.source,
        fingerprint=fingerprint(reviews[["split", "review_id", "label", "content"]]),
        rows={str(split): int(number) for split, number in by_split.size().items()},
        class_sizes={str(split): tuple(_class_sizes(labels, unsplit.classes)) for split, labels in by_split},
        classes=unsplit.classes,
        validation="given" if "validation" in given else validation,
        duplicates=duplicates,
        across_splits=across_splits,
        without_tokens=without_tokens,
        caveats=(
            *unsplit.caveats,
            *_describe_copies(duplicates, len(reviews)),
            *_describe_empty(without_tokens),
            *deviations,
            *_caveats(reviews, given, unsplit.classes, across_splits),
        ),
    )


def _describe_copies(copies: int, reviews: int) -> list[str]:
    if copies == 0:
        return []
    return [
        f"{copies:,} of {reviews:,} reviews are copies: they have the same words as another one. Intervals and tests "
        "count a text with its copies once."
    ]


def _describe_empty(counts: dict[str, int]) -> list[str]:
    if sum(counts.values()) == 0:
        return []
    found = ", ".join(f"{split} {counts.get(split, 0):,}" for split in SPLITS)
    return [
        f"{sum(counts.values()):,} reviews have no words, emoji or other tokens ({found}). Each model gives "
        "all of them the same probability."
    ]


def _class_sizes(labels: pd.Series, classes: tuple[str, ...]) -> list[int]:
    """Return the number of reviews of each class."""
    sizes: list[int] = np.bincount(labels, minlength=len(classes)).tolist()
    return sizes


def _caveats(reviews: pd.DataFrame, given: list[str], classes: tuple[str, ...], across_splits: int) -> list[str]:
    """Return sentences about known biases of the reviews."""
    divided = _count_divided_groups(reviews) if given and "group" in reviews else 0
    conflicting = int((reviews.groupby("words")["label"].agg(["min", "max"]).diff(axis=1)["max"] > 0).sum())
    sentences = {
        f"{across_splits:,} test reviews of the given split are also in training or validation, word for word.": (
            across_splits
        ),
        f"{divided:,} groups of the given split have reviews in test and in training or validation.": divided,
        f"{conflicting:,} texts have {'both' if len(classes) == 2 else 'several'} labels.": conflicting,
    }
    test_labels = reviews.loc[reviews["split"] == "test", "label"]
    return [sentence for sentence, holds in sentences.items() if holds] + _describe_balance(test_labels, classes)


def _describe_balance(labels: pd.Series, classes: tuple[str, ...]) -> list[str]:
    """Return a sentence on test reviews of which a class is rare."""
    if not is_imbalanced(labels, len(classes)):
        return []
    sizes = _class_sizes(labels, classes)
    rare, common = int(np.argmin(sizes)), len(sizes) - 1 - int(np.argmax(sizes[::-1]))
    low, high = (100 * sizes[number] / len(labels) for number in (rare, common))
    return [
        f"Only {low:.1f}% of the test reviews are {classes[rare]}: a model that predicts {classes[common]} for all of "
        f"them has an accuracy of {high:.1f}%. Compare balanced accuracy and PR-AUC instead of accuracy, and consider "
        "class_weights."
    ]


def _count_divided_groups(reviews: pd.DataFrame) -> int:
    in_test = reviews["split"] == "test"
    return len(set(reviews.loc[in_test, "group"]) & set(reviews.loc[~in_test, "group"]))

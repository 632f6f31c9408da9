"""The task that loads, checks and splits the data set."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prefect import task
from prefect.logging import get_run_logger

from tasks.config.escape import escape_terminal
from tasks.data.datasets import load_reviews, source_fingerprint
from tasks.execution.prefect_api import outcome
from tasks.storage.fingerprint import code_version
from tasks.storage.prepared import ReviewNotes, check_notes, key, prepared


@task(name="load", task_run_name="load-reviews")
def load(
    data: str,
    text_column: str,
    label_column: str,
    positive: str | None,
    group: str | None,
    data_folder: Path,
    folder: Path,
) -> dict[str, Any]:
    """Load, check and split the reviews; the result is what is known of them, and the `file` in which they lie."""
    logger = get_run_logger()
    columns: dict[str, Any] = {"text_column": text_column, "label_column": label_column, "group": group}
    how = columns | {"positive": positive}
    made_of = key(
        source=source_fingerprint(data, data_folder=data_folder),
        code=code_version(load_reviews),
        libraries=[version(name) for name in ("pandas", "pyarrow", "scikit-learn")],
        **how,
    )
    path = folder / "reviews" / f"reviews-{made_of}.parquet"

    def make() -> tuple[Any, dict[str, Any]]:
        reviews = load_reviews(data, data_folder=data_folder, on_progress=_tenths(logger.info), **how)
        return reviews, {**{str(name): fact for name, fact in reviews.attrs.items()}, "file": path.name}

    facts, cached = prepared(
        path, make, logger.warning, lambda notes: check_notes(notes, ReviewNotes, path, file=path.name)
    )
    logger.info("%s, fingerprint %s", escape_terminal(facts["source"]), facts["fingerprint"][:16])
    return outcome(facts, cached=cached)


def _tenths(say: Callable[..., None]) -> Callable[[int, int], None]:
    """Make a callback for a download that speaks at every tenth of it."""
    said = -1

    def on_progress(there: int, size: int) -> None:
        nonlocal said
        if there * 10 // size > said:
            said = there * 10 // size
            say("downloaded %d of %d MB", there / 1e6, size / 1e6)

    return on_progress

"""Records of made-up runs, for tests of reports."""

from typing import Any

from tasks.storage.run_info import RunInfo


def make_run_info(**changes: Any) -> RunInfo:
    """Return the record of a made-up run with some of its fields changed.

    The record is not validated, so that a test may contain hostile texts in every field.
    """
    fields: dict[str, Any] = {
        "source": "40 reviews of own.csv",
        "rows": {"train": 120, "validation": 40, "test": 40},
        "fingerprint": "f1f2" * 16,
        "classes": ("negative", "positive"),
        "vocabulary": f"vocabulary-{'0' * 16}.parquet",
        "caveats": (),
        "settings": {"seeds": 2},
        "versions": {"python": "3.11.15"},
        "hardware": {"cores": 2},
        "command": "imdb-compare run --seeds 2",
        "run_name": "first",
        "started": "2026-11-26 03:00:00 UTC",
        "seconds": 3.0,
    }
    return RunInfo.model_construct(**fields | changes)

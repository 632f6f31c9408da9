"""Searches in the results folder, whose selected configurations nightly runs reuse.

A search is named by the settings that decide it, and not by the reviews: nightly runs on a file that grows compare the
same configurations until the search is repeated. Other word vectors are another setting, whatever their file is called.
"""

import hashlib
import json
import logging
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pydantic import ValidationError

from tasks.config.errors import DamagedFileError
from tasks.config.escape import escape_terminal
from tasks.config.file_options import FileOptions
from tasks.config.parameters import Parameters
from tasks.config.recipe import Recipe
from tasks.storage import store
from tasks.storage.layout import search_file
from tasks.storage.safe_files import reasons
from tasks.storage.safe_parquet import SMALL_TABLE, Kind, as_frame, check_columns, check_names
from tasks.tuning.search_space import SEARCH_SPACE, SEQUENCE_SEED, TUNING_SEED
from tasks.tuning.table import SCORE_COLUMNS, TUNING_TYPES, selected_recipes, tuning_table

TEXTS = tuple(name for name, kind in TUNING_TYPES.items() if kind == "str")
# Metrics may be added by later versions.
COLUMNS: dict[str, Kind] = {
    name: "text" if name in TEXTS else "number" for name in TUNING_TYPES if name not in SCORE_COLUMNS.values()
}
KEY_DIGITS = 16  # hexadecimal digits of the key in the name of a file

logger = logging.getLogger(__name__)


def read_searches(parameters: Parameters, results: Path, vectors: str | None = None) -> pd.DataFrame:
    """Return the stored searches of the architectures of a run, as the table `tuning`.

    A search that is damaged is left out with a warning, so that it is repeated.

    Args:
        parameters: Parameters of the run.
        results: The results folder.
        vectors: SHA-256 of the file of word vectors; None without.
    """
    tables = []
    for name in parameters.architectures:
        try:
            table = _read_search(search_path(parameters, results, name, vectors), name, parameters)
        except DamagedFileError as damage:
            logger.warning("%s. Searching again.", escape_terminal(damage))
            continue
        tables += [] if table is None else [table]
    return pd.concat(tables, ignore_index=True) if tables else tuning_table([], [], results)


def store_searches(parameters: Parameters, results: Path, table: pd.DataFrame, vectors: str | None = None) -> None:
    """Store the complete searches of a run, unless a search with the same settings is stored already.

    With the parameter `retune` they replace the stored ones.

    Args:
        parameters: Parameters of the run.
        results: The results folder.
        table: The table `tuning`.
        vectors: SHA-256 of the file of word vectors; None without.

    Raises:
        NotWrittenError: If a file cannot be written.
    """
    known = set() if parameters.retune else set(read_searches(parameters, results, vectors)["architecture"])
    for name, rows in table.groupby("architecture", sort=False):
        is_complete = rows["selected"].any() and not (rows["status"] == "failed").any()
        if is_complete and name not in known:
            store.write(search_path(parameters, results, str(name), vectors), rows.reset_index(drop=True))


def search_path(parameters: Parameters, results: Path, architecture: str, vectors: str | None = None) -> Path:
    """Return the file of a search, named by the data and settings that decide it.

    Args:
        parameters: Parameters of the run.
        results: The results folder.
        architecture: Name of the architecture.
        vectors: SHA-256 of the file of word vectors; None without.
    """
    decisive = {"data", "tune", "vectors_frozen", *FileOptions.model_fields, *Recipe.model_fields}
    settings = parameters.model_dump(mode="json", include=decisive) | {"vectors": vectors}
    space = {name: [*searched] for name, searched in SEARCH_SPACE.items()}
    inputs = [architecture, settings, max(parameters.train_fractions), space, SEQUENCE_SEED, TUNING_SEED]
    key = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    return search_file(results, key[:KEY_DIGITS])


def _read_search(path: Path, architecture: str, parameters: Parameters) -> pd.DataFrame | None:
    """Return a stored search, or None if there is none.

    Raises:
        DamagedFileError: If it is damaged, or is not a search of this architecture with one selected configuration.
    """
    table = store.read(path, SMALL_TABLE)
    return None if table is None else _checked(table, path, architecture, parameters)


def _checked(table: pa.Table, path: Path, architecture: str, parameters: Parameters) -> pd.DataFrame:
    check_columns(table, COLUMNS, path)
    check_names(table, TEXTS, path)
    try:
        frame = as_frame(table, path).reindex(columns=list(TUNING_TYPES)).astype(TUNING_TYPES)
        selected_recipes(frame, parameters.recipe())
    except ValidationError as error:
        raise DamagedFileError(f"{escape_terminal(path)} is not valid: {reasons(error)}") from None
    except (ValueError, TypeError) as error:  # values are missing where there must be some
        raise DamagedFileError(f"{escape_terminal(path)} is not a search") from error
    numbers, statuses = frame["configuration"].tolist(), frame.loc[frame["selected"], "status"].tolist()
    is_search = set(frame["architecture"]) == {architecture} and numbers == [*range(1, parameters.tune + 1)]
    if not is_search or statuses != ["finished"] or set(frame["status"]) - {"finished", "diverged"}:
        raise DamagedFileError(f"{escape_terminal(path)} is not a complete search with one selected configuration")
    return frame

"""Files of a trial in the cache.

A trial consists of three files, each with a checksum: the history of its epochs (Parquet, with the `TrialResult` as
JSON in the schema metadata), its predictions (Parquet) and its weights (safetensors).
"""

import logging
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from time import time_ns
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from tasks.config.escape import escape_terminal
from tasks.storage import store
from tasks.storage.backends import storage_of
from tasks.storage.layout import history_file, predictions_file, weights_file
from tasks.storage.probabilities import check_probability_columns
from tasks.storage.safe_files import json_model
from tasks.storage.safe_parquet import SMALL_TABLE, TABLE, Kind, check_columns
from tasks.storage.trial_records import NOT_MEASURED, TrainedTrial, TrialResult

CELL = re.compile("^([^/]+)/(?:lstm|gru|simple_rnn)_cell/")  # in the name of a weight of Keras' recurrent layers
PREDICTED_SPLITS = ("validation", "test")
PREDICTIONS: dict[str, Kind] = {
    "architecture": "text", "seed": "number", "review_id": "text", "split": "text", "label": "number",
}  # fmt: skip
HISTORY: dict[str, Kind] = {
    "architecture": "text", "seed": "number", "epoch": "number", "split": "text", "loss": "number",
    "accuracy": "number",
}  # fmt: skip
RESULT_KEY = b"trial_result"  # in the schema metadata of the history
# Times of files have steps of a few milliseconds, and of up to two seconds on some file systems.
SETTLED_NS = 3 * 10**9
Weight = TypeVar("Weight")

logger = logging.getLogger(__name__)


def architecture_of(name: str) -> str:
    """Return the architecture of a trial from the name of its files."""
    module, _, function = name.split("-seed-")[0].rpartition(".")
    return f"{module}:{function}" if module else function


def read_trial(folder: Path, name: str) -> TrialResult | None:
    """Return the result of a stored trial, or None if one of its files is missing.

    Local files that this process has checked, and that have not changed since, are not read again.

    Args:
        folder: Cache folder.
        name: Name of the trial in the cache.

    Raises:
        DamagedFileError: If a file does not match its checksum, is not valid, or belongs to another trial.
    """
    state = _state(folder, name)
    result = _read_trial(folder, name) if state is None else _read_unchanged_trial(folder, name, state)
    if result is not None:
        store.mark_used(history_file(folder, name))
    return result


def _state(folder: Path, name: str) -> tuple[Any, ...] | None:
    """Return what identifies the content of the files of a trial, without reading them.

    None if this is unknown, because they are objects, missing, or so new that a later change could have the same time.
    """
    storage = storage_of(folder)
    files = [file(folder, name) for file in (history_file, predictions_file, weights_file)]
    try:
        states = [storage.state(path) for file in files for path in (file, store.checksum_file(file))]
    except OSError:
        return None
    known = [state for state in states if state is not None]
    if len(known) < len(states):
        return None
    (inode, size, _), *others = known  # the time of the history changes whenever it is used
    newest = max(time for *_, time in others)
    return (inode, size, *others) if newest < time_ns() - SETTLED_NS else None


@lru_cache(maxsize=10_000)
def _read_unchanged_trial(folder: Path, name: str, state: tuple[Any, ...]) -> TrialResult | None:  # noqa: ARG001
    return _read_trial(folder, name)


def _read_trial(folder: Path, name: str) -> TrialResult | None:
    history = store.read(history_file(folder, name), SMALL_TABLE)
    predictions = store.read(predictions_file(folder, name), TABLE)
    weights = store.read_bytes(weights_file(folder, name))
    if history is None or predictions is None or weights is None:
        return None
    result = trial_result(history, history_file(folder, name))
    if result.weights != weights_file(folder, name).name:
        raise store.DamagedFileError(f"{escape_terminal(history_file(folder, name))} belongs to another trial")
    if store.checksum(weights_file(folder, name)) != result.weights_sha256:  # that of `weights`, as was checked
        raise store.DamagedFileError(f"{escape_terminal(weights_file(folder, name))} belongs to another trial")
    _check_predictions(predictions, result, predictions_file(folder, name))
    return result


def find_trial(folder: Path, name: str) -> TrialResult | None:
    """Return the result of a stored trial, or None if a file is missing or damaged. Damage is logged as a warning."""
    try:
        return read_trial(folder, name)
    except store.DamagedFileError as damage:
        logger.warning("%s. Training %s again.", damage, escape_terminal(name))
        return None


def read_result(folder: Path, name: str) -> TrialResult:
    """Return the result of a stored trial, without a check of its other files.

    Raises:
        MissingFileError: If the history of the trial is missing.
        DamagedFileError: If the history is damaged.
    """
    path = history_file(folder, name)
    return trial_result(store.table(path, SMALL_TABLE), path)


def trial_result(history: pa.Table, path: Path) -> TrialResult:
    """Return the result in the metadata of a history table.

    Args:
        history: Table with the columns `HISTORY`.
        path: File of the table, named in messages.

    Raises:
        DamagedFileError: If a column or the result is missing or not valid.
    """
    check_columns(history, HISTORY, path)
    content = (history.schema.metadata or {}).get(RESULT_KEY)
    if content is None:
        raise store.DamagedFileError(f"{escape_terminal(path)} contains no result of a trial")
    return json_model(content, TrialResult, path)


def _check_predictions(table: pa.Table, result: TrialResult, path: Path) -> None:
    """Check that predictions belong to a trial and are probabilities; a diverged trial has none."""
    check_columns(table, PREDICTIONS, path)
    if len(table) == 0 and result.status == "diverged":
        return
    columns = check_probability_columns(table, path)
    allowed: dict[str, set[Any]] = {
        "architecture": {result.architecture}, "seed": {result.seed}, "label": set(range(max(len(columns), 2))),
        "split": set(PREDICTED_SPLITS),
    }  # fmt: skip
    values = {name: set(pc.unique(table[name]).to_pylist()) for name in allowed}
    wrong = [name for name in allowed if not values[name] or values[name] - allowed[name]]
    if wrong or not all(_are_probabilities(table[name]) for name in columns):
        raise store.DamagedFileError(f"{escape_terminal(path)} does not contain the predictions of this trial")


def _are_probabilities(column: pa.ChunkedArray) -> bool:
    limits = pc.min_max(column).as_py()
    # `min_max` ignores NaN, so missing values are counted separately.
    missing = pc.sum(pc.is_null(column, nan_is_null=True)).as_py()
    return not missing and limits["min"] is not None and 0 <= limits["min"] <= limits["max"] <= 1


def store_trial(
    folder: Path,
    name: str,
    trial: TrainedTrial,
    train_fraction: float = 1.0,
    probe_seconds: float = NOT_MEASURED,
    cpu_seconds: float = NOT_MEASURED,
    resample: int = 0,
    configuration: int = 0,
) -> TrialResult:
    """Write the files of a trial and return its result. The history with the result is written last.

    Args:
        folder: Cache folder.
        name: Name of the trial in the cache.
        trial: The trained trial.
        train_fraction: Share of the training reviews, in (0, 1].
        probe_seconds: Seconds of a fixed matrix product around the training, see `TrialResult`.
        cpu_seconds: Seconds of CPU time of the trial, see `TrialResult`.
        resample: Number of the bootstrap resample of the training reviews; 0 for the reviews as they are.
        configuration: Number of the configuration of a search; 0 for a trial that is compared.

    Raises:
        NotWrittenError: If a file cannot be written.
    """
    from safetensors.numpy import save

    file = weights_file(folder, name)
    sha256 = store.write(file, save(canonical_weight_names(trial.weights)))
    store.write(predictions_file(folder, name), trial.predictions)
    result = TrialResult(
        **trial.facts.model_dump(), probe_seconds=probe_seconds, cpu_seconds=cpu_seconds, weights=file.name,
        weights_sha256=sha256, train_fraction=train_fraction, resample=resample,
        configuration=configuration,
    )  # fmt: skip
    history = pa.Table.from_pandas(trial.history, preserve_index=False)
    store.write(history_file(folder, name), with_result(history, result))
    return result


def with_result(history: pa.Table, result: TrialResult) -> pa.Table:
    """Return a history table with a result in its schema metadata, instead of any other result there."""
    metadata = {**(history.schema.metadata or {}), RESULT_KEY: result.model_dump_json().encode()}
    return history.replace_schema_metadata(metadata)


def canonical_weight_names(weights: Mapping[str, Weight]) -> dict[str, Weight]:
    """Return weights under the names that they have in a process which builds only this model.

    Keras numbers the layers of a process: the first LSTM layer of a model may be called `lstm_4`. Without the renaming
    (`lstm_4/kernel` to `lstm/kernel`), the stored bytes would depend on which models were built before. The cell of a
    recurrent layer is omitted (`lstm/lstm_cell/kernel`): the compiled layers have none, and the same weights.
    """
    weights = {CELL.sub(r"\1/", name): weight for name, weight in weights.items()}
    numbers: dict[str, dict[int, str]] = {}
    for layer in {name.split("/")[0] for name in weights if "/" in name}:
        kind, number = re.sub(r"_\d+$", "", layer), re.search(r"_(\d+)$", layer)
        numbers.setdefault(kind, {})[int(number[1]) if number else 0] = layer
    canonical = {
        layers[number]: f"{kind}_{count}" if count else kind
        for kind, layers in numbers.items()
        for count, number in enumerate(sorted(layers))
    }
    split = {name: name.partition("/") for name in weights}
    return {"".join([canonical.get(layer, layer), *rest]): weights[name] for name, (layer, *rest) in split.items()}

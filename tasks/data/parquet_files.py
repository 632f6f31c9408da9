"""Read Parquet files in batches."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.config.file_options import FileFormat
from tasks.data import limits
from tasks.data.columns import check_header
from tasks.data.limits import raise_beyond_limit, raise_field_too_long, raise_too_many_rows
from tasks.data.problems import Problems


def read_parquet(
    path: Path, columns: list[str], problems: Problems, _: FileFormat | None = None, *, for_training: bool
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows of a Parquet file, each with its number from 1.

    Where the library datasets of Hugging Face stored names of classes, these are the values of the column.

    Args:
        path: The file.
        columns: Columns that must exist. The rows contain these, and the column split if there is one.
        problems: The problems of the file so far; gets the names of classes.
        for_training: Whether the limits for the whole file hold, and nested columns are refused.

    Raises:
        UserError: If a column is missing or nested, or the file is beyond a limit.
        OSError, pa.ArrowException: If the file is damaged.
    """
    problems.unit = "row"
    schema = pq.read_schema(path)
    check_header(schema.names, columns, problems)
    problems.class_names = class_names(schema)
    chosen = [name for name in dict.fromkeys([*columns, "split"]) if name in schema.names]
    if for_training:
        for name in chosen:
            if pa.types.is_nested(schema.field(name).type):
                problems.add(f"column {name[:60]!r} holds lists or the like, and no plain values")
        problems.raise_if_any()
    number = 0
    named = [name for name in chosen if name in problems.class_names]
    for batch in parquet_batches(path, chosen, for_training=for_training):
        for place, row in enumerate(batch.to_pylist(), number + 1):
            yield place, row | {name: _named(row[name], problems.class_names[name]) for name in named}
        number += len(batch)


def class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Return the names of classes by column that the library datasets stored in a schema; none if they are invalid."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = {name: feature["names"] for name, feature in features.items() if feature.get("_type") == "ClassLabel"}
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        return {}
    return {
        name: each for name, each in names.items()
        if isinstance(each, list) and all(isinstance(label, str) and label.strip() for label in each)
    }  # fmt: skip


def _named(value: Any, names: list[str]) -> Any:
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else value


def parquet_batches(path: Path, columns: list[str], *, for_training: bool) -> Iterator[pa.RecordBatch]:
    """Yield columns of a Parquet file in batches that fit into memory.

    Args:
        path: The file. Its metadata are checked before any row is read.
        columns: Columns of the file.
        for_training: Whether all batches are to be in memory at the same time, so that the limits hold for the whole
            file. If not, they hold for each row group, because Parquet cannot be read in smaller parts.

    Yields:
        Batches of at most `limits.BATCH_ROWS` rows.

    Raises:
        UserError: If the file is beyond a limit.
        OSError, pa.ArrowException: If the file is damaged.
    """
    # A dictionary can store one text for a million rows, so text stays a dictionary until its size is checked.
    texts = [each.name for each in pq.read_schema(path) if each.name in columns and _is_text(each.type)]
    with pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=texts) as file:
        rows = _check_metadata(path, file, columns, for_training)
        total = 0
        for encoded in file.iter_batches(rows, columns=columns):
            encoded.validate(full=True)
            for part in _parts(encoded, path):
                decoded = [_decoded(column) for column in part.columns]
                batch = pa.RecordBatch.from_arrays(decoded, names=part.schema.names)
                total += batch.nbytes if for_training else 0
                _check_bytes(path, total, for_training)
                yield batch


def _check_metadata(path: Path, file: pq.ParquetFile, columns: list[str], for_training: bool) -> int:
    """Check the sizes in the metadata of a file, and return the number of rows of a batch."""
    rows = file.metadata.num_rows
    if for_training and rows > limits.MAX_ROWS:
        raise_too_many_rows(path, f"{rows:,}")
    sizes = [_group_bytes(file.metadata.row_group(group), columns) for group in range(file.num_row_groups)]
    if sum(sizes) > limits.MAX_FIELD_BYTES * len(columns) * (rows + 1):
        raise_field_too_long(path, "a row")
    _check_bytes(path, sum(sizes) if for_training else max(sizes, default=0), for_training)
    return max(min(limits.BATCH_ROWS, rows * limits.BATCH_BYTES // max(sum(sizes), 1)), 1)


def _group_bytes(group: pq.RowGroupMetaData, columns: list[str]) -> int:
    """Return the decoded bytes of columns of a row group; equal numbers may take none in the file, and eight here."""
    chunks = [group.column(place) for place in range(group.num_columns)]
    chosen = [chunk for chunk in chunks if f"{chunk.path_in_schema}.".startswith(tuple(f"{name}." for name in columns))]
    return sum(max(chunk.total_uncompressed_size, 8 * chunk.num_values) for chunk in chosen)


def _check_bytes(path: Path, found: int, for_training: bool) -> None:
    if found > limits.MAX_BYTES:
        part = "that can be trained on" if for_training else "that a row group may have"
        advice = "Take a sample of its rows." if for_training else "Write it with smaller row groups."
        limit = f"unpacked its columns take {found:,} bytes or more, and {limits.MAX_BYTES:,} is the most {part}"
        raise_beyond_limit(path, limit, advice)


def _parts(batch: pa.RecordBatch, path: Path) -> Iterator[pa.RecordBatch]:
    """Yield parts of a batch of at most `limits.BATCH_BYTES` decoded, or of one row."""
    sizes = np.zeros(len(batch), np.int64)
    for column in batch.columns:
        if pa.types.is_dictionary(column.type) and _is_text(column.type.value_type):
            lengths = pc.take(pc.binary_length(column.dictionary), column.indices)
        elif _is_text(column.type):
            lengths = pc.binary_length(column)
        else:
            continue
        lengths = lengths.fill_null(0).to_numpy(zero_copy_only=False)
        if len(lengths) and lengths.max() > limits.MAX_FIELD_BYTES:
            raise_field_too_long(path, "a row")
        sizes += lengths
    start = 0
    for end in np.flatnonzero(np.diff(np.cumsum(sizes) // limits.BATCH_BYTES)) + 1:
        yield batch.slice(start, end - start)
        start = int(end)
    yield batch.slice(start)


def _is_text(kind: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(kind) for test in tests)


def _decoded(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column

"""Fingerprint tables by their content."""

import hashlib

import pandas as pd
import pyarrow as pa

ROWS_AT_A_TIME = 4_000


def fingerprint(table: pa.Table | pd.DataFrame) -> str:
    """Return a hash of the content of a table: names and types of its columns, and its rows in their order.

    The layout in memory and the schema metadata do not matter.

    Returns:
        SHA-256, 64 hexadecimal digits.
    """
    table = table if isinstance(table, pa.Table) else pa.Table.from_pandas(table, preserve_index=False)
    digest = hashlib.sha256()
    schema = pa.schema([(field.name, _large(field.type)) for field in table.schema])
    with pa.PythonFile(_Hashing(digest), "w") as sink, pa.ipc.new_stream(sink, schema) as stream:
        # Slices of a fixed size, so that the chunks of the table do not matter.
        for start in range(0, len(table), ROWS_AT_A_TIME):
            piece = table.slice(start, ROWS_AT_A_TIME).replace_schema_metadata().cast(schema)
            stream.write_table(piece.combine_chunks())
    return digest.hexdigest()


class _Hashing:
    """A file that updates a hash with what is written to it, and keeps nothing."""

    closed = False

    def __init__(self, digest: "hashlib._Hash") -> None:
        self.digest = digest

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return len(data)

    def flush(self) -> None: ...

    def close(self) -> None: ...


def _large(kind: pa.DataType) -> pa.DataType:
    """Return the type with 64-bit offsets, so that string and large_string columns have equal hashes."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.large_list(_large(kind.value_type))
    return pa.large_string() if pa.types.is_string(kind) or pa.types.is_string_view(kind) else kind

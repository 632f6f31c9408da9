"""Formats of data files, by the ending of their names."""

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.data.csv_files import read_csv
from tasks.data.json_files import read_json
from tasks.data.packed_files import ARCHIVE, COMPRESSED, COMPRESSIONS, data_name
from tasks.data.parquet_files import read_parquet
from tasks.data.workbooks import read_workbook

Reader = Callable[..., Iterator[tuple[int, dict[str, Any]]]]
TEXT_READERS: dict[str, Reader] = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".tab": read_csv,
    ".txt": read_csv,
    ".json": read_json,
    ".jsonl": read_json,
    ".ndjson": read_json,
}
READERS: dict[str, Reader] = {**TEXT_READERS, ".parquet": read_parquet, ".xlsx": read_workbook, ".xlsm": read_workbook}
# Commands that convert other formats. {name} is the file, {stem} its name without the ending.
TO_XLSX = "soffice --headless --convert-to xlsx {name}"
PANDAS = "python -c 'import sys, pandas; pandas.{reader}(sys.argv[1]).to_parquet(sys.argv[2])' {name} {stem}.parquet"
CONVERSIONS = {
    **dict.fromkeys((".xls", ".xlsb", ".ods", ".numbers"), f"Save it as .xlsx or CSV UTF-8, or convert it: {TO_XLSX}"),
    **dict.fromkeys((".rar", ".7z", ".tar", ".tgz", ".tbz2", ".txz"), "Unpack it, and name the file: {unpack}"),
    ".bz2": "Decompress it: bunzip2 {name}",
    ".xz": "Decompress it: unxz {name}",
    ".lz4": "Decompress it: unlz4 {name}",
    **dict.fromkeys(
        (".doc", ".docx", ".odt", ".rtf", ".pdf", ".html", ".htm"),
        "Copy its table into a sheet, and save it as .xlsx or CSV UTF-8",
    ),
    ".feather": f"Convert it: {PANDAS.replace('{reader}', 'read_feather')}",
    ".orc": f"Convert it: {PANDAS.replace('{reader}', 'read_orc')}",
    ".dta": f"Convert it: {PANDAS.replace('{reader}', 'read_stata')}",
    ".sas7bdat": f"Convert it: {PANDAS.replace('{reader}', 'read_sas')}",
    ".rds": 'Convert it in R: write.csv(readRDS(file.choose()), "own.csv", row.names = FALSE)',
    **dict.fromkeys((".pkl", ".pickle"), "A pickle can run code, so none is read. Write Parquet where it comes from"),
}
UNPACK = {".rar": "unrar x {name}", ".7z": "7z x {name}"}
# What files begin with, and what they are then.
SIGNATURES = {
    b"PK\x03\x04": "a ZIP archive or a workbook",
    b"\x1f\x8b": "compressed by gzip",
    b"PAR1": "a Parquet file",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Excel or Word file",
    b"%PDF": "a PDF",
}


def find_reader(path: Path) -> Reader:
    """Return the function that reads a file.

    Raises:
        UserError: If there is no such file, or its format is unknown, with the command that converts it.
    """
    _check_exists(path)
    name = data_name(path)
    ending = Path(name).suffix.lower()
    is_packed = path.suffix.lower() in COMPRESSED
    reader = (TEXT_READERS if is_packed else READERS).get(ending)
    if reader is None:
        _raise_unknown_format(path, name, is_packed)
    if not is_packed and ending in TEXT_READERS:
        _check_signature(path)
    return reader


def allowed_files() -> str:
    """Return what a path may be, for a message."""
    packed = " or ".join(COMPRESSIONS)
    return (
        f"a path to a file that ends in {', '.join(READERS)} (text formats also with {packed} behind, or as the only "
        f"file of a {ARCHIVE})"
    )


def _check_exists(path: Path) -> None:
    try:
        if path.is_file():
            return
        folder = path.is_dir()
    except (OSError, ValueError):  # a name that no file can have: too long, or with a NUL
        folder = False
    shown = repr(str(path)[:300])
    if folder:
        names = sorted(each.name for each in path.iterdir() if each.suffix.lower() in (*READERS, *COMPRESSED))[:5]
        inside = f" It holds {', '.join(escape_terminal(each, 60) for each in names)}." if names else ""
        raise UserError(
            f"{shown} is a folder, and a file is needed.{inside} Allowed: auto, bundled, imdb, or {allowed_files()}."
        )
    hint = ""
    if ":/" in str(path):
        hint = " Addresses are not read; download the file first: curl -LO <address>."
    raise UserError(f"There is no file {shown}.{hint} Allowed: auto, bundled, imdb, or {allowed_files()}.")


def _raise_unknown_format(path: Path, name: str, is_packed: bool) -> NoReturn:
    ending = Path(name).suffix.lower()
    file = shlex.quote(escape_terminal(path.name))
    if is_packed and ending in READERS:
        command = {".gz": "gunzip {name}", ".zst": "unzstd {name}", ".zip": "unzip {name}"}[path.suffix.lower()]
        advice = f"Only text formats are read from a compressed file. Unpack it: {command.format(name=file)}"
    elif advice := CONVERSIONS.get(ending, ""):
        unpack = UNPACK.get(ending, "tar -xf {name}").format(name=file)
        advice = advice.format(name=file, stem=shlex.quote(escape_terminal(Path(name).stem)), unpack=unpack)
    inside = f" holds {name[:100]!r}, which" if is_packed and path.suffix.lower() == ".zip" else ""
    raise UserError(
        f"{str(path)[:300]!r}{inside} is in no format that is read here. {advice + '. ' if advice else ''}"
        f"Allowed: {allowed_files()}."
    )


def _check_signature(path: Path) -> None:
    """Check that a text file is not another file with a wrong name."""
    with path.open("rb") as file:
        start = file.read(8)
    for signature, kind in SIGNATURES.items():
        if start.startswith(signature):
            raise UserError(
                f"{str(path)[:300]!r} is {kind}, whatever its name says. Give it the right ending, or save it as CSV "
                "UTF-8."
            )

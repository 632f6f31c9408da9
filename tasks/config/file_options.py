"""Options that say how a data file is read."""

import codecs
import csv
import io
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

MAX_CLASSES = 100
SEPARATOR_NAMES = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " "}
# Codecs of Python that are no encodings of files.
NO_ENCODINGS = ("idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined")


def _check_separator(separator: str | None) -> str | None:
    if separator in ("\t", "\\t"):
        return "tab"  # a name, because a tab cannot be seen where options are shown
    if separator is None or separator in SEPARATOR_NAMES:
        return separator
    if len(separator) != 1 or not separator.isprintable() or separator in "\"'":
        raise ValueError(f"Give one character, such as ';', or a name: {', '.join(SEPARATOR_NAMES)}")
    return separator


def _check_encoding(encoding: str | None) -> str | None:
    if encoding is None:
        return None
    try:
        name = codecs.lookup(encoding).name
        "a".encode(name)  # fails for codecs of bytes, such as base64
    except (LookupError, ValueError):
        name = "undefined"
    if name.replace("-", "_") in NO_ENCODINGS:
        raise ValueError("Give a name that Python knows, such as utf-8, utf-16, cp1252, cp1251, gb18030 or shift_jis")
    return name


def _join(value: Any) -> Any:
    """Return a number, or a list of labels, as the text that the command line would give."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _join_quoted(value: Any) -> Any:
    """Return a list of labels as the text that the command line would give; labels with a comma are in quotes."""
    if not isinstance(value, list | tuple):
        return _join(value)
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(value)
    return text.getvalue()


def _check_classes(classes: str | None) -> str | None:
    if classes is None:
        return None
    labels = {label.strip() for label in next(csv.reader([classes], skipinitialspace=True), [])} - {""}
    if not 2 <= len(labels) <= MAX_CLASSES:
        raise ValueError(f"Name 2 to {MAX_CLASSES} different labels, separated by commas")
    return classes


TextColumn = Annotated[
    str, Field(min_length=1, description="Column of the texts in a file; with --no-header its number, from 0.")
]
LabelColumn = Annotated[
    str, Field(min_length=1, description="Column of the labels in a file; with --no-header its number, from 0.")
]
Positive = Annotated[
    str | None,
    BeforeValidator(_join),
    Field(
        description="Label of the positive class, if it is not 1, pos, positive or true; or several labels, separated "
        "by commas (4,5): all others are negative then."
    ),
]
Classes = Annotated[
    str | None,
    BeforeValidator(_join_quoted),
    Field(
        description="Labels of the classes in their order, separated by commas (a label with a comma in double "
        "quotes). Rows with other labels are left out; with two labels, the second one is positive. By default all "
        "labels: numbers in their order, others by frequency."
    ),
    AfterValidator(_check_classes),
]
Group = Annotated[
    str | None,
    Field(description="Column of a file, such as film or author. Texts with the same value are in the same split."),
]
TestData = Annotated[
    str | None, Field(min_length=1, description="File of the test reviews; --data is then the training reviews.")
]
ValidationData = Annotated[
    str | None, Field(min_length=1, description="File of the validation reviews, only together with --test-data.")
]
Separator = Annotated[
    str | None,
    Field(
        description=f"Separator of a CSV file: one character, or {', '.join(SEPARATOR_NAMES)}; by default it is found."
    ),
    AfterValidator(_check_separator),
]
Encoding = Annotated[
    str | None,
    Field(description="Encoding of a text file, such as cp1252; by default UTF-8, or what is found."),
    AfterValidator(_check_encoding),
]
Header = Annotated[bool, Field(description="Whether the first row of a CSV file or workbook names the columns.")]


class FileFormat(BaseModel):
    """How a file is read, where its content does not tell."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    separator: Separator = None
    encoding: Encoding = None
    header: Header = True

    @property
    def delimiter(self) -> str | None:
        """Return the separator as a character; None if it is to be found."""
        return SEPARATOR_NAMES.get(self.separator or "", self.separator)


class FileOptions(FileFormat):
    """The columns and labels of a file, and the files that belong to it."""

    text_column: TextColumn = "text"
    label_column: LabelColumn = "label"
    positive: Positive = None
    classes: Classes = None
    group: Group = None
    test_data: TestData = None
    validation_data: ValidationData = None

    @field_validator("classes")
    @classmethod
    def _check_positive(cls, classes: str | None, info: ValidationInfo) -> str | None:
        if classes is not None and (info.data or {}).get("positive") is not None:
            raise ValueError("Use either classes or positive")
        return classes


def file_options(parameters: BaseModel) -> dict[str, Any]:
    """Return those of the parameters that are fields of `FileOptions`, by name."""
    return {name: getattr(parameters, name) for name in FileOptions.model_fields}


def file_format(parameters: BaseModel) -> FileFormat:
    """Return those of the parameters that are fields of `FileFormat`."""
    return FileFormat(**{name: getattr(parameters, name) for name in FileFormat.model_fields})

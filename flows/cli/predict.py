"""`imdb-compare predict`: classify texts of the command line, of a file, or lines of stdin."""

import itertools
import json
import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from flows.cli.console import print_error, print_output
from flows.cli.options import PredictOptions
from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.config.file_options import FileFormat, file_format
from tasks.data.files import check_file, read_rows
from tasks.inference.predictor import Predictor, load_predictor
from tasks.inference.score_files import check_output, format_counts, score_file

BATCH_LINES = 256
SHOWN_CHARACTERS = 70


def execute(options: PredictOptions) -> None:
    """Print predictions for texts, a file or stdin, or write those for a file to another file.

    Raises:
        UserError: If the options contradict each other, or a file or a model cannot be used.
    """
    check_request(options)
    predictor = load_predictor(options)
    print_error(predictor.description)
    if options.file and options.output:
        print_output(write_predictions(predictor, options, options.file, options.output))
    elif options.texts:
        for text in options.texts:
            print_predictions(predictor, [text], options, words=options.words)
    else:
        lines = file_texts(options.file, options.text_column, file_format(options)) if options.file else stdin_lines()
        for batch in batches(lines):
            print_predictions(predictor, batch, options, words=0)


def check_request(options: PredictOptions) -> None:
    """Check the options before a model is loaded.

    Raises:
        UserError: If there is nothing to classify, or the options contradict each other.
    """
    if options.texts and options.file:
        raise UserError("Received texts and --file. Use one of them.")
    if options.output and not options.file:
        raise UserError(f"--output: received {str(options.output)!r:.300} without --file. It needs a file to classify.")
    if not options.texts and not options.file and sys.stdin.isatty():
        raise UserError('Nothing to classify. Name texts ("a wonderful film"), --file, or pipe lines to stdin.')
    if options.file:
        check_file(options.file)
        if options.output:
            check_output(options.file, options.output, (options.text_column, *options.keep))


def write_predictions(predictor: Predictor, options: PredictOptions, path: Path, output: Path) -> str:
    """Write the predictions for a file to another file, with a progress bar on a terminal; return a summary."""
    columns = (BarColumn(), TextColumn("{task.completed:,.0f} rows, {task.speed:,.0f} per s"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("", total=None)
        counts = score_file(
            predictor, path, output, text_column=options.text_column, keep=options.keep,
            file_format=file_format(options), on_rows=lambda rows: progress.update(bar, completed=rows),
        )  # fmt: skip
    return format_counts(counts, output)


def print_predictions(predictor: Predictor, texts: list[str], options: PredictOptions, *, words: int) -> None:
    """Print the predictions for some texts, each with the `words` words that influence it most."""
    for text, row in zip(texts, predictor.predict(texts).to_dict("records"), strict=True):
        influence = predictor.word_influence(text, words) if words else []
        format_prediction = format_json if options.as_json else format_text
        print_output(format_prediction(text, row, influence, predictor.classes))


def format_json(
    text: str, row: Mapping[Hashable, Any], influence: list[tuple[str, float]], classes: Sequence[str]
) -> str:
    """Format a prediction as one line of JSON.

    Args:
        text: The text.
        row: Its columns, see `Predictor.predict`.
        influence: Words, and the change of the probability by each.
        classes: Names of the classes.
    """
    values = {name: row[name] for name in ("label", "probability", "unknown")}
    probabilities = {"probabilities": class_probabilities(row, classes)}
    words = {"words": [{"word": word, "influence": change} for word, change in influence]} if influence else {}
    return json.dumps({"text": text, **values, **probabilities, **words})


def class_probabilities(row: Mapping[Hashable, Any], classes: Sequence[str]) -> dict[str, float]:
    """Return the probability of each class by its name."""
    if len(classes) == 2:
        return dict(zip(classes, (1 - row["probability"], row["probability"]), strict=True))
    return {name: row[f"probability_{name}"] for name in classes}


def format_text(
    text: str, row: Mapping[Hashable, Any], influence: list[tuple[str, float]], classes: Sequence[str]
) -> str:
    """Format a prediction for a person; the arguments are those of `format_json`."""
    shown = escape_terminal(text, SHOWN_CHARACTERS)
    changes = (f"{escape_terminal(word, SHOWN_CHARACTERS)} {change:+z.3f}" for word, change in influence)
    words = f"\n    most influential words: {', '.join(changes)}" if influence else ""
    unknown = f"\n    unknown: {row['unknown']:.0%} of the words" if row["unknown"] else ""
    shown_class = classes[1] if len(classes) == 2 else row["label"]
    probability = f"P({escape_terminal(shown_class)}) = {row['probability']:.3f}"
    return f"{escape_terminal(row['label'])}  {probability}  {shown}{words}{unknown}"


def batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yield texts in batches: a network classifies many at once, and no line waits for long."""
    iterator = iter(texts)
    while batch := list(itertools.islice(iterator, BATCH_LINES)):
        yield batch


def file_texts(path: Path, text_column: str, reading: FileFormat) -> Iterator[str]:
    """Yield the texts of a file; a missing text is classified like an empty one."""
    for rows in read_rows(path, [text_column], BATCH_LINES, reading):
        yield from (str(row[text_column] or "") for row in rows)


def stdin_lines() -> Iterator[str]:
    """Yield the lines of stdin; bytes that are not UTF-8 become U+FFFD."""
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", "replace").rstrip("\r\n")

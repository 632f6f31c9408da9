"""From words on the command line to answers: to texts, a file, or lines on standard input."""

import argparse
import itertools
import json
import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from flows.cli.arguments import arguments_of
from flows.cli.run import Parser, complain, say
from tasks.config import parameters as p
from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.inference import selection
from tasks.inference.selection import Wanted

if TYPE_CHECKING:
    from tasks.inference.predictor import Predictor

Answer = Mapping[Hashable, Any]  # label, probability, unknown

LINES_AT_A_TIME = 256
LETTERS_SHOWN = 70

Words = Annotated[int, Field(ge=0, le=100, description="Words to show that moved the answer to a text most.")]
AsJson = Annotated[bool, Field(alias="json", description="Print one JSON object for each text.")]


class Asked(Wanted):
    """Answer texts with a trained model of a run: label, calibrated probability, and the words that moved it most."""

    file: Annotated[Path | None, selection.FILE] = None
    output: Annotated[Path | None, selection.OUTPUT] = None
    text_column: p.TextColumn = "text"
    keep: selection.Keep = ()
    words: Words = 3
    as_json: AsJson = False


def main(arguments: Sequence[str]) -> int:
    """Answer what the command line asks for.

    Returns:
        The exit code: 0 answered, 1 a stored file is gone or damaged, 2 a mistake of the user's, 130 interrupted.
    """
    from tasks.storage.store import DamagedFileError

    try:
        answer(*parsed(arguments))
    except UserError as mistake:
        complain(mistake)
        return 2
    except (DamagedFileError, FileNotFoundError) as error:
        complain(f"{escape_terminal(error)}. The command that made the run makes it again.")
        return 1
    except BrokenPipeError:  # the reader (`| head`) has seen enough
        sys.stdout = None  # or Python complains when it flushes at its end
    except KeyboardInterrupt:
        complain("Interrupted.")
        return 130
    return 0


def parsed(arguments: Sequence[str]) -> tuple[list[str], Asked]:
    """Read the command line: texts as they are (with commas, line breaks), options by the model.

    Raises:
        UserError: If a value is not allowed. Unknown options end the program with exit code 2, `--help` with 0.
    """
    parser = Parser("python -m flows.predict", description=Asked.__doc__)
    parser.add_argument("texts", nargs="*", help="texts to answer; without any, and without --file, lines of stdin")
    for name, field in Asked.model_fields.items():
        option = f"--{(field.alias or name).replace('_', '-')}"
        how: dict[str, Any] = {"action": "store_true"} if field.annotation is bool else {}
        shown = "" if field.default in (None, False, ()) else f" (default: {field.default})"
        parser.add_argument(option, default=argparse.SUPPRESS, help=f"{field.description}{shown}", **how)
    given = vars(arguments_of(parser, arguments))
    texts = given.pop("texts")
    if "keep" in given:
        given["keep"] = given["keep"].split(",")
    return texts, p.checked(Asked, given)


def answer(texts: list[str], asked: Asked) -> None:
    """Answer texts, a file or standard input on the screen, or a file in another.

    Raises:
        UserError: If something cannot be answered, before a model is loaded where that can be seen.
    """
    check(texts, asked)
    from tasks.inference.predictor import load_predictor

    predictor = load_predictor(asked, complain)
    if asked.file and asked.output:
        say(scored(predictor, asked, asked.file, asked.output))
        return
    for text in texts:
        show(predictor, [text], asked)
    if texts:
        return
    for lines in batches(file_texts(asked.file, asked.text_column) if asked.file else stdin_texts()):
        show(predictor, lines, asked, explained=False)


def check(texts: list[str], asked: Asked) -> None:
    """Refuse what cannot be answered, before a model is loaded.

    Raises:
        UserError: Saying what is allowed.
    """
    if texts and asked.file:
        raise UserError("Received texts and --file. Give one of them.")
    if asked.output and not asked.file:
        raise UserError(f"output: received {str(asked.output)!r:.300}, but no --file, whose answers would go there.")
    if not texts and not asked.file and sys.stdin.isatty():
        raise UserError('Nothing to answer. Give texts ("a wonderful film"), --file, or lines on standard input.')
    if asked.file:
        from tasks.data.files import check_file
        from tasks.inference.score_files import check_output

        check_file(asked.file)
        if asked.output:
            check_output(asked.file, asked.output, (asked.text_column, *asked.keep))


def scored(predictor: "Predictor", asked: Asked, path: Path, output: Path) -> str:
    """Answer a file in another, with a bar of progress on a terminal, and say what came out."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from tasks.inference.score_files import said, score_file

    columns = (BarColumn(), TextColumn("{task.completed:,.0f} rows, {task.speed:,.0f} a second"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        running = bar.add_task("", total=None)
        counts = score_file(
            predictor, path, output, text_column=asked.text_column, keep=asked.keep,
            on_rows=lambda rows: bar.update(running, completed=rows),
        )  # fmt: skip
    return said(counts, output)


def show(predictor: "Predictor", texts: list[str], asked: Asked, *, explained: bool = True) -> None:
    """Print the answers to some texts, each with the words that moved it where that is asked for."""
    for text, row in zip(texts, predictor.predict(texts).to_dict("records"), strict=True):
        moved = predictor.moved(text, asked.words) if explained and asked.words else []
        say(as_json(text, row, moved) if asked.as_json else in_words(text, row, moved))


def as_json(text: str, row: Answer, moved: list[tuple[str, float]]) -> str:
    """Write an answer as one line of JSON."""
    words = {"words": [{"word": word, "moved": move} for word, move in moved]} if moved else {}
    return json.dumps({"text": text, **{str(name): value for name, value in row.items()}, **words})


def in_words(text: str, row: Answer, moved: list[tuple[str, float]]) -> str:
    """Write an answer for a person: label, probability of the positive class, and the text's beginning."""
    shown = escape_terminal(text, LETTERS_SHOWN)
    parts = (f"{escape_terminal(word, LETTERS_SHOWN)} {move:+.3f}" for word, move in moved)
    words = f"\n    moved most: {', '.join(parts)}" if moved else ""
    unknown = f"\n    unknown: {row['unknown']:.0%} of the words" if row["unknown"] else ""
    return f"{escape_terminal(row['label'])}  {row['probability']:.3f}  {shown}{words}{unknown}"


def batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """Group texts, so that many are answered at once and none waits for long."""
    several = iter(texts)
    while some := list(itertools.islice(several, LINES_AT_A_TIME)):
        yield some


def file_texts(path: Path, text_column: str) -> Iterator[str]:
    """Read the texts of the file; a blank one is answered like any other."""
    from tasks.data.files import read_rows

    for rows in read_rows(path, [text_column], LINES_AT_A_TIME):
        yield from (str(row[text_column] or "") for row in rows)


def stdin_texts() -> Iterator[str]:
    """Read the lines of standard input as UTF-8; what is none becomes U+FFFD."""
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", "replace").rstrip("\r\n")

"""Read a command line into a settings model: one option for each field, with help and shell completion."""

import argparse
import difflib
import inspect
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from flows.cli.console import print_output
from tasks.config.errors import UserError
from tasks.config.user_values import validate_user_values

Model = TypeVar("Model", bound=BaseModel)
Value = TypeVar("Value")

PROGRAM = "imdb-compare"
SIMILAR = 0.8  # similarity from which an option is taken for a typing error, although another subcommand has it
POSITIONAL = "positional argument"
# A field that is an argument rather than an option: `before: Positional[str]`.
Positional = Annotated[Value, POSITIONAL]
METAVARS: dict[Any, str] = {int: "N", float: "X", str: "TEXT", Path: "PATH", date: "YYYY-MM-DD"}


@dataclass(frozen=True)
class Command:
    """A subcommand.

    Attributes:
        options: Its options; the first line of the docstring is the subcommand's summary.
        module: Holds `execute(options)`, and is imported only when the subcommand is executed.
        examples: Command lines shown by `--help`.
    """

    options: type[BaseModel]
    module: str
    examples: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """Return the first line of the options' docstring."""
        return self.description.partition("\n")[0]

    @property
    def description(self) -> str:
        """Return the options' docstring."""
        return inspect.cleandoc(self.options.__doc__ or "")


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are user errors of one line, and whose help is escaped."""

    def error(self, message: str) -> NoReturn:
        """Raise a UserError."""
        raise UserError(f"{message[:1].upper()}{message[1:]}. See: {self.prog} --help")

    def print_help(self, file: Any = None) -> None:
        """Print the help on stdout."""
        print_output(self.format_help().rstrip()) if file is None else super().print_help(file)


def read_command_line(commands: Mapping[str, Command], arguments: Sequence[str], epilog: str) -> tuple[str, BaseModel]:
    """Return the subcommand's name and its options. `--help` ends the program with exit code 0.

    Args:
        commands: Every subcommand by its name.
        arguments: The words behind the program's name.
        epilog: Text at the end of the program's help.

    Raises:
        UserError: If a word or a value is not allowed.
    """
    parser = build_parser(commands, epilog)
    if "_ARGCOMPLETE" in os.environ:  # the shell asks how the word under the cursor may go on
        import argcomplete

        argcomplete.autocomplete(parser)
    name, received = (arguments[0], f"{arguments[0]!r:.120}") if arguments else ("", "nothing")
    if name in ("-h", "--help"):
        parser.parse_args([name])
    if name not in commands:
        raise UserError(f"Subcommand: received {received}. Choose from: {', '.join(commands)}. See: {PROGRAM} --help")
    others = {other: each.options for other, each in commands.items() if other != name}
    return name, _parse(parser, commands[name].options, arguments, others)


def read_options(model: type[Model], arguments: Sequence[str]) -> Model:
    """Return a model's fields as given by options, such as `--max-tokens 200`.

    Raises:
        UserError: If a word or a value is not allowed.
    """
    return _parse(_add_arguments(Parser(PROGRAM, allow_abbrev=False), model), model, arguments)


def build_parser(commands: Mapping[str, Command], epilog: str) -> Parser:
    """Return the program's parser, with a parser for each subcommand."""
    layout = argparse.RawDescriptionHelpFormatter
    description = "Compare sequence classifiers with several seeds, and use the trained models."
    parser = Parser(PROGRAM, description=description, epilog=epilog, formatter_class=layout, allow_abbrev=False)
    subparsers = parser.add_subparsers(title="subcommands", metavar="SUBCOMMAND")
    for name, command in commands.items():
        examples = "\n  ".join(["examples:", *command.examples])
        _add_arguments(
            subparsers.add_parser(
                name, help=command.summary, description=command.description, epilog=examples,
                formatter_class=layout, allow_abbrev=False,
            ),
            command.options,
        )  # fmt: skip
    return parser


def option_names(model: type[BaseModel], arguments: Sequence[str] = ()) -> dict[str, str]:
    """Return how each field of a model is named on the command line: as it was typed, else with dashes."""
    fields = {name: field.alias or name for name, field in model.model_fields.items()}
    names = {
        key: key.upper() if POSITIONAL in model.model_fields[name].metadata else f"--{key.replace('_', '-')}"
        for name, key in fields.items()
    }
    return names | _normalize(arguments, dict(_option_strings(model)))[1]


def _parse(
    parser: Parser, model: type[Model], arguments: Sequence[str], others: Mapping[str, type[BaseModel]] | None = None
) -> Model:
    known = dict(_option_strings(model))
    words, _ = _normalize(arguments, known)
    given, unknown = parser.parse_known_args(words)
    if unknown:
        raise UserError(_unknown(unknown, [*known, "--help"], others or {}))
    return validate_user_values(model, vars(given), option_names(model, arguments))


def _normalize(arguments: Sequence[str], known: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Write the options among the arguments with dashes.

    Returns:
        The arguments, and by the name of each field that was given the option as it was typed.
    """
    words, typed = list(arguments), {}
    end = words.index("--") if "--" in words else len(words)  # what follows is text
    for index, word in enumerate(words[:end]):
        option, equals, value = word.partition("=")
        dashed = option.replace("_", "-")
        if dashed in known:
            words[index] = f"{dashed}{equals}{value}"
            typed[known[dashed]] = option
    return words, typed


def _option_strings(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Yield each option of a model, with the name (or alias) of its field."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        if POSITIONAL not in field.metadata:
            yield f"--{key.replace('_', '-')}", key
            if field.annotation is bool:
                yield f"--no-{key.replace('_', '-')}", key


def _unknown(words: Sequence[str], known: Iterable[str], others: Mapping[str, type[BaseModel]]) -> str:
    option = words[0].partition("=")[0].replace("_", "-")
    shown = ", ".join(repr(word)[:120] for word in words[:5]) + (", …" if len(words) > 5 else "")
    elsewhere = [name for name, model in others.items() if option in dict(_option_strings(model))]
    close = difflib.get_close_matches(option, list(known), n=1, cutoff=SIMILAR if elsewhere else 0.6)
    if close:
        advice = f"Did you mean {close[0]}?"
    elif elsewhere:
        advice = f"It is an option of {', '.join(elsewhere)}; leave it out here."
    else:
        advice = "Options are listed by --help; text that begins with - follows --."
    return f"Unknown argument: received {shown}. {advice}"


def _add_arguments(parser: argparse.ArgumentParser, model: type[BaseModel]) -> Any:
    """Add an argument for each field, and return the parser. Fields that are not given are not in the result."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        shared: dict[str, Any] = {"default": argparse.SUPPRESS, "help": _help(field)}
        if POSITIONAL in field.metadata:
            several = get_origin(field.annotation) is tuple
            parser.add_argument(key, metavar=key.upper(), nargs="*" if several else None, **shared)
            continue
        option = f"--{key.replace('_', '-')}"
        action = parser.add_argument(option, dest=key, required=field.is_required(), **_kind(field), **shared)
        if choices := _choices(field):
            action.completer = lambda choices=choices, **_: choices  # type: ignore[attr-defined]
    return parser


def _help(field: FieldInfo) -> str:
    default = field.default
    if isinstance(default, tuple):
        default = ",".join(map(str, default))
    known = default is not None and default is not False and default != "" and not field.is_required()
    return f"{field.description}{f' (default: {default})' if known else ''}".replace("%", "%%")


def _kind(field: FieldInfo) -> dict[str, Any]:
    if field.annotation is bool:
        return {"action": argparse.BooleanOptionalAction}
    if get_origin(field.annotation) is tuple:  # comma between, or the option several times
        return {"action": "extend", "type": _split, "metavar": "A,B,…"}
    if choices := _choices(field):
        return {"metavar": f"{{{','.join(choices)}}}"}
    kinds = [field.annotation, *get_args(field.annotation)]
    return {"metavar": next((METAVARS[kind] for kind in kinds if kind in METAVARS), "TEXT")}


def _choices(field: FieldInfo) -> tuple[str, ...]:
    return get_args(field.annotation) if get_origin(field.annotation) is Literal else ()


def _split(value: str) -> list[str]:
    return re.split(r",\s*", value)

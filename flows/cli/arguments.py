"""Parse command-line options into settings models, with shell completion."""

import argparse
import os
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, CliApp, CliSettingsSource, SettingsConfigDict

from tasks.config.errors import (
    UserError,
)
from tasks.config.parameters import mistakes

Model = TypeVar("Model", bound=BaseModel)
# What --quick stands for, where an option does not say otherwise: a real answer, but a small and an unsure one.
QUICK = {"--architectures": "simple_rnn,lstm", "--seeds": "2", "--train-fractions": "0.25"}


def parse(model: type[Model], arguments: Sequence[str], program: str) -> Model:
    """Read a model's fields from command-line options (`--max-tokens 200`); only options count, never the environment.

    Raises:
        UserError: If a value is not allowed. Unknown options end the program with exit code 2, `--help` with 0.
    """

    class Options(BaseSettings, model):  # type: ignore[misc, valid-type]
        __doc__ = model.__doc__
        model_config = SettingsConfigDict(
            cli_prog_name=f"python -m {program}",
            cli_kebab_case=True,
            cli_hide_none_type=True,
            cli_avoid_json=True,
            cli_implicit_flags=True,
        )

        @classmethod
        def settings_customise_sources(cls, _: Any, init_settings: Any, *__: Any, **___: Any) -> Any:  # type: ignore[override]
            return (init_settings,)

    for word in arguments:
        if not word.isprintable():
            raise UserError(f"{word!r:.120} holds control characters (a line break, say). Leave them out.")
    words = [word.replace("_", "-") if word.startswith("--") and "=" not in word else word for word in arguments]
    words = in_full(words)
    try:
        source: Any = CliSettingsSource(Options, parse_args_method=arguments_of)
        options = CliApp.run(Options, cli_args=words, cli_settings_source=source)
        return model(**{name: getattr(options, name) for name in model.model_fields})
    except ValidationError as error:
        raise mistakes(error) from None


def arguments_of(
    parser: argparse.ArgumentParser, words: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
) -> argparse.Namespace:
    """Parse the command line; if it is the shell that asks (somebody pressed Tab), tell it what may come, and end."""
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)
    return parser.parse_args(words, namespace)


def in_full(words: Sequence[str]) -> list[str]:
    """Write out what --quick stands for; options that are given count before it."""
    if "--quick" not in words:
        return list(words)
    given = {word.partition("=")[0] for word in words}
    added = [word for option, value in QUICK.items() if option not in given for word in (option, value)]
    return [*(word for word in words if word != "--quick"), *added]

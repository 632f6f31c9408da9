"""From words on the command line to a run: parameters checked, a server found, mistakes in one message."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict

from tasks.errors import CellsFailedError, UserError
from tasks.parameters import mistakes

Model = TypeVar("Model", bound=BaseModel)


def parse(model: type[Model], arguments: Sequence[str], program: str) -> Model:
    """Read a model's fields from command-line options (`--max-tokens 200`); only options count, never the environment.

    Raises:
        UserError: If a value is not allowed. Unknown options end the program with exit code 2, `--help` with 0.
    """

    class Options(BaseSettings, model):  # type: ignore[misc, valid-type]
        __doc__ = model.__doc__
        model_config = SettingsConfigDict(
            cli_prog_name=f"python -m {program}", cli_kebab_case=True, cli_hide_none_type=True, cli_avoid_json=True
        )

        @classmethod
        def settings_customise_sources(cls, _: Any, init_settings: Any, *__: Any, **___: Any) -> Any:  # type: ignore[override]
            return (init_settings,)

    for word in arguments:
        if not word.isprintable():
            raise UserError(f"{word!r:.120} holds control characters (a line break, say). Leave them out.")
    words = [word.replace("_", "-") if word.startswith("--") and "=" not in word else word for word in arguments]
    try:
        options = CliApp.run(Options, cli_args=words)
        return model(**{name: getattr(options, name) for name in model.model_fields})
    except ValidationError as error:
        raise mistakes(error) from None


def main(arguments: Sequence[str]) -> int:
    """Run the comparison that the command line asks for.

    Returns:
        The exit code: 0 finished, 1 failed, 2 a mistake of the user's, 130 interrupted.
    """
    from flows.server import any_server
    from tasks.parameters import Parameters
    from tasks.reviews import check_source

    try:
        parameters = parse(Parameters, arguments, "flows.imdb_compare")
        check_source(parameters.data)
        with any_server(meanwhile=lambda: import_module("flows.imdb_compare")):
            summary = import_module("flows.imdb_compare").imdb_compare(**parameters.model_dump())
    except UserError as mistake:
        print(mistake, file=sys.stderr)
        return 2
    except CellsFailedError as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. What is trained is kept: the same command goes on from there.", file=sys.stderr)
        return 130
    print(summary)
    return 0

"""Validation of values that a user gives: all problems in one message."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tasks.config.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


def validate_user_values(
    model: type[Model], values: Mapping[str, Any], names: Mapping[str, str] | None = None
) -> Model:
    """Return a model with values of the user.

    Args:
        model: The model.
        values: The values of its fields.
        names: Names of fields in messages, such as the option on the command line; by default their own names.

    Raises:
        UserError: If values are not allowed, with all of them.
    """
    try:
        return model(**values)
    except ValidationError as error:
        raise as_user_error(error, names or {}) from None


def as_user_error(error: ValidationError, names: Mapping[str, str]) -> UserError:
    """Return one error with all problems of a validation: what was received, and what is allowed.

    Args:
        error: The error of pydantic.
        names: Names of fields in the message; by default their own names.
    """
    lines = []
    wrong_inside = {problem["loc"][0] for problem in error.errors() if len(problem["loc"]) > 1}
    for problem in error.errors():
        if problem["type"] == "too_short" and problem["loc"][0] in wrong_inside:
            continue  # pydantic does not count the wrong items, which are reported themselves
        field = ".".join(str(part) for part in problem["loc"])
        name = names.get(field.partition(".")[0], field)
        lines.append(f"{name}: received {problem['input']!r:.120}. {problem['msg'].removeprefix('Value error, ')}.")
    return UserError("\n".join(lines))

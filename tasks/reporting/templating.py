"""Environment of the report templates."""

from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"


def template_environment(escape: Callable[[object], str]) -> Environment:
    """Return the environment of the templates.

    Args:
        escape: Escapes every value that a template prints, except `Markup`.
    """
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,  # so that macros return Markup
        finalize=lambda value: value if isinstance(value, Markup) else Markup(escape(value)),  # noqa: S704
    )

"""Templates of the reports."""

from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"


def environment(escape: Callable[[object], str]) -> Environment:
    """Open the templates, whose values `escape` writes; `Markup` is written as it is."""
    from jinja2 import Environment

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,  # so that macros return Markup, too
        finalize=lambda value: value if isinstance(value, Markup) else Markup(escape(value)),  # noqa: S704
    )

"""Render a report as Markdown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tasks.config.escape import escape_markdown
from tasks.figures.picture import Picture
from tasks.reporting.model import Report
from tasks.reporting.templating import environment

if TYPE_CHECKING:
    pass


def render_markdown(report: Report, address: Callable[[Picture], str]) -> str:
    """Render the report as Markdown, texts escaped.

    Args:
        report: What to say.
        address: Where a picture is: `inlined`, or `linked` for a file beside the report.
    """
    from markupsafe import Markup

    pictures = [{"title": p.title, "caption": p.caption, "uri": address(p)} for p in report.pictures]
    page = environment(escape_markdown)
    return page.get_template("report.md.j2").render(**report.said, pictures=pictures, raw=Markup)

"""Render a report as Markdown."""

from collections.abc import Callable

from markupsafe import Markup

from tasks.config.escape import escape_markdown
from tasks.figures.rendered_figure import RenderedFigure
from tasks.reporting.model import Report
from tasks.reporting.templating import template_environment


def render_markdown(report: Report, uri: Callable[[RenderedFigure], str]) -> str:
    """Render a report as Markdown with all texts escaped.

    Args:
        report: The report.
        uri: Returns the address of a figure: `thumbnail_uri`, or `file_uri` for a file next to the report.
    """
    figures = [{"title": figure.title, "caption": figure.caption, "uri": uri(figure)} for figure in report.figures]
    template = template_environment(escape_markdown).get_template("report.md.j2")
    return template.render(report=report.content, figures=figures, raw=Markup)

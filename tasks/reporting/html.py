"""Render a report as HTML."""

import base64
import hashlib

from markupsafe import Markup

from tasks.config.escape import escape_html
from tasks.reporting.figure_links import embed_figures
from tasks.reporting.model import Report
from tasks.reporting.templating import TEMPLATES, template_environment


def source_hash(text: str) -> str:
    """Return the hash source of an inline script or style for a Content-Security-Policy (W3C, CSP level 3)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def render_html(report: Report) -> str:
    """Render a self-contained page: figures, style and script are inline, and all texts are escaped."""
    figures = [
        {"title": figure.title, "caption": figure.caption, "uri": uri}
        for figure, uri in zip(report.figures, embed_figures(report.figures), strict=True)
    ]
    # Not escaped: both are files of this package, and their hashes in the policy cover exactly these bytes.
    inline = {name: Markup((TEMPLATES / file).read_text("utf-8")) for name, file in  # noqa: S704
              (("style", "report.css"), ("script", "report.js"))}  # fmt: skip
    environment = template_environment(escape_html)
    environment.filters["source_hash"] = source_hash
    return environment.get_template("report.html.j2").render(report=report.content, figures=figures, **inline)

"""Render a report as HTML."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from tasks.config.escape import escape_html
from tasks.reporting.figure_links import addresses
from tasks.reporting.model import Report
from tasks.reporting.templating import TEMPLATES, environment

if TYPE_CHECKING:
    pass


OWN = {"style": "css", "script": "js"}


def source_hash(text: str) -> str:
    """Name a script or style as a Content-Security-Policy does that allows this one and no other (W3C, CSP level 3)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def render_html(report: Report) -> str:
    """Render a page that needs nothing but itself: pictures, style and script inlined, texts escaped."""
    from markupsafe import Markup

    pictures = [
        {"title": picture.title, "caption": picture.caption, "uri": uri}
        for picture, uri in zip(report.pictures, addresses(report.pictures), strict=True)
    ]
    # Ours, and letter for letter what the policy's hashes are of.
    own = {name: Markup((TEMPLATES / f"report.{end}").read_text("utf-8")) for name, end in OWN.items()}  # noqa: S704
    pages = environment(escape_html)
    pages.filters["source_hash"] = source_hash
    return pages.get_template("report.html.j2").render(**report.said, **own, pictures=pictures)

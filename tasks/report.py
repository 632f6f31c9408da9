"""The report: from frames, facts and pictures to one HTML page and to Markdown, every text of a user's escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tasks.appearance import in_order, label
from tasks.escape import escape_html, escape_markdown
from tasks.evaluation import CLASSES
from tasks.export import NOT_KNOWN
from tasks.report_tables import best_in_words, class_table, gap_table, number, plain_table, summary_table

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
# A vector picture is sharp at any size; above this many bytes the page is better off with pixels.
LARGEST_SVG = 300_000
# Of all pictures together, as written into the page: with its tables it stays below 5 MB.
MOST_OF_PICTURES = 3_500_000
OWN = {"style": "css", "script": "js"}
SUMMARY_NOTE = (
    "Mean ± standard deviation over the seeds{interval}; one seed shows no spread. The order, and the best, are by "
    "validation accuracy: the test reviews only report. Log-loss is better when lower. Training time is of one seed."
)


@dataclass(frozen=True)
class Picture:
    """A figure as the report takes it: name of its files, title, how to read it, its bytes, and fewer of them."""

    name: str
    title: str
    caption: str
    png: bytes
    svg: bytes = b""
    small: bytes = b""


@dataclass(frozen=True)
class Report:
    """All that a report is made of.

    Attributes:
        facts: `source` (a sentence: which reviews), `rows` (split to number of reviews), `fingerprint`, `caveats`
            (sentences), `settings`, `versions`, `hardware` (name to value each), `command`, `run_name`, `started`,
            `seconds`. What is missing is said to be not known.
        frames: history, predictions, scores, cells; where they exist, `summary` (architecture, split, metric, low,
            high: intervals) and others.
        pictures: In the order in which to show them.
        verdict: Sentences; none before statistics exist.
        tables: Further tables by title, shown as they are, numbers rounded.
    """

    facts: Mapping[str, Any]
    frames: Mapping[str, pd.DataFrame]
    pictures: Sequence[Picture] = ()
    verdict: Sequence[str] = ()
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @cached_property
    def said(self) -> dict[str, Any]:
        """What every form of the report says, gathered once."""
        return contents(self)


def contents(report: Report) -> dict[str, Any]:
    """Gather what both kinds of report say, as words and tables."""
    frames, facts = report.frames, report.facts
    known = {key: facts.get(key, NOT_KNOWN) for key in ("source", "fingerprint", "command", "run_name", "started")}
    summary = summary_table(frames)
    sections = []
    if len(frames.get("predictions", ())):
        note = "On the test reviews, the mean of the seeds."
        sections.append(
            {
                "title": "Class by class",
                "note": note,
                "table": class_table(frames["predictions"], facts.get("classes", tuple(CLASSES.values()))),
            }
        )
    if len(frames.get("history", ())):
        note = "At the epoch whose weights are kept. A large gap: the training reviews were learned by heart."
        gap = gap_table(frames["history"], frames["cells"])
        sections.append({"title": "Training against validation", "note": note, "table": gap})
    sections += [{"title": title, "note": "", "table": plain_table(frame)} for title, frame in report.tables.items()]
    return {
        "facts": {**known, "caveats": facts.get("caveats", ())},
        "rows": " ".join(
            f"{label(split)}: {number(rows, 0)} reviews." for split, rows in facts.get("rows", {}).items()
        ),
        "verdict": report.verdict,
        "best_sentence": best_in_words(frames),
        "best": summary.rows[0][0] if summary.rows else None,
        "summary": summary,
        "summary_note": SUMMARY_NOTE.format(interval=" [95% interval]" if "summary" in frames else ""),
        "sections": sections,
        "architectures": list(dict.fromkeys(map(label, in_order(frames["cells"]["architecture"])))),
        "took": f"{number(facts.get('seconds'), 0)} seconds",
        "seeds": ", ".join(str(seed) for seed in sorted(frames["cells"]["seed"].unique())),
        "details": [(label(part), facts.get(part, {})) for part in ("settings", "versions", "hardware")],
    }


def data_uri(content: bytes, kind: str) -> str:
    """Write bytes as a `data:` address; kind is `png` or `svg+xml`."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def sharpest(picture: Picture) -> str:
    """Put a picture into the page as it is sharp, as a vector picture where that is small enough."""
    vector = 0 < len(picture.svg) <= LARGEST_SVG
    return data_uri(picture.svg, "svg+xml") if vector else data_uri(picture.png, "png")


def addresses(pictures: Sequence[Picture]) -> list[str]:
    """Put pictures into the page, all of them in their small form where the sharp ones are too many bytes."""
    sharp = [sharpest(picture) for picture in pictures]
    return sharp if sum(map(len, sharp)) <= MOST_OF_PICTURES else [inlined(picture) for picture in pictures]


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


def inlined(picture: Picture) -> str:
    """Put the picture's pixels into the text itself, few of them where there is a small form."""
    return data_uri(picture.small or picture.png, "png")


def linked(picture: Picture) -> str:
    """Point to the picture's file beside the report."""
    return f"figures/{picture.name}.png"


def environment(escape: Callable[[object], str]) -> Environment:
    """Open the templates, whose values `escape` writes; `Markup` is written as it is."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,  # so that macros return Markup, too
        finalize=lambda value: value if isinstance(value, Markup) else Markup(escape(value)),  # noqa: S704
    )

"""The report: from frames, facts and pictures to one HTML page and to Markdown, every text of a user's escaped."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tasks.appearance import in_order, label
from tasks.evaluation import classification_reports, generalisation_gaps, rank_by_validation
from tasks.export import NOT_KNOWN, escape_markdown

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
# A vector picture is sharp at any size; above this many bytes the page is better off with pixels.
LARGEST_SVG = 300_000
SUMMARY_NOTE = (
    "Mean ± standard deviation over the seeds{interval}; one seed shows no spread. The order, and the best, are by "
    "validation accuracy: the test reviews only report. Log-loss is better when lower. Training time is of one seed."
)


@dataclass(frozen=True)
class Picture:
    """A figure as the report takes it: name of its files, title, how to read it, and its bytes."""

    name: str
    title: str
    caption: str
    png: bytes
    svg: bytes = b""


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


@dataclass(frozen=True)
class Grid:
    """A table in words: head and rows."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def number(value: object, digits: int = 2, factor: float = 1.0) -> str:
    """Write a number with its thousands apart, and a missing one in words."""
    if value is None or not isinstance(value, (int, float)) or not math.isfinite(value):
        return NOT_KNOWN
    return f"{factor * value:,.{digits}f}"


def over_seeds(values: pd.Series, interval: pd.DataFrame | None, digits: int, factor: float) -> str:
    """Write mean ± standard deviation [interval] of one metric over its seeds."""
    known = values.dropna()
    if known.empty:
        return NOT_KNOWN
    words = number(float(known.mean()), digits, factor)
    if len(known) > 1:
        words += f" ± {number(float(known.std()), digits, factor)}"
    if interval is not None and len(interval):
        low, high = (number(float(interval[end].iloc[0]), digits, factor) for end in ("low", "high"))
        words += f"\n[{low}, {high}]"  # a line of its own, or the table would be wider than a page
    return words


def seeds_in_words(cells: pd.DataFrame) -> str:
    """Say how many seeds finished, and how many diverged."""
    finished = int((cells["status"] == "finished").sum())
    return str(finished) if finished == len(cells) else f"{finished} of {len(cells)} ({len(cells) - finished} diverged)"


def summary_table(frames: Mapping[str, pd.DataFrame]) -> Grid:
    """Summarise each architecture in one row, best validation accuracy first, those without a score last."""
    scores, cells, intervals = frames["scores"], frames["cells"], frames.get("summary")
    ranked = list(rank_by_validation(scores, cells)["architecture"])
    columns = [("test", "accuracy", 2, 100), ("test", "f1", 2, 100), ("test", "auc", 2, 100),
               ("test", "log_loss", 3, 1), ("validation", "accuracy", 2, 100)]  # fmt: skip
    rows = []
    for name in [*ranked, *in_order(set(cells["architecture"]) - set(ranked))]:
        own, mine = scores[scores["architecture"] == name], cells[cells["architecture"] == name]
        row = [label(name), seeds_in_words(mine)]
        for split, metric, digits, factor in columns:
            chosen = own[(own["split"] == split) & (own["metric"] == metric)]["value"]
            interval = None
            if intervals is not None and split == "test":
                interval = intervals.query("architecture == @name and split == @split and metric == @metric")
            row.append(over_seeds(chosen, interval, digits, factor))
        parameters, seconds = float(mine["parameters"].max()), float(mine["train_seconds"].mean())
        rows.append([*row, number(parameters, 0), number(seconds, 1)])
    head = ["Architecture", "Seeds", "Test accuracy (%)", "Test F1 (%)", "Test AUC (%)", "Test log-loss",
            "Validation accuracy (%)", "Parameters", "Training (s)"]  # fmt: skip
    return Grid(head, rows)


def best_in_words(frames: Mapping[str, pd.DataFrame]) -> str:
    """Say which architecture is best by validation, and by how much; what that is worth is the verdict's to say."""
    ranking = rank_by_validation(frames["scores"], frames["cells"])
    if ranking.empty:
        return "No architecture has a validation score, so none can be called the best."
    first = ranking.iloc[0]
    words = f"Best by validation: {label(first['architecture'])}, mean accuracy {100 * first['mean']:.2f}%"
    if len(ranking) == 1:
        return f"{words}; nothing was there to compare it with."
    second = ranking.iloc[1]
    margin = 100 * (first["mean"] - second["mean"])
    return (
        f"{words}, {margin:.2f} points above the next, {label(second['architecture'])} ({100 * second['mean']:.2f}%)."
    )


def class_table(predictions: pd.DataFrame) -> Grid:
    """Tabulate precision, recall and F1 of each class on the test reviews, the mean over the seeds."""
    reports = classification_reports(predictions[predictions["split"] == "test"])
    means = reports.groupby(["architecture", "class"], sort=False)[["precision", "recall", "f1", "support"]].mean()
    rows = [
        [
            label(name),
            str(kind),
            *(number(100 * float(row[m])) for m in ("precision", "recall", "f1")),
            number(row["support"], 0),
        ]
        for name in in_order(reports["architecture"])
        for kind, row in means.loc[name].iterrows()
    ]
    return Grid(["Architecture", "Class", "Precision (%)", "Recall (%)", "F1 (%)", "Reviews"], rows)


def gap_table(history: pd.DataFrame, cells: pd.DataFrame) -> Grid:
    """Tabulate training against validation at the epoch kept, the mean over the seeds."""
    gaps = generalisation_gaps(history, cells)
    rows = []
    for name in in_order(gaps["architecture"]):
        own = gaps[gaps["architecture"] == name]
        means = [number(float(own[f"{split}_accuracy"].mean()), 2, 100) for split in ("train", "validation")]
        gap = f"{round(100 * float(own['accuracy_gap'].mean()), 2) + 0.0:+.2f}"  # + 0.0: no "-0.00"
        rows.append([label(name), *means, gap, ", ".join(f"{epoch:.0f}" for epoch in own["best_epoch"])])
    return Grid(
        ["Architecture", "Training accuracy (%)", "Validation accuracy (%)", "Gap (points)", "Epochs kept"], rows
    )


def plain_table(frame: pd.DataFrame) -> Grid:
    """Show a frame as it is: heads and architectures in words, numbers rounded."""
    names = {"architecture", "first", "second", "metric"}

    def cell(column: str, value: object) -> str:
        if isinstance(value, str):
            return label(value) if column in names else value
        whole = isinstance(value, (bool, int)) or (hasattr(value, "dtype") and value.dtype.kind in "iub")
        return str(value) if whole else number(float(value), 4) if isinstance(value, float) else str(value)

    rows = [
        [cell(c, value) for c, value in zip(frame.columns, row, strict=True)] for row in frame.itertuples(index=False)
    ]
    return Grid([label(str(name)) for name in frame.columns], rows)


def contents(report: Report) -> dict[str, Any]:
    """Gather what both kinds of report say, as words and tables."""
    frames, facts = report.frames, report.facts
    known = {key: facts.get(key, NOT_KNOWN) for key in ("source", "fingerprint", "command", "run_name", "started")}
    summary = summary_table(frames)
    sections = []
    if len(frames.get("predictions", ())):
        note = "On the test reviews, the mean of the seeds."
        sections.append({"title": "Class by class", "note": note, "table": class_table(frames["predictions"])})
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
        "took": f"{number(facts.get('seconds'), 0)} seconds",
        "seeds": ", ".join(str(seed) for seed in sorted(frames["cells"]["seed"].unique())),
        "details": [(label(part), facts.get(part, {})) for part in ("settings", "versions", "hardware")],
    }


def data_uri(content: bytes, kind: str) -> str:
    """Write bytes as a `data:` address; kind is `png` or `svg+xml`."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def render_html(report: Report) -> str:
    """Render a page that needs nothing but itself: pictures inlined, no scripts, texts escaped."""
    pictures = [
        {"title": p.title, "caption": p.caption, "uri": data_uri(p.svg, "svg+xml")
         if 0 < len(p.svg) <= LARGEST_SVG else data_uri(p.png, "png")}
        for p in report.pictures
    ]  # fmt: skip
    page = environment(autoescape=True).get_template("report.html.j2")
    return page.render(**contents(report), pictures=pictures)


def render_markdown(report: Report, address: Callable[[Picture], str]) -> str:
    """Render the report as Markdown, texts escaped.

    Args:
        report: What to say.
        address: Where a picture is: `inlined`, or `linked` for a file beside the report.
    """
    from markupsafe import Markup

    pictures = [{"title": p.title, "caption": p.caption, "uri": address(p)} for p in report.pictures]
    page = environment(finalize=lambda value: value if isinstance(value, Markup) else escape_markdown(value))
    return page.get_template("report.md.j2").render(**contents(report), pictures=pictures, raw=Markup)


def inlined(picture: Picture) -> str:
    """Put the picture's pixels into the text itself."""
    return data_uri(picture.png, "png")


def linked(picture: Picture) -> str:
    """Point to the picture's file beside the report."""
    return f"figures/{picture.name}.png"


def environment(*, autoescape: bool = False, finalize: Callable[[Any], object] | None = None) -> Environment:
    """Open the templates; whoever asks says how texts are escaped: HTML by autoescape, Markdown by finalize."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=autoescape,  # noqa: S701  (Markdown has its own, in finalize)
        finalize=finalize,
    )

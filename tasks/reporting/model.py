"""The report: from frames, facts and pictures to one HTML page and to Markdown, every text of a user's escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from tasks.config.labels import in_order, label
from tasks.evaluation.scores import CLASSES
from tasks.figures.picture import Picture
from tasks.reporting.tables import best_in_words, class_table, gap_table, number, plain_table, summary_table
from tasks.reporting.tabular import NOT_KNOWN

if TYPE_CHECKING:
    pass


SUMMARY_NOTE = (
    "Mean ± standard deviation over the seeds{interval}; one seed shows no spread. The order, and the best, are by "
    "validation accuracy: the test reviews only report. Log-loss is better when lower. Training time is of one seed."
)


@dataclass(frozen=True)
class Report:
    """All that a report is made of.

    Attributes:
        facts: `source` (a sentence: which reviews), `rows` (split to number of reviews), `fingerprint`, `caveats`
            (sentences), `settings`, `versions`, `hardware` (name to value each), `command`, `run_name`, `started`,
            `seconds`. What is missing is said to be not known.
        frames: history, predictions, scores, trials; where they exist, `summary` (architecture, split, metric, low,
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
        gap = gap_table(frames["history"], frames["trials"])
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
        "architectures": list(dict.fromkeys(map(label, in_order(frames["trials"]["architecture"])))),
        "took": f"{number(facts.get('seconds'), 0)} seconds",
        "seeds": ", ".join(str(seed) for seed in sorted(frames["trials"]["seed"].unique())),
        "details": [(label(part), facts.get(part, {})) for part in ("settings", "versions", "hardware")],
    }

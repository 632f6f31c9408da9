"""The verdict of a run: three sentences, a table, its limitations, and further findings."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.config.labels import label
from tasks.reporting.formatting import TextTable
from tasks.reporting.group_text import group_sentences
from tasks.reporting.summary_tables import DEFAULT_CLASSES
from tasks.reporting.verdict_findings import finding_sentences
from tasks.reporting.verdict_limits import limit_sentences, train_review_count
from tasks.reporting.verdict_record import verdict_record
from tasks.reporting.verdict_sentences import verdict_sentences
from tasks.reporting.verdict_table import verdict_table, verdict_table_note
from tasks.reporting.verdict_tuning import tuning_sentences
from tasks.statistics.evaluation_tables import Frames


@dataclass(frozen=True)
class FormattedVerdict:
    """The verdict as the report shows it.

    Attributes:
        recommended: Display name of the architecture to which the others are compared.
        sentences: At most three: which architecture to use, how certain that is, and what it costs.
        title: Title of the table.
        table: How each architecture compares with the recommended one, and its costs.
        note: How to read the table.
        limits: Limitations, such as differences that could not be detected, and what would resolve them.
        findings: Further findings.
    """

    recommended: str
    sentences: Sequence[str]
    title: str
    table: TextTable
    note: str
    limits: Sequence[str]
    findings: Sequence[str]


def format_verdict(
    frames: Frames, classes: Sequence[str] = DEFAULT_CLASSES, *, class_weights: bool | None = None
) -> FormattedVerdict:
    """Return the verdict of a run.

    Args:
        frames: Frames of `tasks.statistics.comparison.compare`; trials, scores, classes, predictions, learning_curve
            and tuning if they exist.
        classes: Names of the classes.
        class_weights: Whether all classes had the same weight in training; None if it is not known.
    """
    record = verdict_record(frames)
    return FormattedVerdict(
        recommended=label(record.recommended),
        sentences=verdict_sentences(record, classes),
        title=f"Compared with {label(record.recommended)}",
        table=verdict_table(frames, record),
        note=verdict_table_note(record),
        limits=[
            *limit_sentences(record, train_review_count(frames), class_weights=class_weights),
            *tuning_sentences(frames),
            *group_sentences(frames["setup"]),
        ],
        findings=finding_sentences(frames),
    )


def verdict(frames: Frames, classes: Sequence[str] = DEFAULT_CLASSES) -> list[str]:
    """Return all sentences of the verdict as plain text; arguments as in `format_verdict`."""
    formatted = format_verdict(frames, classes)
    return [*formatted.sentences, *formatted.limits, *formatted.findings]

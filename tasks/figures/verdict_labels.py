"""Verdicts in the frames `pairs`, `training_pairs` and `groups`, and their display texts."""

from tasks.statistics.significance import FIRST_BETTER, INCONCLUSIVE, NOT_SIGNIFICANT, SECOND_BETTER
from tasks.statistics.training_sample import TOO_FEW_RESAMPLES

VERDICT_LABELS = {
    "best": "best by validation",
    "better": "significantly better",
    "worse": "significantly worse",
    FIRST_BETTER: "first significantly better",
    SECOND_BETTER: "second significantly better",
    NOT_SIGNIFICANT: "not significantly different",
    INCONCLUSIVE: "inconclusive (too few seeds)",
    TOO_FEW_RESAMPLES: "inconclusive (too few resamples)",
}


def verdict_label(verdict: str) -> str:
    """Return the display text of a verdict; a verdict without an entry is shown as it is."""
    return VERDICT_LABELS.get(verdict, verdict)

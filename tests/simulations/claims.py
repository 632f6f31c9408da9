"""Claims about the statistics: what a simulation found, what is allowed, and a table of them."""

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Estimate = dict[str, float]
Result = dict[str, dict[str, Estimate]]  # by claim and case
Allowed = Mapping[str, tuple[float, float]]  # by claim


@dataclass(frozen=True)
class Claim:
    """One claim with what a simulation found.

    Attributes:
        text: What was measured, and in which case.
        found: Rate or mean.
        low: Lower limit of its 95% interval (Wilson for a rate, normal for a mean).
        high: Upper limit.
        simulations: Number of simulations.
        allowed: Lowest and highest allowed value.
        percent: Whether the numbers are shares, which are printed in percent.
        exact: Whether the found number itself must be allowed, instead of some number in its interval.
    """

    text: str
    found: float
    low: float
    high: float
    simulations: int
    allowed: tuple[float, float]
    percent: bool = True
    exact: bool = False

    @property
    def holds(self) -> bool:
        """Whether the interval contains an allowed value; if the claim is `exact`, whether what was found is one."""
        low, high = (self.found, self.found) if self.exact else (self.low, self.high)
        return low <= self.allowed[1] and high >= self.allowed[0]

    @property
    def cells(self) -> list[str]:
        """The claim as a row of a table."""

        def text(value: float) -> str:
            return f"{100 * value:.1f}" if self.percent else f"{value:.3f}"

        interval = f"[{text(self.low)}, {text(self.high)}]"
        allowed = f"{text(self.allowed[0])} to {text(self.allowed[1])}"
        count, verdict = f"{self.simulations:,}", "ok" if self.holds else "FAILED"
        return [self.text, f"{text(self.found)} {interval}", allowed, count, verdict]


TITLES = {
    "family_wise_rate": "any two of five equal architectures differ",
    "coverage": "the interval contains the true accuracy",
    "group_coverage": "the interval contains the true score",
    "group_differences": "two equal models differ (p ≤ 0.05)",
    "power_error": "one point true: reported minus actual power",
    "power_interval": "one point true: the interval of the power contains it",
    "probability_coverage": "the interval of P(first better) = 5% contains it",
    "score_without_failed": "1 of 10 seeds fails: all are found, the interval without them contains the score",
    "failure_bound": "54% (5 seeds) or 31% (10) fail: the bound of the failure rate is not below it",
    "expected_best": "expected best of three",
    "training_coverage": "resampled training reviews: the interval of a difference contains it",
    "large_training_coverage": "the same, if they contribute more variance than the seeds",
    "tuned_family_wise_rate": "any two of five equal tuned architectures differ, equal configurations",
    "tuned_power_error": "one point true after tuning: reported minus actual power",
    "tuned_false_claims": "a difference is claimed that the selected configurations do not have",
    "nightly_alarm_rate": "unchanged nightly runs with an alarm",
    "nightly_detection_rate": "deterioration detected",
    "promised_minus_detected": "a drop in one architecture: promised minus actual detection within three runs",
    "false_claim_rate": "equal models, a false claim",
}
EXACT = {"coverage"}  # claims with enough simulations for what was found to be allowed itself
HEADER = ["Claim", "Found (%) [95% interval]", "Allowed (%)", "Simulations", "Result"]


def make_claims(result: Mapping[str, Mapping[str, Mapping[str, float]]], allowed: Allowed) -> list[Claim]:
    """Return the claims of a result, in the order of `allowed`; results without allowed values are left out."""
    claims = []
    for name, limits in allowed.items():
        for case, found in result.get(name, {}).items():
            value, low, high = found["rate" if "rate" in found else "mean"], found["low"], found["high"]
            text = f"{TITLES.get(name, name.replace('_', ' '))}, {case}"
            percent = "standard deviations" not in case
            count = int(found["simulations"])
            claims.append(Claim(text, value, low, high, count, limits, percent, exact=name in EXACT))
    return claims


def format_claims(claims: Sequence[Claim]) -> str:
    """Return a Markdown table with one line per claim, which is aligned for reading as text too."""
    rows = [HEADER, *(claim.cells for claim in claims)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], f"|{'|'.join('-' * (width + 2) for width in widths)}|", *lines[1:]])


def estimate_rate(outcomes: Iterable[bool]) -> Estimate:
    """Compute the share of true outcomes with its 95% Wilson interval."""
    from statsmodels.stats.proportion import proportion_confint

    values = list(outcomes)
    low, high = proportion_confint(sum(values), len(values), method="wilson")
    return {"rate": sum(values) / len(values), "low": float(low), "high": float(high), "simulations": len(values)}


def estimate_mean(values: Iterable[float]) -> Estimate:
    """Compute the mean of numbers with its 95% normal interval."""
    array = np.array(list(values))
    half = 1.96 * float(array.std(ddof=1)) / len(array) ** 0.5
    mean = float(array.mean())
    return {"mean": mean, "low": mean - half, "high": mean + half, "simulations": len(array)}


def print_estimate(name: str, case: str, estimate: Any) -> None:
    """Print an estimate on stderr as soon as it is known."""
    line = f"{time.strftime('%H:%M:%S')} {name}, {case}: {json.dumps(estimate)}"
    print(line, file=sys.stderr, flush=True)  # noqa: T201

"""Format differences and names in the sentences of the verdict."""

from collections.abc import Sequence

from tasks.config.labels import label
from tasks.evaluation.metrics import METRICS


def format_score(value: float, metric: str) -> str:
    """Format a score with the decimals of its unit, such as `89.40%`."""
    unit = METRICS[metric].unit
    return f"{unit.factor * value:.{unit.digits}f}{unit.sign}"


def format_size(difference: float, metric: str) -> str:
    """Format the absolute value of a difference, such as `0.50 points` or `0.0123 nats`."""
    unit = METRICS[metric].unit
    return f"{unit.factor * abs(difference):.{unit.digits}f} {unit.difference}"


def format_difference(difference: float, metric: str) -> str:
    """Format a difference with its sign, in the unit of `format_size`."""
    unit = METRICS[metric].unit
    return f"{unit.factor * difference:+z.{unit.digits}f} {unit.difference}"


def format_limits(low: float, high: float, metric: str) -> str:
    """Format the limits of an interval of differences, in the unit of `format_size`."""
    unit = METRICS[metric].unit
    low, high = (unit.factor * limit for limit in clip_limits(low, high, metric))
    return f"[{low:+z.{unit.digits}f}, {high:+z.{unit.digits}f}]"


def clip_limits(low: float, high: float, metric: str) -> tuple[float, float]:
    """Clip the limits of an interval of differences to what is possible: two scores in [0, 1] differ by at most 1."""
    return max(low, -METRICS[metric].highest), min(high, METRICS[metric].highest)


def join_labels(names: Sequence[str]) -> str:
    """Return the display names as a list in a sentence: "A, B and C"."""
    return join_texts([label(name) for name in names])


def join_texts(texts: Sequence[str]) -> str:
    """Return texts as a list in a sentence: "A, B and C"."""
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def pluralize(count: int, noun: str) -> str:
    """Return a count with its noun: "1 seed", "2,000 seeds"."""
    return f"{count:,} {noun}{'s' * (count != 1)}"

"""Format differences and names in the sentences of the verdict."""

from collections.abc import Sequence

from tasks.config.labels import label
from tasks.evaluation.metrics import LOWER_IS_BETTER


def format_score(value: float, metric: str) -> str:
    """Format a score: percent with two decimals, log-loss with four."""
    return f"{value:.4f}" if metric in LOWER_IS_BETTER else f"{100 * value:.2f}%"


def format_size(difference: float, metric: str) -> str:
    """Format the absolute value of a difference: percentage points with two decimals, log-loss in nats with four."""
    return f"{abs(difference):.4f} nats" if metric in LOWER_IS_BETTER else f"{100 * abs(difference):.2f} points"


def format_difference(difference: float, metric: str) -> str:
    """Format a difference with its sign, in the unit of `format_size`."""
    return f"{difference:+z.4f} nats" if metric in LOWER_IS_BETTER else f"{100 * difference:+z.2f} points"


def format_limits(low: float, high: float, metric: str) -> str:
    """Format the limits of an interval of differences, in the unit of `format_size`."""
    low, high = clip_limits(low, high, metric)
    return f"[{low:+z.4f}, {high:+z.4f}]" if metric in LOWER_IS_BETTER else f"[{100 * low:+z.2f}, {100 * high:+z.2f}]"


def clip_limits(low: float, high: float, metric: str) -> tuple[float, float]:
    """Clip the limits of an interval of differences to what is possible: two scores in [0, 1] differ by at most 1."""
    return (low, high) if metric in LOWER_IS_BETTER else (max(low, -1.0), min(high, 1.0))


def join_labels(names: Sequence[str]) -> str:
    """Return the display names as a list in a sentence: "A, B and C"."""
    return join_texts([label(name) for name in names])


def join_texts(texts: Sequence[str]) -> str:
    """Return texts as a list in a sentence: "A, B and C"."""
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def pluralize(count: int, noun: str) -> str:
    """Return a count with its noun: "1 seed", "2,000 seeds"."""
    return f"{count:,} {noun}{'s' * (count != 1)}"

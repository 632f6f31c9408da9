"""Further findings below the verdict: networks among themselves, baselines, training reviews and the exact test."""

import pandas as pd

from tasks.config.labels import BASELINE_NAMES, label, label_in_sentence
from tasks.evaluation.metrics import LOWER_IS_BETTER, METRICS
from tasks.figures.verdict_labels import verdict_label
from tasks.reporting.verdict_format import format_difference, format_limits, format_size, join_labels, pluralize
from tasks.statistics.evaluation_tables import Frames
from tasks.statistics.ranking import differences_to
from tasks.statistics.significance import INCONCLUSIVE, MIN_SEEDS


def finding_sentences(frames: Frames) -> list[str]:
    """Return further findings; none if there is one architecture only.

    Args:
        frames: Frames of `tasks.statistics.comparison.compare`; learning_curve if it exists.
    """
    groups, setup = frames["groups"], frames["setup"].iloc[0].to_dict()
    metric = str(setup["metric"])
    pairs = frames["pairs"].query("metric == @metric")
    return [
        *network_sentences(pairs, groups, metric),
        *baseline_sentences(pairs, groups, metric),
        *learning_curve_sentences(frames, groups, metric),
        *exact_test_sentences(pairs, int(str(setup["pairs"])), int(str(setup["seeds_for_exact_test"]))),
    ]


def network_sentences(pairs: pd.DataFrame, groups: pd.DataFrame, metric: str) -> list[str]:
    """Format how the networks compare with the best network, if a baseline is the best of all."""
    networks = groups.loc[~groups["architecture"].isin(BASELINE_NAMES), "architecture"].tolist()
    if len(networks) < 2 or not groups.loc[groups["best"], "architecture"].isin(BASELINE_NAMES).all():
        return []
    best, others = networks[0], networks[1:]
    rows = differences_to(pairs, best, metric)
    parts = [
        f"{label(name)} {format_difference(rows[name].difference, metric)} ({verdict_label(rows[name].verdict)})"
        for name in others
    ]
    metric_name = label_in_sentence(metric)
    return [
        f"Among the networks, {label(best)} has the best validation {metric_name}. Differences to it in test "
        f"{metric_name}: {'; '.join(parts)}."
    ]


def baseline_sentences(pairs: pd.DataFrame, groups: pd.DataFrame, metric: str) -> list[str]:
    """Format which networks a baseline outperforms, significantly and not significantly."""
    sentences = []
    for baseline in (name for name in groups["architecture"] if name in BASELINE_NAMES):
        rows = differences_to(pairs, baseline, metric)
        networks = {name: row for name, row in rows.items() if name not in BASELINE_NAMES}
        worse = [name for name, row in networks.items() if row.verdict == "worse"]
        lower = [name for name, row in networks.items() if name not in worse and _is_worse(row.difference, metric)]
        untested = [name for name in lower if networks[name].verdict == INCONCLUSIVE]
        lower = [name for name in lower if name not in untested]
        if worse:
            sentences.append(
                f"The baseline {label(baseline)} is significantly better on test than {join_labels(worse)}."
            )
        if lower:
            sentences.append(
                f"The baseline {label(baseline)} has a better test score than {join_labels(lower)}, but the difference "
                "is not significant."
            )
        if untested:
            sentences.append(
                f"The baseline {label(baseline)} has a better test score than {join_labels(untested)}, but the "
                f"difference could not be tested (a test takes at least {MIN_SEEDS} shared seeds)."
            )
    return sentences


def _is_worse(difference: float, metric: str) -> bool:
    return difference != 0 and (difference < 0) != (metric in LOWER_IS_BETTER)


def learning_curve_sentences(frames: Frames, groups: pd.DataFrame, metric: str) -> list[str]:
    """Format the gain of the best architecture by the last step in training reviews, and the spread of the networks."""
    if "learning_curve" not in frames:
        return []
    best = groups[groups["best"]]["architecture"].iloc[0]
    rows = frames["learning_curve"].query("architecture == @best")
    if len(rows) < 2 or pd.isna(rows["gain"].iloc[-1]):
        return []
    before, last = rows.iloc[-2], rows.iloc[-1]
    name, record = label_in_sentence(metric), METRICS[metric]
    sentence = (
        f"From {before['train_reviews']:,} to {last['train_reviews']:,} training reviews, the test {name} of "
        f"{label(best)} changed by {format_difference(last['gain'], metric)} (95% interval "
        f"{format_limits(last['gain_low'], last['gain_high'], metric)})."
    )
    networks = groups[~groups["architecture"].isin(BASELINE_NAMES)]
    networks = networks.sort_values("test_mean", ascending=record.greater_is_better)
    if networks.empty or networks["architecture"].iloc[0] == best:
        return [sentence]
    worst = networks.iloc[0]
    distance = last["mean"] - worst["test_mean"]
    return [
        f"{sentence} With {last['train_reviews']:,} training reviews, the network with the {record.worst} test {name}, "
        f"{label(worst['architecture'])}, is {format_size(distance, metric)} "
        f"{'below' if distance >= 0 else 'above'} it."
    ]


def exact_test_sentences(pairs: pd.DataFrame, count: int, needed_seeds: int) -> list[str]:
    """Format which p-value the exact test over the seeds can reach, if there are such tests.

    Args:
        pairs: Rows of the frame pairs in the main metric.
        count: Number of pairs.
        needed_seeds: Number of seeds with which the exact test can be significant.
    """
    random = pairs[pairs["smallest_p"] < 1]
    short = random[random["seeds"] < needed_seeds]
    if short.empty:
        return []
    return [
        f"With {pluralize(count, 'pair')}, the exact sign-flip test needs {needed_seeds} shared seeds to be "
        f"significant; {pluralize(len(short), 'pair')} {'has' if len(short) == 1 else 'have'} fewer. Significance is "
        "therefore based on a t test with seed and review variance, which assumes roughly normal seed variance."
    ]

"""The verdict: sentences on the comparison, formatted from its frames."""

import pandas as pd

from tasks.config.labels import BASELINE_NAMES, label
from tasks.evaluation.metrics import LOWER_IS_BETTER
from tasks.figures.verdict_labels import verdict_label
from tasks.reporting.formatting import label_in_sentence
from tasks.reporting.verdict_format import (
    format_difference,
    format_limits,
    format_score,
    format_size,
    join_labels,
    pluralize,
)
from tasks.reporting.verdict_limits import diverged_sentences, limit_sentences, seed_variance_sentences
from tasks.statistics.evaluation_tables import Frames
from tasks.statistics.ranking import MAJORITY_BASELINE, differences_to
from tasks.statistics.significance import INCONCLUSIVE


def verdict(frames: Frames) -> list[str]:
    """Return the sentences of the verdict.

    Args:
        frames: Frames of `tasks.statistics.comparison.compare`; learning_curve if it exists.

    Returns:
        Sentences as plain text: the best architecture, the differences to it, the minimum detectable difference and
        other limits. Differences of scores are in percentage points.
    """
    groups, metric = frames["groups"], str(frames["setup"]["metric"].iloc[0])
    summary = frames["summary"].query("split == 'test' and metric == @metric").set_index("architecture")
    limits = [*seed_variance_sentences(summary), *diverged_sentences(summary)]
    best = best_sentence(groups, summary, frames["setup"])
    if len(groups) == 1:
        return [best, "There is no other architecture to compare it with.", *limits]
    compared = groups[groups["best"] | (groups["architecture"] != MAJORITY_BASELINE)]
    return [
        best,
        best_group_sentence(compared),
        *difference_sentences(compared, metric),
        *cheapest_sentences(groups),
        *network_sentences(frames["pairs"], groups, metric),
        *baseline_sentences(frames["pairs"], groups, metric),
        *learning_curve_sentences(frames, groups),
        *limits,
        *limit_sentences(frames),
    ]


def best_sentence(groups: pd.DataFrame, summary: pd.DataFrame, setup: pd.DataFrame) -> str:
    """Format the best architecture by validation score, with its test score and interval.

    Args:
        groups: The frame groups.
        summary: Rows of the frame summary for the test split and the main metric, indexed by architecture.
        setup: The frame setup.
    """
    best, metric = groups[groups["best"]].iloc[0], str(setup["metric"].iloc[0])
    row, metric_name = summary.loc[best["architecture"]], label_in_sentence(metric)
    validation_reviews, test_reviews = (int(setup[f"{split}_reviews"].iloc[0]) for split in ("validation", "test"))
    low, high, seeds = format_score(row["low"], metric), format_score(row["high"], metric), int(str(row["seeds"]))
    source = f" over {seeds} seeds." if seeds > 1 else ". The interval reflects sampling of test reviews only."
    rank = "lowest" if metric in LOWER_IS_BETTER else "highest"
    return (
        f"Recommended: {label(best['architecture'])}. It has the {rank} validation {metric_name}, "
        f"{format_score(best['validation_mean'], metric)} on {validation_reviews:,} reviews{_format_ties(groups)}. "
        f"Test {metric_name} on {test_reviews:,} reviews: {format_score(row['mean'], metric)}, 95% confidence interval "
        f"{low} to {high}{source}"
    )


def _format_ties(groups: pd.DataFrame) -> str:
    validation = groups["validation_mean"].round(12)
    ties = int(validation.eq(float(validation[groups["best"]].iloc[0])).sum()) - 1
    return f" (tied with {pluralize(ties, 'other')}; ties are broken by cost, then by name)" if ties else ""


def best_group_sentence(groups: pd.DataFrame) -> str:
    """Format the architectures that are not significantly worse than the best one."""
    first = groups[groups["group"] == 1]
    inconclusive = first.loc[first["verdict"] == INCONCLUSIVE, "architecture"].tolist()
    members = [name for name in first["architecture"] if name not in inconclusive]
    best = label(members[0])
    if len(first) == 1:
        return f"Every other architecture is significantly worse than {best}."
    few = (
        f"Inconclusive (too few shared seeds) compared with {best}: {join_labels(inconclusive)}."
        if inconclusive
        else ""
    )
    if len(members) == 1:
        return few
    group = f"Best group, not significantly worse than {best} on the test reviews: {join_labels(members)}."
    return f"{group} {few}".strip()


def difference_sentences(groups: pd.DataFrame, metric: str) -> list[str]:
    """Format the difference of each architecture to the best one, with its interval and its significance."""
    best, metric_name = label(groups[groups["best"]]["architecture"].iloc[0]), label_in_sentence(metric)
    contrast = {"better": ", in contrast to the order on the validation reviews"}
    return [
        f"{label(row['architecture'])} compared with {best}: difference in test {metric_name} "
        f"{format_difference(row['difference'], metric)}, 95% interval "
        f"{format_limits(row['low'], row['high'], metric)}; {verdict_label(row['verdict'])}"
        f"{contrast.get(row['verdict'], '')}."
        for row in groups[~groups["best"]].to_dict("records")
    ]


def cheapest_sentences(groups: pd.DataFrame) -> list[str]:
    """Format the cheapest architecture of the best group, if costs are known and the group has several members."""
    cheapest = groups[groups["cheapest"]]
    comparable = (groups["group"] == 1) & (groups["verdict"] != INCONCLUSIVE)
    comparable &= groups["best"] | (groups["architecture"] != MAJORITY_BASELINE)
    if cheapest.empty or comparable.sum() == 1:
        return []
    row = cheapest.iloc[0]
    costs = f"{row['parameters']:,.0f} parameters" if "parameters" in groups else "by the costs that are known"
    if "latency_ms" in groups and pd.notna(row["latency_ms"]):
        costs += f", {row['latency_ms']:.2f} ms per review"
    unknown = groups[(groups["group"] == 1) & groups.get("parameters", pd.Series(0, groups.index)).isna()]
    rest = f" The cost of {join_labels(unknown['architecture'].tolist())} is not known." if len(unknown) else ""
    return [f"Cheapest architecture of the best group: {label(row['architecture'])} ({costs}).{rest}"]


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
        if worse:
            sentences.append(
                f"The baseline {label(baseline)} is significantly better on test than {join_labels(worse)}."
            )
        if lower:
            sentences.append(
                f"The baseline {label(baseline)} has a better test score than {join_labels(lower)}, but the difference "
                "is not significant."
            )
    return sentences


def _is_worse(difference: float, metric: str) -> bool:
    return difference != 0 and (difference < 0) != (metric in LOWER_IS_BETTER)


def learning_curve_sentences(frames: Frames, groups: pd.DataFrame) -> list[str]:
    """Format the gain of the best architecture by the last step in training reviews, and the spread of the networks."""
    if "learning_curve" not in frames:
        return []
    best = groups[groups["best"]]["architecture"].iloc[0]
    rows = frames["learning_curve"].query("architecture == @best")
    if len(rows) < 2 or pd.isna(rows["gain"].iloc[-1]):
        return []
    before, last = rows.iloc[-2], rows.iloc[-1]
    sentence = (
        f"From {before['train_reviews']:,} to {last['train_reviews']:,} training reviews, the test accuracy of "
        f"{label(best)} changed by {100 * last['gain']:+z.2f} points (95% interval "
        f"{format_limits(last['gain_low'], last['gain_high'], 'accuracy')})."
    )
    lowest = groups[~groups["architecture"].isin(BASELINE_NAMES)].sort_values("test_mean").iloc[0]
    if lowest["architecture"] == best:
        return [sentence]
    distance = last["mean"] - lowest["test_mean"]
    return [
        f"{sentence} With {last['train_reviews']:,} training reviews, the network with the lowest test accuracy, "
        f"{label(lowest['architecture'])}, is {format_size(distance, 'accuracy')} "
        f"{'below' if distance >= 0 else 'above'} it."
    ]

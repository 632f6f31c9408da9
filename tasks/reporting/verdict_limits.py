"""Sentences of the verdict on its limits: unknown variance, diverged seeds, power and number of seeds."""

import pandas as pd

from tasks.config.labels import BASELINE_NAMES, label
from tasks.reporting.verdict_format import format_size, join_labels, pluralize
from tasks.statistics.evaluation_tables import Frames
from tasks.statistics.power import detectable_range
from tasks.statistics.significance import INCONCLUSIVE, NOT_SIGNIFICANT


def seed_variance_sentences(summary: pd.DataFrame) -> list[str]:
    """Format the architectures whose seed variance is unknown because they have one seed only.

    Args:
        summary: Rows of the frame summary for one split and metric, indexed by architecture.
    """
    unknown = summary.index[summary["seed_variance"].isna()].tolist()
    if not unknown:
        return []
    return [f"Seed variance is unknown for {join_labels(unknown)} (one seed each). Other seeds may change the order."]


def diverged_sentences(summary: pd.DataFrame) -> list[str]:
    """Format the architectures whose training diverged for some seeds; `summary` as in `seed_variance_sentences`."""
    return [
        f"{label(str(name))}: training diverged for {pluralize(row['diverged'], 'seed')}. Its scores are means over "
        f"the remaining {pluralize(row['seeds'], 'seed')} and overestimate its performance."
        for name, row in summary[summary["diverged"] > 0].iterrows()
    ]


def limit_sentences(frames: Frames) -> list[str]:
    """Format inconclusive pairs, the limits of the exact test, the minimum detectable difference and needed seeds.

    Args:
        frames: The frames setup, pairs, power and groups.
    """
    setup, groups = frames["setup"].iloc[0].to_dict(), frames["groups"]
    metric = str(setup["metric"])
    pairs, best = frames["pairs"].query("metric == @metric"), str(groups.loc[groups["best"], "architecture"].iloc[0])
    return [
        *_inconclusive_sentences(pairs, int(str(setup["min_seeds"]))),
        *_exact_test_sentences(pairs, int(str(setup["pairs"])), int(str(setup["seeds_for_exact_test"]))),
        *_power_sentences(frames["power"], metric),
        *_needed_seeds_sentences(pairs, frames["power"], best, metric),
    ]


def _inconclusive_sentences(pairs: pd.DataFrame, min_seeds: int) -> list[str]:
    count = int((pairs["verdict"] == INCONCLUSIVE).sum())
    if not count:
        return []
    return [
        f"Inconclusive pairs: {count} of {len(pairs)}. They share fewer than {min_seeds} seeds, the minimum for a "
        "significance test."
    ]


def _exact_test_sentences(pairs: pd.DataFrame, count: int, needed_seeds: int) -> list[str]:
    random = pairs[pairs["smallest_p"] < 1]
    if random.empty:
        return []
    return [
        "The exact sign-flip test over the shared seeds cannot reach a p-value below "
        f"{random['smallest_p'].max():.2g}. With {pluralize(count, 'pair')}, it needs {needed_seeds} seeds to be "
        "significant. Significance is therefore based on a t test with seed and review variance, which "
        "assumes roughly normal seed variance."
    ]


def _power_sentences(power: pd.DataFrame, metric: str) -> list[str]:
    detectable = detectable_range(power, BASELINE_NAMES)
    if detectable is None:
        return []
    # Two scores differ by at most 100 points, whatever the estimated variance is.
    limits = [min(end, 1.0) for end in detectable]
    low, high = (format_size(limit, metric) for limit in limits)
    size = low if low == high else f"{low} to {high}, depending on the pair"
    return [f"Minimum detectable difference (the smallest true difference that is found with 80% power): {size}."]


def _needed_seeds_sentences(pairs: pd.DataFrame, power: pd.DataFrame, best: str, metric: str) -> list[str]:
    """Format how many seeds the comparisons with the best architecture need that are not significant."""
    with_best = pairs[(pairs["first"] == best) | (pairs["second"] == best)]
    undecided = with_best[with_best["verdict"].isin([NOT_SIGNIFICANT, INCONCLUSIVE])][["first", "second"]]
    rows = undecided.merge(power, on=["first", "second"])
    if rows.empty:
        return []
    other = rows["first"].where(rows["second"] == best, rows["second"]).map(label)
    texts = (
        other
        + " ("
        + pd.Series([format_size(target, metric) for target in rows["target_difference"]], rows.index)
        + ")"
    )
    # Two methods without randomness have no seeds to add: only more test reviews reduce the variance.
    deterministic = rows[["first", "second"]].isin(list(BASELINE_NAMES)).all(axis=1)
    reachable = (rows["seeds"] >= 2) & (rows["seeds_needed"] > 0) & ~deterministic
    unknown = (rows["seeds"] < 2) & ~deterministic
    sentences = []
    if reachable.any():
        counts = rows["seeds_needed"].astype(str) + " for " + texts
        sentences.append(
            f"Seeds needed to detect a difference to {label(best)} of the observed size, or of the equivalence margin "
            f"if it is larger, with 80% power: {'; '.join(counts[reachable])}."
        )
    if (hopeless := ~reachable & ~unknown).any():
        sentences.append(f"More seeds do not suffice, only more test reviews: {'; '.join(texts[hopeless])}.")
    if unknown.any():
        sentences.append(
            "The number of seeds needed cannot be estimated from fewer than two shared seeds: "
            f"{', '.join(other[unknown])}."
        )
    return sentences

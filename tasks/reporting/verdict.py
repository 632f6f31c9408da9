"""The verdict in words, every sentence made from the numbers of the comparison's frames."""

from collections.abc import Hashable, Mapping

import pandas as pd

from tasks.config.labels import BASELINE_NAMES, label
from tasks.evaluation.metrics import LOWER_IS_BETTER
from tasks.statistics.ranking import MAJORITY, versus


def verdict(frames: dict[str, pd.DataFrame]) -> list[str]:
    """Say who is in the best group, who is not and by how much, and what the seeds at hand cannot show.

    Args:
        frames: What `comparison.compare` returns.

    Returns:
        Sentences of plain text, in the order of reading. Differences of scores are in points (hundredths).
    """
    setup = frames["setup"].iloc[0].to_dict()
    groups, metric = frames["groups"], str(setup["metric"])
    summary = frames["summary"].query("split == 'test' and metric == @metric").set_index("architecture")
    sentences = [_best(groups, summary, setup)]
    if len(groups) == 1:
        return [*sentences, "There is nothing to compare it with.", *_seed_noise(summary), *_diverged(summary)]
    sentences += [
        _best_group(_without_majority(groups)),
        *_against_best(_without_majority(groups), metric),
        *_cheapest(groups),
    ]
    sentences += [
        *_among_networks(frames["pairs"], groups, metric),
        *_lost_to_baselines(frames["pairs"], groups, metric),
    ]
    sentences += _more_data(frames, groups)
    sentences += [*_seed_noise(summary), *_diverged(summary), *_limits(frames, setup)]
    return sentences


def amount(difference: float, metric: str) -> str:
    """Write a difference: scores in points with two decimals, log-loss in nats."""
    return f"{abs(difference):.4f} nats" if metric in LOWER_IS_BETTER else f"{100 * abs(difference):.2f} points"


def span(low: float, high: float, metric: str) -> str:
    """Write an interval of differences, in the unit of `amount`."""
    return f"[{low:+.4f}, {high:+.4f}]" if metric in LOWER_IS_BETTER else f"[{100 * low:+.2f}, {100 * high:+.2f}]"


def listed(names: list[str]) -> str:
    """Write names in words: "A, B and C"."""
    words = [label(name) for name in names]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _level(value: float, metric: str) -> str:
    return f"{value:.4f}" if metric in LOWER_IS_BETTER else f"{100 * value:.2f}%"


def _best(groups: pd.DataFrame, summary: pd.DataFrame, setup: Mapping[Hashable, object]) -> str:
    best, metric = groups[groups["best"]].iloc[0], str(setup["metric"])
    row = summary.loc[best["architecture"]]
    ties = int(groups["validation_mean"].round(12).eq(round(float(best["validation_mean"]), 12)).sum()) - 1
    tied = f" (level with {ties} other{'s' * (ties > 1)}; costs, then the name, decide)" if ties else ""
    return (
        f"Best on the {setup['validation_reviews']:,} validation reviews: {label(best['architecture'])}, mean "
        f"{label(metric).lower() if metric == 'accuracy' else label(metric)} "
        f"{_level(best['validation_mean'], metric)}{tied}; on the {setup['test_reviews']:,} test reviews "
        f"{_level(row['mean'], metric)}, 95% interval {_level(row['low'], metric)} to {_level(row['high'], metric)}"
        f"{_of_what(row)}."
    )


def _of_what(row: pd.Series) -> str:
    seeds = int(str(row["seeds"]))
    return f" over {seeds} seeds" if seeds > 1 else ", which holds the noise of the reviews alone"


def _best_group(groups: pd.DataFrame) -> str:
    """Name the best group without promising that its members are equal."""
    members = groups[(groups["group"] == 1)]["architecture"].tolist()
    if len(members) == 1:
        return f"Every other architecture is separable from {listed(members)}, and below it."
    unknown = groups[(groups["group"] == 1) & (groups["verdict"] == "too few seeds")]["architecture"].tolist()
    known = [name for name in members if name not in unknown]
    few = f"Too few seeds are shared to set {listed(unknown)} apart from {listed(known[:1])}." if unknown else ""
    if len(known) == 1:
        return few
    said = f"The best group, of which none can be set apart from the best on these test reviews: {listed(known)}."
    return f"{said} {few}".strip()


def _without_majority(groups: pd.DataFrame) -> pd.DataFrame:
    """Leave out the majority class, of which there is nothing to say, unless it is the best."""
    return groups[groups["best"] | (groups["architecture"] != MAJORITY)]


def _against_best(groups: pd.DataFrame, metric: str) -> list[str]:
    """Say of each architecture how it stands to the best."""
    best = label(groups[groups["best"]]["architecture"].iloc[0])
    endings = {
        "worse": "a real difference",
        "better": "a real difference on test, against the order on validation",
        "equivalent": "practically equal",
        "not separable": "not separable",
        "too few seeds": "no claim, for too few seeds are shared",
    }
    sentences = []
    for row in groups[~groups["best"]].to_dict("records"):
        difference = row["difference"]
        way = "below" if (difference < 0) != (metric in LOWER_IS_BETTER) else "above"
        place = "level with" if difference == 0 else f"{amount(difference, metric)} {way}"
        sentences.append(
            f"{label(row['architecture'])} is {place} {best} on test (difference {difference * 100:+.2f}, interval "
            f"{span(row['low'], row['high'], metric)}): {endings[row['verdict']]}."
            if metric not in LOWER_IS_BETTER
            else f"{label(row['architecture'])} is {'level with' if difference == 0 else amount(difference, metric)} "
            f"{'' if difference == 0 else 'better than ' if way == 'above' else 'worse than '}{best} on test (interval "
            f"{span(row['low'], row['high'], metric)}): {endings[row['verdict']]}."
        )
    return sentences


def _cheapest(groups: pd.DataFrame) -> list[str]:
    """Name the cheapest of the best group, where costs are known."""
    cheapest = groups[groups["cheapest"]]
    placed = (groups["group"] == 1) & (groups["verdict"] != "too few seeds")
    if cheapest.empty or (placed & (groups["best"] | (groups["architecture"] != MAJORITY))).sum() == 1:
        return []
    row = cheapest.iloc[0]
    cost = f"with {row['parameters']:,.0f} parameters" if "parameters" in groups else "by the cost that is known"
    if "latency_ms" in groups and pd.notna(row["latency_ms"]):
        cost += f" and {row['latency_ms']:.2f} ms for one review"
    unknown = groups[(groups["group"] == 1) & groups.get("parameters", pd.Series(0, groups.index)).isna()]
    rest = f" (the cost of {listed(unknown['architecture'].tolist())} is unknown)" if len(unknown) else ""
    return [f"Cheapest within the best group, {cost}: {label(row['architecture'])}{rest}."]


def _among_networks(pairs: pd.DataFrame, groups: pd.DataFrame, metric: str) -> list[str]:
    """Where a baseline is the best of all, say how the networks stand to the best of themselves."""
    networks = groups.loc[
        ~groups["architecture"].isin(BASELINE_NAMES), "architecture"
    ].tolist()  # best validation first
    if len(networks) < 2 or not groups.loc[groups["best"], "architecture"].isin(BASELINE_NAMES).all():
        return []
    against = versus(pairs, networks[0], metric)
    parts = [
        f"{label(name)} {amount(float(str(row['difference'])), metric)} "
        f"{'below' if (float(str(row['difference'])) < 0) != (metric in LOWER_IS_BETTER) else 'above'} it, "
        f"{'a real difference' if row['verdict'] in ('worse', 'better') else row['verdict']}"
        for name, row in ((name, against[name]) for name in networks[1:])
    ]
    return [f"Among the networks, {label(networks[0])} is the best on validation; on test {'; '.join(parts)}."]


def _lost_to_baselines(pairs: pd.DataFrame, groups: pd.DataFrame, metric: str) -> list[str]:
    """Say plainly which networks a baseline beats, and where it only seems to."""
    sentences = []
    for name in (name for name in groups["architecture"] if name in BASELINE_NAMES):
        networks = {other: row for other, row in versus(pairs, name, metric).items() if other not in BASELINE_NAMES}
        losers = [other for other, row in networks.items() if row["verdict"] == "worse"]
        lower = [
            other for other, row in networks.items()
            if other not in losers and (float(str(row["difference"])) < 0) != (metric in LOWER_IS_BETTER)
            and row["difference"] != 0
        ]  # fmt: skip
        if losers:
            sentences.append(f"The baseline {label(name)} beats {listed(losers)} on test.")
        if lower:
            sentences.append(
                f"The baseline {label(name)} scores higher on test than {listed(lower)}, but that is no claim."
            )
    return sentences


def _more_data(frames: dict[str, pd.DataFrame], groups: pd.DataFrame) -> list[str]:
    """Hold what the last step in training reviews brought the best against what another architecture would bring."""
    if "learning_curve" not in frames:
        return []
    best = groups[groups["best"]]["architecture"].iloc[0]
    rows = frames["learning_curve"].query("architecture == @best")
    if len(rows) < 2 or pd.isna(rows["gain"].iloc[-1]):
        return []
    before, last = rows.iloc[-2], rows.iloc[-1]
    lowest = groups[~groups["architecture"].isin(BASELINE_NAMES)].sort_values("test_mean").iloc[0]
    apart = last["mean"] - lowest["test_mean"]
    spread = (
        f" At {last['train_reviews']:,} the lowest network, {label(lowest['architecture'])}, stands "
        f"{100 * abs(apart):.2f} points {'below' if apart >= 0 else 'above'} it."
        if lowest["architecture"] != best
        else ""
    )
    return [
        f"From {before['train_reviews']:,} to {last['train_reviews']:,} training reviews, {label(best)} changed by "
        f"{100 * last['gain']:+.2f} points of test accuracy (interval "
        f"{span(last['gain_low'], last['gain_high'], 'accuracy')}).{spread}"
    ]


def _seed_noise(summary: pd.DataFrame) -> list[str]:
    """Name the architectures of which one seed is known, and no more."""
    single = summary[summary["note"].str.startswith("one seed")].index.tolist()
    if not single:
        return []
    return [f"Seed noise is unknown for {listed(single)}: one seed each, and another may well change the order."]


def _diverged(summary: pd.DataFrame) -> list[str]:
    """Name the architectures that diverged with some seed."""
    return [
        f"{label(str(name))}: training diverged with {row['diverged']} seed{'s' * (row['diverged'] != 1)}; "
        f"its scores are those of the {row['seeds']} trial{'s' * (row['seeds'] != 1)} with predictions, and flatter it."
        for name, row in summary[summary["diverged"] > 0].iterrows()
    ]


def _limits(frames: dict[str, pd.DataFrame], setup: Mapping[Hashable, object]) -> list[str]:
    """Say what could not have been found, what the exact test can reach, and how many seeds would settle it."""
    metric = str(setup["metric"])
    pairs = frames["pairs"].query("metric == @metric")
    power = frames["power"]
    sentences = []
    few = pairs[pairs["verdict"] == "too few seeds"]
    if len(few):
        sentences.append(
            f"{len(few)} of {len(pairs)} pairs share fewer than the {setup['least_seeds']} seeds that a claim needs: "
            "no difference is claimed there."
        )
    random = pairs[pairs["smallest_p"] < 1]
    if len(random):
        sentences.append(
            f"The exact sign-flip test over the shared seeds cannot go below p = {random['smallest_p'].max():.2g}; to "
            f"claim any of {setup['pairs']} pairs it would need {setup['seeds_for_exact_test']} seeds. "
            "Claims rest on the two-level t test instead, which takes seed noise as roughly normal."
        )
    known = power[power["seeds"] > 1]
    if len(known):
        # No two scores differ by more than 100 points, whatever two noisy seeds come to.
        low, high = (min(float(end), 1.0) for end in known["minimum_detectable"].agg(["min", "max"]))
        sentences.append(
            f"A true difference below {amount(low, metric)} (the quietest pair) to {amount(high, metric)} "
            "(the noisiest) would more often than one time in five have gone unfound."
        )
    groups = frames["groups"]
    return sentences + _settling(pairs, power, str(groups[groups["best"]]["architecture"].iloc[0]), metric)


def _settling(pairs: pd.DataFrame, power: pd.DataFrame, best: str, metric: str) -> list[str]:
    """Say for what is open between the best and the others how many seeds would find a difference as large as seen."""
    of_best = pairs[(pairs["first"] == best) | (pairs["second"] == best)]
    open_pairs = of_best[of_best["verdict"].isin(["not separable", "too few seeds"])][["first", "second"]]
    rows = open_pairs.merge(power, on=["first", "second"])
    if rows.empty:
        return []
    other = rows["first"].where(rows["second"] == best, rows["second"])
    rows = rows.assign(other=other.map(label), target=[amount(value, metric) for value in rows["target"]])
    # Two methods without randomness have no seeds to add: only the test reviews are noise.
    fixed = rows[["first", "second"]].isin(list(BASELINE_NAMES)).all(axis=1)
    reachable = (rows["seeds"] >= 2) & (rows["seeds_needed"] > 0) & ~fixed
    unknown = (rows["seeds"] < 2) & ~fixed
    words = rows["other"] + " (" + rows["target"] + ")"
    sentences = []
    if reachable.any():
        counts = rows["seeds_needed"].astype(str) + " for " + words
        sentences.append(
            f"Seeds that would find, four times in five, a true difference to {label(best)} as large as the one seen, "
            f"and at least the margin: {'; '.join(counts[reachable])}."
        )
    if (never := ~reachable & ~unknown).any():
        sentences.append(f"No number of seeds settles it, only more test reviews would: {'; '.join(words[never])}.")
    if unknown.any():
        untold = ", ".join(rows.loc[unknown, "other"])
        sentences.append(f"How many seeds would settle it cannot be told from fewer than two: {untold}.")
    return sentences

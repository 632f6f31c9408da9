"""Every pair of architectures in every metric: differences with intervals, tests, effect sizes, and what is claimed.

A *claim* that one architecture is better than another needs all of: at least `LEAST_SEEDS` shared seeds (unless both
are without randomness); a p-value of at most alpha after Holm over all pairs, from a t test that holds seed noise and
review noise; and a difference that is not practically nothing. Metrics beside the main one claim a
difference only where the main one does, after Holm over all of them, so that they add no false claims of their own.

Why the t test and not the exact sign-flip test, which is printed beside it: five seeds cannot bring the exact test
below 0.0625, so that not even an architecture at chance could be told from the others. Why five seeds: the t test
keeps its level down to two of them where seed noise is normal (de Winter 2013, "Using the Student's t-test with
extremely small sample sizes"), but nobody can see from fewer than five whether it is.
"""

import itertools
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import pandas as pd

from tasks.evaluation.metrics import LOWER_IS_BETTER, Floats
from tasks.evaluation.predictions import Panel, averaged_answers
from tasks.statistics import paired_tests
from tasks.statistics.resampling import Noise, interval, noise, seed_weights, tail

LEAST_SEEDS = 5
PAIR_COLUMNS = [
    "first", "second", "metric", "difference", "low", "high", "p", "p_holm", "p_sign_flip", "smallest_p", "verdict",
    "p_equivalent_holm", "seeds", "noise", "bootstrap_low", "bootstrap_high", "probability_first_better",
    "probability_low", "probability_high", "cliffs_delta", "d_z", "only_first", "only_second", "mcnemar_p",
    "seed_variance", "item_variance", "note",
]  # fmt: skip


class Pair(NamedTuple):
    """Two architectures by their place in the panel, and which of their seeds meet."""

    first: int
    second: int
    ours: list[int]  # places of the first's seeds, one for each of `theirs`; empty where none is shared
    theirs: list[int]
    fixed: bool  # neither has any randomness


def compare_pairs(
    data: Panel,
    given: dict[str, Floats],
    resampled: dict[str, Floats],
    *,
    metric: str,
    margin: float,
    alpha: float,
    deterministic: Collection[str],
    seed: int = 0,
) -> tuple[pd.DataFrame, list[Noise]]:
    """Test every pair in every metric, the main metric first.

    Args:
        data: The test predictions.
        given: Metric to (architectures, seeds, reviews) contributions.
        resampled: Metric to (architectures, seeds, draws) means over resampled reviews.
        metric: The main metric, on which claims are made.
        margin: Differences of scores in [0, 1] below it are practically nothing.
        alpha: The rate of false claims that is accepted, over all pairs together.
        deterministic: Architectures that give the same model with any seed.
        seed: Of the draws of seeds.

    Returns:
        The frame pairs, one row a pair and metric, and the noise of each pair's difference in the main metric, in the
        order of rows.
    """
    pairs, answers = paired(data, deterministic), averaged_answers(data)
    on_answers = [
        dict(zip(("only_first", "only_second", "mcnemar_p"), paired_tests.mcnemar(answers[a], answers[b]), strict=True))
        for a, b, *_ in pairs
    ]
    rows, noises = [], []
    for name in [metric, *(each for each in given if each != metric)]:
        for pair, tested in zip(pairs, on_answers, strict=True):
            row, of = _compare_pair(
                given[name], resampled[name], pair, data.present, metric=name, margin=margin, seed=seed
            )
            names = {"first": data.architectures[pair.first], "second": data.architectures[pair.second]}
            rows.append({**names, **row, **tested})
            noises.append(of)
    if not rows:
        return pd.DataFrame(columns=PAIR_COLUMNS), []
    return claims(pd.DataFrame(rows), metric=metric, margin=margin, alpha=alpha)[PAIR_COLUMNS], noises[: len(pairs)]


def paired(data: Panel, deterministic: Collection[str]) -> list[Pair]:
    """Pair all architectures by their shared seeds; a method without randomness meets every seed of the other."""
    seeds = [np.flatnonzero(there).tolist() for there in data.present]
    fixed = [len(own) == 1 and name in deterministic for own, name in zip(seeds, data.architectures, strict=True)]
    pairs = []
    for a, b in itertools.combinations(range(len(seeds)), 2):
        ours = theirs = [each for each in seeds[a] if each in seeds[b]]
        if fixed[a]:
            ours, theirs = seeds[a] * len(seeds[b]), seeds[b]
        elif fixed[b]:
            ours, theirs = seeds[a], seeds[b] * len(seeds[a])
        pairs.append(Pair(a, b, ours, theirs, fixed[a] and fixed[b]))
    return pairs


def _differences(values: Floats, pair: Pair, present: np.ndarray) -> Floats:
    """Subtract seed by seed: (architectures, seeds, ...) to (shared seeds, ...)."""
    first, second = values[pair.first], values[pair.second]
    if pair.ours:
        return np.asarray(first[pair.ours] - second[pair.theirs])
    # No seed in common: all that is left to compare is their means, review by review.
    means = first[present[pair.first]].mean(axis=0) - second[present[pair.second]].mean(axis=0)
    return np.asarray(means[None])


def _compare_pair(
    given: Floats, resampled: Floats, pair: Pair, present: np.ndarray, *, metric: str, margin: float, seed: int
) -> tuple[dict[str, object], Noise]:
    """Compare two architectures in one metric."""
    table, count = _differences(given, pair, present), len(pair.ours)
    of = noise(table, bounded=metric not in LOWER_IS_BETTER, fixed_seeds=pair.fixed)
    by_seed, difference = table.mean(axis=1), float(table.mean())
    low, high = interval(difference, of)
    p_sign_flip, smallest_p = paired_tests.sign_flip(by_seed) if count and not pair.fixed else (1.0, 1.0)
    row: dict[str, object] = {
        "metric": metric, "difference": difference, "low": low, "high": high, "p": p_value(difference, of),
        "p_sign_flip": p_sign_flip, "smallest_p": smallest_p,
        "p_equivalent": max(p_value(difference - margin, of, side=-1), p_value(difference + margin, of, side=1)),
        "seeds": count, "fixed": pair.fixed, "noise": "seeds and reviews" if count > 1 else "reviews",
        **_chances(by_seed, _differences(resampled, pair, present), metric=metric, seed=seed),
        "cliffs_delta": paired_tests.cliffs_delta(
            given[pair.first][present[pair.first]].mean(axis=1), given[pair.second][present[pair.second]].mean(axis=1)
        ),
        "d_z": paired_tests.standardised_difference(by_seed),
        "seed_variance": of.seed_variance, "item_variance": of.item_variance,
    }  # fmt: skip
    return row, of


def _chances(by_seed: Floats, drawn: Floats, *, metric: str, seed: int) -> dict[str, float]:
    """Tell how probably the first is better with a new seed, P(A > B), and what the bootstrap makes of it.

    Source: Bouthillier et al. 2021, "Accounting for Variance in Machine Learning Benchmarks". A tie counts half.

    Args:
        by_seed: (seeds,) float: difference of each seed.
        drawn: (seeds, draws) float: the same over resampled reviews.
        metric: For which way is better.
        seed: Of the draws of seeds.
    """
    sign = -1 if metric in LOWER_IS_BETTER else 1
    weights = seed_weights(len(drawn), draws=drawn.shape[1], seed=seed)
    probability = float((paired_tests.signs(sign * by_seed) + 1).mean() / 2)
    # Resampled means hold the seven digits of float32.
    better = (paired_tests.signs(sign * drawn, decimals=6) + 1) / 2
    chances = np.quantile((better * weights).sum(axis=0), [0.025, 0.975])
    spread = np.quantile((drawn * weights).sum(axis=0), [0.025, 0.975])
    return {
        "bootstrap_low": spread[0], "bootstrap_high": spread[1], "probability_first_better": probability,
        "probability_low": min(chances[0], probability), "probability_high": max(chances[1], probability),
    }  # fmt: skip


def p_value(difference: float, of: Noise, *, side: int = 0) -> float:
    """Compute the p-value of a difference of 0: two-sided (0), or for greater (1) or less (-1)."""
    if of.variance == 0:
        return 1.0 if difference * (side or 1) <= 0 and (side or difference == 0) else 0.0
    both = tail(abs(difference), of)
    if side == 0:
        return both
    return both / 2 if side * difference >= 0 else 1 - both / 2


def claims(pairs: pd.DataFrame, *, metric: str, margin: float, alpha: float) -> pd.DataFrame:
    """Add the p-values adjusted for being many, a verdict in a word or two, and a note on what cannot be said."""
    main = (pairs["metric"] == metric).to_numpy()
    pairs = pairs.assign(p_holm=1.0, p_equivalent_holm=1.0)
    # Log-loss has no margin that would mean the same from task to task: it is never called equivalent.
    pairs.loc[pairs["metric"].isin(LOWER_IS_BETTER), "p_equivalent"] = 1.0
    for family in (main, ~main):
        pairs.loc[family, "p_holm"] = paired_tests.holm(pairs.loc[family, "p"].to_numpy())
        pairs.loc[family, "p_equivalent_holm"] = paired_tests.holm(pairs.loc[family, "p_equivalent"].to_numpy())
    enough = (pairs["seeds"] >= LEAST_SEEDS) | pairs["fixed"]
    inside = (pairs["low"] > -margin) & (pairs["high"] < margin) & (pairs["p_equivalent_holm"] <= alpha)
    apart = enough & ~inside & (pairs["p_holm"] <= alpha) & ((pairs["low"] > 0) | (pairs["high"] < 0))
    claimed = pairs[main & apart][["first", "second"]].apply(tuple, axis=1).tolist()
    gated = ~main & apart & ~pairs[["first", "second"]].apply(tuple, axis=1).isin(claimed)
    first_up = (pairs["difference"] > 0) != pairs["metric"].isin(LOWER_IS_BETTER)
    verdict = np.select(
        [~enough, inside, apart & ~gated & first_up, apart & ~gated],
        ["too few seeds", "equivalent", "first better", "second better"],
        "not separable",
    )
    return pairs.assign(verdict=verdict, note=_notes(pairs, few=~enough, gated=np.asarray(gated), metric=metric))


def _notes(pairs: pd.DataFrame, *, few: "pd.Series[bool]", gated: np.ndarray, metric: str) -> np.ndarray:
    """Say of each row what it cannot tell, and why."""
    fixed, seeds = pairs["fixed"].to_numpy(dtype=bool), pairs["seeds"].to_numpy()
    cases = {
        "both without randomness: only the reviews' noise; no seeds for a sign-flip test or d_z": fixed,
        "no seed in common: means compared, seed noise unknown, no d_z": seeds == 0,
        "one shared seed: seed noise unknown, the interval holds the reviews' noise alone, no d_z": seeds == 1,
        f"fewer than {LEAST_SEEDS} shared seeds: no claim": few.to_numpy(),
        f"no claim, for {metric} does not separate them": gated,
    }
    return np.select(list(cases.values()), [np.array(note) for note in cases], "")

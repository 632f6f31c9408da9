"""Is the difference real: scores with intervals, paired tests of every pair, what could have been found, rank groups.

A *claim* that one architecture is better than another needs all of: at least `LEAST_SEEDS` shared seeds (unless both
are without randomness); a p-value of at most alpha after Holm over all pairs, from a t test whose variance holds seed
noise and review noise; and a difference that is not practically nothing. Metrics beside the main one claim a
difference only where the main one does, after Holm over all of them, so that they add no false claims of their own.

Why the t test and not the exact sign-flip test, which is printed beside it: five seeds cannot bring the exact test
below 0.0625, so that not even an architecture at chance could be told from the others. Why five seeds: the t test
keeps its level down to two of them where seed noise is normal (de Winter 2013, "Using the Student's t-test with
extremely small sample sizes"), but nobody can see from fewer than five whether it is.
"""

import itertools
from collections.abc import Collection

import numpy as np
import pandas as pd
from scipy import stats

from tasks import pairing
from tasks.errors import UserError
from tasks.panel import LOWER_IS_BETTER, Floats, Panel, contributions, panel, right
from tasks.power import minimum_detectable, power, seeds_for_exact_test, seeds_needed
from tasks.ranking import expected_validation, omnibus, rank_groups
from tasks.resampling import Noise, interval, item_draws, noise, seed_weights, share_interval

LEAST_SEEDS = 5
WITHOUT_RANDOMNESS = ("majority", "tfidf_logistic", "nb_svm")
POINT = 0.01


def compare(
    predictions: pd.DataFrame,
    cells: pd.DataFrame | None = None,
    *,
    metric: str = "accuracy",
    seed: int = 0,
    draws: int = 10_000,
    margin: float = 0.005,
    alpha: float = 0.05,
    deterministic: Collection[str] = WITHOUT_RANDOMNESS,
) -> dict[str, pd.DataFrame]:
    """Compare all architectures on the test reviews, the best one chosen on the validation reviews.

    Args:
        predictions: Columns architecture, seed, split ("validation", "test"), review_id, label, probability.
        cells: Columns architecture, seed, and as known status, parameters, train_seconds and latency; None if unknown.
        metric: The main metric, on which claims are made.
        seed: Of the resampling.
        draws: Resamples of the two-level bootstrap.
        margin: Differences of scores in [0, 1] below it are practically nothing.
        alpha: The rate of false claims that is accepted, over all pairs together.
        deterministic: Architectures that give the same model with any seed; one seed of them is all there is to know.

    Returns:
        The frames setup, summary, pairs, power, omnibus, groups and expected.

    Raises:
        UserError: Where the predictions cannot be compared, or the metric is unknown.
    """
    panels = {split: panel(predictions, split) for split in ("validation", "test")}
    return compare_panels(
        panels, cells, metric=metric, seed=seed, draws=draws, margin=margin, alpha=alpha, deterministic=deterministic
    )


def compare_panels(
    panels: dict[str, Panel],
    cells: pd.DataFrame | None = None,
    *,
    metric: str = "accuracy",
    seed: int = 0,
    draws: int = 10_000,
    margin: float = 0.005,
    alpha: float = 0.05,
    deterministic: Collection[str] = WITHOUT_RANDOMNESS,
) -> dict[str, pd.DataFrame]:
    """Compare as `compare` does, from the panels of "validation" and "test"."""
    given = {split: contributions(data) for split, data in panels.items()}
    if metric not in given["test"] or metric not in given["validation"]:
        raise UserError(f"Cannot compare by {metric!r}. These labels allow: {', '.join(given['test'])}.")
    unequal = set(panels["test"].architectures) ^ set(panels["validation"].architectures)
    if unequal:
        raise UserError(
            f"Only one of the splits validation and test is predicted by {', '.join(sorted(unequal))}. "
            "Predict both with every architecture, for the best is chosen on validation and reported on test."
        )
    resampled = {s: _resample(panels[s], given[s], draws=draws, seed=seed) for s in panels}
    summary = pd.concat(
        [summarise_panel(panels[s], given[s], resampled[s], s, cells, deterministic) for s in panels], ignore_index=True
    )
    pairs, power_frame = compare_pairs(
        panels["test"], given["test"], resampled["test"], metric=metric, margin=margin, alpha=alpha,
        deterministic=deterministic,
    )  # fmt: skip
    count = max(len(power_frame), 1)
    setup = {
        "metric": metric, "alpha": alpha, "margin": margin, "pairs": len(power_frame), "least_seeds": LEAST_SEEDS,
        "seeds_for_exact_test": seeds_for_exact_test(alpha / count), "draws": draws,
        "validation_reviews": len(panels["validation"].labels), "test_reviews": len(panels["test"].labels),
    }  # fmt: skip
    return {
        "setup": pd.DataFrame([setup]),
        "summary": summary,
        "pairs": pairs,
        "power": power_frame,
        "omnibus": omnibus(panels["test"], given["test"][metric], metric),
        "groups": rank_groups(summary, pairs, cells, metric=metric),
        "expected": expected_validation(panels["validation"], given["validation"][metric], cells, metric=metric),
    }


def _resample(data: Panel, given: dict[str, Floats], *, draws: int, seed: int) -> dict[str, Floats]:
    """Resample the reviews for all cells and metrics at once: metric to (architectures, seeds, draws)."""
    stacked = np.concatenate([each[data.present] for each in given.values()])
    means = np.split(item_draws(stacked, draws=draws, seed=seed), len(given))
    found = {name: np.full((*data.present.shape, draws), np.nan) for name in given}
    for name, mean in zip(given, means, strict=True):
        found[name][data.present] = mean
    return found


def summarise_panel(
    data: Panel,
    given: dict[str, Floats],
    resampled: dict[str, Floats],
    split: str,
    cells: pd.DataFrame | None,
    deterministic: Collection[str],
) -> pd.DataFrame:
    """Summarise each architecture and metric on one split, one row each, with its interval and its two variances."""
    rows = []
    for (a, name), metric in itertools.product(enumerate(data.architectures), given):
        table = given[metric][a][data.present[a]]
        scores, seeds = table.mean(axis=1), len(table)
        fixed = seeds == 1 and name in deterministic
        bounded = metric not in LOWER_IS_BETTER
        of = noise(table, fixed_seeds=fixed)
        mean = float(scores.mean())
        low, high = share_interval(mean, of, reviews=len(data.labels)) if bounded else interval(mean, of)
        draws = np.einsum(
            "sd,sd->d",
            resampled[metric][a][data.present[a]],
            seed_weights(seeds, draws=resampled[metric].shape[-1], seed=0),
        )
        rows.append(
            {
                "architecture": name, "split": split, "metric": metric, "mean": mean,
                "std": float(scores.std(ddof=1)) if seeds > 1 else np.nan, "min": scores.min(), "max": scores.max(),
                "low": low, "high": high, "seeds": seeds, "diverged": diverged_seeds(cells, name),
                "seed_variance": of.seed_variance, "item_variance": of.item_variance,
                "bootstrap_low": np.quantile(draws, 0.025), "bootstrap_high": np.quantile(draws, 0.975),
                "note": _note(seeds, fixed),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _note(seeds: int, fixed: bool) -> str:
    """Say what a row cannot tell."""
    if fixed:
        return "no randomness in training: the interval holds the test reviews' noise, all there is"
    return "one seed: seed noise is unknown, the interval holds the reviews' noise alone" if seeds == 1 else ""


def diverged_seeds(cells: pd.DataFrame | None, architecture: str) -> int:
    """Count the cells of an architecture whose training diverged."""
    if cells is None or "status" not in cells:
        return 0
    return int(((cells["architecture"] == architecture) & (cells["status"] == "diverged")).sum())


def _paired_rows(data: Panel, a: int, b: int, fixed: tuple[bool, bool]) -> tuple[list[int], list[int]]:
    """Pair the seeds of two architectures; a method without randomness meets every seed of the other."""
    ours, theirs = np.flatnonzero(data.present[a]).tolist(), np.flatnonzero(data.present[b]).tolist()
    if fixed[0]:
        return ours * len(theirs), theirs
    if fixed[1]:
        return ours, theirs * len(ours)
    shared = [each for each in ours if each in theirs]
    return shared, shared


def compare_pairs(
    data: Panel,
    given: dict[str, Floats],
    resampled: dict[str, Floats],
    *,
    metric: str,
    margin: float,
    alpha: float,
    deterministic: Collection[str],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Test every pair in every metric, the main metric first.

    Returns:
        The frames pairs (one row a pair and metric) and power (one row a pair, of the main metric).
    """
    couples = list(itertools.combinations(range(len(data.architectures)), 2))
    fixed = [
        name in deterministic and int(data.present[a].sum()) == 1 for a, name in enumerate(data.architectures)
    ]  # fmt: skip
    answers = _averaged_answers(data)
    rows, noises = [], []
    for name in [metric, *(each for each in given if each != metric)]:
        for a, b in couples:
            seeds = _paired_rows(data, a, b, (fixed[a], fixed[b]))
            row, of = _compare_pair(
                given[name][a], given[name][b], resampled[name][a], resampled[name][b], seeds,
                present=data.present[[a, b]], metric=name, margin=margin, fixed=fixed[a] and fixed[b],
            )  # fmt: skip
            only_first, only_second, p = pairing.mcnemar(answers[a], answers[b])
            names = {"first": data.architectures[a], "second": data.architectures[b]}
            rows.append({**names, **row, "only_first": only_first, "only_second": only_second, "mcnemar_p": p})
            if name == metric:
                noises.append((names, of, row["difference"], row["seeds"]))
    pairs = pd.DataFrame(rows, columns=None if rows else PAIR_COLUMNS)
    if rows:
        pairs = _with_verdicts(pairs, metric=metric, margin=margin, alpha=alpha)[PAIR_COLUMNS]
    return pairs, _power_frame(noises, margin=margin, level=alpha / max(len(couples), 1))


PAIR_COLUMNS = [
    "first", "second", "metric", "difference", "low", "high", "p", "p_holm", "p_sign_flip", "smallest_p", "verdict",
    "p_equivalent_holm", "seeds", "noise", "bootstrap_low", "bootstrap_high", "probability_first_better",
    "probability_low", "probability_high", "cliffs_delta", "d_z", "only_first", "only_second", "mcnemar_p",
    "seed_variance", "item_variance", "note",
]  # fmt: skip


def _averaged_answers(data: Panel) -> list[np.ndarray]:
    """Answer with the mean probability over seeds, and tell which answers are right: one (reviews,) an architecture."""
    means = np.stack([each[there].mean(axis=0) for each, there in zip(data.probabilities, data.present, strict=True)])
    averaged = data._replace(probabilities=means[:, None], present=np.ones((len(means), 1), dtype=bool))
    return list(right(averaged)[:, 0])


def _compare_pair(
    first: Floats,
    second: Floats,
    first_draws: Floats,
    second_draws: Floats,
    seeds: tuple[list[int], list[int]],
    *,
    present: np.ndarray,
    metric: str,
    margin: float,
    fixed: bool,
) -> tuple[dict[str, object], Noise]:
    """Compare two architectures in one metric: tables (seeds, reviews) and resampled means (seeds, draws)."""
    ours, theirs = seeds
    count = len(ours)
    own_scores, other_scores = first[present[0]].mean(axis=1), second[present[1]].mean(axis=1)
    if count == 0:  # no seed in common: all that is left to compare is their means, review by review
        table = (first[present[0]].mean(axis=0) - second[present[1]].mean(axis=0))[None]
        drawn = (first_draws[present[0]].mean(axis=0) - second_draws[present[1]].mean(axis=0))[None]
    else:
        table, drawn = first[ours] - second[theirs], first_draws[ours] - second_draws[theirs]
    of = noise(table, bounded=metric not in LOWER_IS_BETTER, fixed_seeds=fixed)
    difference = float(table.mean())
    low, high = interval(difference, of)
    weights = seed_weights(len(drawn), draws=drawn.shape[1], seed=0)
    sign = -1 if metric in LOWER_IS_BETTER else 1
    better = (np.sign(sign * drawn) + 1) / 2
    probability = float((np.sign(sign * table.mean(axis=1)) + 1).mean() / 2)
    chances = np.quantile((better * weights).sum(axis=0), [0.025, 0.975])
    spread = np.quantile((drawn * weights).sum(axis=0), [0.025, 0.975])
    p_sign_flip, smallest_p = pairing.sign_flip(table.mean(axis=1)) if count and not fixed else (1.0, 1.0)
    row: dict[str, object] = {
        "metric": metric, "difference": difference, "low": low, "high": high, "p": _p_value(difference, of),
        "p_sign_flip": p_sign_flip, "smallest_p": smallest_p,
        "p_equivalent": max(_p_value(difference - margin, of, side=-1), _p_value(difference + margin, of, side=1)),
        "seeds": count, "fixed": fixed, "noise": "seeds and reviews" if count > 1 else "reviews",
        "bootstrap_low": spread[0], "bootstrap_high": spread[1], "probability_first_better": probability,
        "probability_low": min(chances[0], probability), "probability_high": max(chances[1], probability),
        "cliffs_delta": pairing.cliffs_delta(own_scores, other_scores),
        "d_z": pairing.standardised_difference(table.mean(axis=1)),
        "seed_variance": of.seed_variance, "item_variance": of.item_variance,
    }  # fmt: skip
    return row, of


def _p_value(difference: float, of: Noise, *, side: int = 0) -> float:
    """Compute the p-value of a difference of 0: two-sided (0), or for greater (1) or less (-1)."""
    if of.variance == 0:
        return 1.0 if difference * (side or 1) <= 0 and (side or difference == 0) else 0.0
    statistic = difference / of.variance**0.5
    if side == 0:
        return float(2 * stats.t.sf(abs(statistic), of.freedom))
    return float(stats.t.sf(side * statistic, of.freedom))


def _with_verdicts(pairs: pd.DataFrame, *, metric: str, margin: float, alpha: float) -> pd.DataFrame:
    """Add the p-values adjusted for being many, a verdict in a word or two, and a note on what cannot be said."""
    main = (pairs["metric"] == metric).to_numpy()
    pairs = pairs.assign(p_holm=1.0, p_equivalent_holm=1.0)
    # Log-loss has no margin that would mean the same from task to task: it is never called equivalent.
    pairs.loc[pairs["metric"].isin(LOWER_IS_BETTER), "p_equivalent"] = 1.0
    for family in (main, ~main):
        pairs.loc[family, "p_holm"] = pairing.holm(pairs.loc[family, "p"].to_numpy())
        pairs.loc[family, "p_equivalent_holm"] = pairing.holm(pairs.loc[family, "p_equivalent"].to_numpy())
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
    notes = np.select(
        [pairs["fixed"], pairs["seeds"] == 0, pairs["seeds"] == 1, ~enough, gated],
        [
            "both without randomness: only the reviews' noise; no seeds for a sign-flip test or d_z",
            "no seed in common: means compared, seed noise unknown, no d_z",
            "one shared seed: seed noise unknown, the interval holds the reviews' noise alone, no d_z",
            f"fewer than {LEAST_SEEDS} shared seeds: no claim",
            f"no claim, for {metric} does not separate them",
        ],
        "",
    )
    return pairs.assign(verdict=verdict, note=notes)


def _power_frame(
    noises: list[tuple[dict[str, str], Noise, object, object]], *, margin: float, level: float
) -> pd.DataFrame:
    """Tell for each pair what could have been found at the first step of Holm, and the seeds that would settle it."""
    rows = []
    for names, of, difference, seeds in noises:
        known = {"variance": of.variance, "freedom": of.freedom, "alpha": level}
        target = max(abs(float(str(difference))), margin)
        needed = seeds_needed(of, difference=target, alpha=level, least=LEAST_SEEDS)
        rows.append(
            {
                **names, "seeds": seeds, "level": level, "minimum_detectable": minimum_detectable(**known),
                "power_one_point": power(POINT, **known), "target": target,
                "seeds_needed": -1 if needed is None else needed,
            }
        )  # fmt: skip
    columns = ["first", "second", "seeds", "level", "minimum_detectable", "power_one_point", "target", "seeds_needed"]
    return pd.DataFrame(rows, columns=columns)

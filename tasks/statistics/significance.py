"""Which differences between pairs of architectures are significant.

A difference is **significant** if all of the following hold:

- The pair has at least `MIN_SEEDS` shared seeds, or both architectures are deterministic.
- The p-value of a t test that includes seed variance and review variance is at most alpha after Holm's correction over
  all pairs.
- The interval does not contain 0, and the pair is not equivalent.
- The same p-value is at most alpha if the diverged seeds of the better architecture count as a constant prediction. A
  difference that ignores the seeds that failed is not significant.

Metrics other than the main one can be significant only for pairs for which the main one is, after Holm's correction
over all of them. They therefore add no false positives.

**Why the t test and not the exact sign-flip test**, which is reported next to it: with five seeds the smallest p-value
of the exact test is 0.0625, so not even an architecture at chance level could differ significantly from the others.

**Why five seeds.** The t test keeps its level with as few as two seeds if the scores are normal over seeds (de Winter
2013, "Using the Student's t-test with extremely small sample sizes"), but fewer than five scores cannot show whether
they are.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.evaluation.metrics import LOWER_IS_BETTER, METRICS
from tasks.statistics.multiple_testing import holm_adjust
from tasks.statistics.options import ComparisonOptions

MIN_SEEDS = 5
# Values of the column verdict.
FIRST_BETTER = "first better"
SECOND_BETTER = "second better"
EQUIVALENT = "equivalent"
INCONCLUSIVE = "too few seeds"
NOT_SIGNIFICANT = "not separable"


def add_verdicts(pairs: pd.DataFrame, options: ComparisonOptions) -> pd.DataFrame:
    """Add the p-values after Holm's correction, the verdict and the restrictions of each row.

    Args:
        pairs: Columns first, second, metric, difference, low, high, p, p_with_diverged, p_equivalent, seeds,
            deterministic, first_failed, second_failed.
        options: Options of the comparison.

    Returns:
        The same rows with the columns p_holm, p_equivalent_holm, verdict and note. The verdict is one of
        `FIRST_BETTER`, `SECOND_BETTER`, `EQUIVALENT`, `INCONCLUSIVE` and `NOT_SIGNIFICANT`.
    """
    pairs = _adjust_p_values(pairs, options.metric)
    main, names = pairs["metric"] == options.metric, pd.MultiIndex.from_frame(pairs[["first", "second"]])
    enough = (pairs["seeds"] >= MIN_SEEDS) | pairs["deterministic"]
    within_margin = (pairs["low"] > -options.margin) & (pairs["high"] < options.margin)
    equivalent = within_margin & (pairs["p_equivalent_holm"] <= options.alpha)
    excludes_zero = (pairs["low"] > 0) | (pairs["high"] < 0)
    different = enough & ~equivalent & (pairs["p_holm"] <= options.alpha) & excludes_zero
    ignoring = different & (pairs["p_with_diverged_holm"] > options.alpha)
    different &= ~ignoring
    gated = ~main & different & ~names.isin(names[main & different])
    first_better = (pairs["difference"] > 0) != pairs["metric"].isin(LOWER_IS_BETTER)
    verdict = np.select(
        [~enough, equivalent, different & ~gated & first_better, different & ~gated],
        [INCONCLUSIVE, EQUIVALENT, FIRST_BETTER, SECOND_BETTER],
        NOT_SIGNIFICANT,
    )
    notes = _notes(pairs, few=~enough, gated=gated, ignoring=ignoring, metric=options.metric)
    return pairs.assign(verdict=verdict, note=notes)


def _adjust_p_values(pairs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Add p_holm, p_with_diverged_holm and p_equivalent_holm.

    The main metric and all other metrics are two families of tests.
    """
    main = (pairs["metric"] == metric).to_numpy()
    names = ("p", "p_with_diverged", "p_equivalent")
    pairs = pairs.assign(**{f"{name}_holm": 1.0 for name in names})
    # No margin of the log-loss has the same meaning on every data set, so nothing is called equivalent by it.
    without_margin = [name for name, each in METRICS.items() if not each.has_margin]
    pairs.loc[pairs["metric"].isin(without_margin), "p_equivalent"] = 1.0
    for family in (main, ~main):
        for name in names:
            pairs.loc[family, f"{name}_holm"] = holm_adjust(pairs.loc[family, name].to_numpy())
    return pairs


def _notes(
    pairs: pd.DataFrame, *, few: "pd.Series[bool]", gated: "pd.Series[bool]", ignoring: "pd.Series[bool]", metric: str
) -> NDArray[np.str_]:
    """Return the restrictions of each row."""
    deterministic, seeds = pairs["deterministic"].to_numpy(dtype=bool), pairs["seeds"].to_numpy()
    notes = {
        "both deterministic: review variance only; no sign-flip test and no d_z": deterministic,
        "no shared seed: the means are compared, the seed variance is unknown, no d_z": seeds == 0,
        "one shared seed: the seed variance is unknown, the interval contains the review variance only, no d_z": (
            seeds == 1
        ),
        f"inconclusive: fewer than {MIN_SEEDS} shared seeds": few.to_numpy(),
        f"not significant, because the difference in {metric} is not significant": gated.to_numpy(),
        "not significant, because seeds of the better architecture diverged": ignoring.to_numpy(),
        "seeds failed: the difference contains them unless they diverged": (
            pairs[["first_failed", "second_failed"]].gt(0).any(axis=1).to_numpy()
        ),
    }
    return np.select(list(notes.values()), [np.array(note) for note in notes], "")

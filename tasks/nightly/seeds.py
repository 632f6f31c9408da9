"""Seeds of nightly runs."""

from datetime import date

import pandas as pd

REUSED_RUNS = 30  # nightly runs whose new seeds a run reports on, itself included
FIRST_NIGHTLY_SEED = 19_000_101_0  # smaller seeds are those of `--seeds`


def nightly_seeds(night: date, count: int) -> list[int]:
    """Derive the new seeds of a nightly run from its date.

    For 2026-11-24 they are 202611240, 202611241, and so on, so that no two dates share a seed.

    Args:
        night: Date of the nightly run.
        count: Number of seeds, at most 10.
    """
    return [int(f"{night:%Y%m%d}") * 10 + number for number in range(count)]


def reusable_trials(history: pd.DataFrame, night: date) -> dict[str, int]:
    """Return name and seed of the trials that earlier nightly runs added.

    They are in the cache and need no training. If code or a library changes, the same seed has another trial name, so a
    nightly run never trains the seeds of earlier ones again.

    Args:
        history: History of one data set and configuration.
        night: Only runs before this date are used, and of these the last `REUSED_RUNS` - 1 with new seeds.
    """
    nightly = (history["status"] == "finished") & (history["seed"] >= FIRST_NIGHTLY_SEED)
    earlier = history[nightly & (history["night"] < night)]
    last_dates = sorted(set(earlier["seed"] // 10))[-(REUSED_RUNS - 1) :]
    reused = earlier[(earlier["seed"] // 10).isin(last_dates)]
    return dict(zip(reused["trial"], reused["seed"].astype(int), strict=True))

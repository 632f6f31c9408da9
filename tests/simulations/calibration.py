"""Log-loss before and after calibration, on simulated models: `python -m tests.simulations.calibration`.

A model is calibrated on a small or large validation split and scored on 20,000 other reviews. Its log-odds are the true
ones times an overconfidence of 0.5, 1, 2 or 4. Models differ in how well they separate the classes: accuracy 84% or
95%, or all predictions correct. The table has the mean over the simulations and the worst increase. Seed 0.
"""

import argparse
import sys
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.special import expit

from tasks.evaluation.calibration import apply_temperature, fit_temperature
from tasks.evaluation.metrics import CLIP, log_loss

# Distance of the mean scores of the classes, in standard deviations, by accuracy.
SKILLS = {"84%": 1.0, "95%": 1.6, "100%": 6.0}
OVERCONFIDENCE = (0.5, 1.0, 2.0, 4.0)
REVIEWS = (20, 40, 200, 4_000)
TEST_REVIEWS = 20_000
MAX_SIMULATIONS = 250


def draw(reviews: int, skill: float, overconfidence: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw labels, (reviews,) int8, and probabilities, (reviews,) float, of a simulated model."""
    labels = (np.arange(reviews) % 2).astype(np.int8)
    scores = skill * (2 * labels - 1) + rng.standard_normal(reviews)
    return labels, np.clip(expit(2 * skill * overconfidence * scores), CLIP, 1 - CLIP)


def simulate(simulations: int = MAX_SIMULATIONS, seed: int = 0) -> Iterator[dict[str, object]]:
    """Yield one row per accuracy, overconfidence and number of validation reviews.

    Args:
        simulations: Number of validation splits, a tenth of it for the largest.
        seed: Seed of all draws.
    """
    rng = np.random.default_rng(seed)
    for accuracy, skill in SKILLS.items():
        for overconfidence in OVERCONFIDENCE:
            test = draw(TEST_REVIEWS, skill, overconfidence, rng)
            for reviews in REVIEWS:
                count = max(simulations // (1 if reviews <= 200 else 10), 1)
                splits = (draw(reviews, skill, overconfidence, rng) for _ in range(count))
                temperatures = [fit_temperature(*split) for split in splits]
                losses = [log_loss(test[0], apply_temperature(test[1], each)) for each in temperatures]
                before = log_loss(*test)
                yield {
                    "accuracy": accuracy, "overconfidence": overconfidence, "reviews": reviews, "before": before,
                    "after": float(np.mean(losses)), "worst": float(np.max(losses)) - before,
                    "scaled": float(np.mean(np.array(temperatures) != 1)), "simulations": count,
                }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=MAX_SIMULATIONS)
    table = pd.DataFrame(simulate(parser.parse_args().simulations))
    sys.stdout.write(table.to_string(index=False, float_format="{:.4f}".format) + "\n")

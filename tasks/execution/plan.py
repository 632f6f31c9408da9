"""List the trials of a comparison."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.config.recipe import Recipe
from tasks.models.baselines import BASELINES
from tasks.models.registry import ARCHITECTURES
from tasks.training.trial import trial_name

Call = dict[str, Any]
# From cheap to costly: on reviews by the ten thousand, the linear baselines take longer than the cheapest network.
BY_COST = ["majority", "simple_rnn", *BASELINES, *ARCHITECTURES]


def plan(
    architectures: Sequence[str], seeds: Sequence[int], recipe: Recipe, encoded: Sequence[dict[str, Any]], folder: Path
) -> list[Call]:
    """List the calls of `train` that a comparison needs: every architecture with every seed, and every baseline once.

    Args:
        architectures: In the order in which they are to be reported.
        seeds: Of each of them.
        recipe: What the networks share.
        encoded: What `encode` gave for each fraction of the training reviews.
        folder: The cache.
    """
    calls = []
    for notes in encoded:
        fraction = notes["train_fraction"]
        whole = fraction == max(each["train_fraction"] for each in encoded)
        networks = (notes["fingerprint"], folder / "encoded" / notes["file"])
        texts = (f"{notes['reviews']} {fraction}", folder / "reviews" / notes["reviews_file"])
        trials = [(a, seed, *networks) for a in architectures for seed in seeds]
        for name, seed, fingerprint, file in [*trials, *((baseline, 0, *texts) for baseline in BASELINES)]:
            called = f"{name}-seed-{seed}" + ("" if whole else f"-fraction-{fraction}")
            made_of = {"architecture": name, "seed": seed, "recipe": recipe, "data": file, "fraction": fraction}
            stored = trial_name(name, seed, recipe, fingerprint)
            calls.append({**made_of, "trial": called, "name": stored, "folder": folder})
    return calls


def _cost(architecture: str) -> int:
    """Rank an architecture by what its training takes; of the user's own nothing is known, so they start first."""
    return BY_COST.index(architecture) if architecture in BY_COST else len(BY_COST)

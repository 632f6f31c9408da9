"""Significance level of comparisons that are repeated after every nightly run.

If equal models are compared again and again while seeds are added, some comparison is significant by chance far more
often than the level of one comparison says. The level is therefore spent over the looks (Bonferroni's inequality, which
holds however the looks depend on each other): block b of 60 looks has 1 / (b (b + 1)) of it, each look in the block the
same part. The parts sum to the level over any number of looks, and to half of it over the first 60.
"""

LOOKS_PER_BLOCK = 60


def level_of_look(look: int, alpha: float = 0.05) -> float:
    """Return the level at which a comparison is tested so that all looks together have the level `alpha`.

    Args:
        look: Number of the look, from 1.
        alpha: Probability of any false positive over all looks.
    """
    block = (look - 1) // LOOKS_PER_BLOCK + 1
    return alpha / (LOOKS_PER_BLOCK * block * (block + 1))

"""Subsample the training data."""

import pyarrow as pa

from tasks.config.errors import UserError

FEWEST = 10  # training reviews of each class


def training_fraction(reviews: pa.Table, fraction: float) -> pa.Table:
    """Keep a fraction of the training reviews of each class, and all others.

    The review's id decides, which is a hash of its text: the choice is as good as random, the same whatever the
    order of rows, the same for every architecture and seed, and a smaller fraction is part of a larger one.

    Args:
        reviews: The frame reviews as a table: columns review_id, split, label among others.
        fraction: Share of the training reviews to keep, above 0 to 1.

    Returns:
        The rows that are kept, in their order.

    Raises:
        UserError: Where fewer than `FEWEST` reviews of a class would be left.
    """
    if fraction == 1:
        return reviews
    rows = reviews.select(["review_id", "split", "label"]).to_pandas()
    training = rows[rows["split"] == "train"].sort_values("review_id")
    place = training.groupby("label").cumcount()
    wanted = (fraction * training.groupby("label")["label"].transform("size")).round()
    kept = training.index[place < wanted]
    counts = training.loc[kept, "label"].value_counts().reindex([0, 1], fill_value=0)
    if counts.min() < FEWEST:
        raise UserError(
            f"train_fractions: received {fraction}, which leaves {counts[0]:,} negative and {counts[1]:,} positive of "
            f"{len(training):,} training reviews. The minimum is {FEWEST} of each class: ask for a larger fraction."
        )
    return reviews.filter(pa.array((rows["split"] != "train").to_numpy() | rows.index.isin(kept)))

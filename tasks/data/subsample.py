"""Subsample the training data."""

import pyarrow as pa

from tasks.config.errors import UserError
from tasks.data.limits import MIN_CLASS_SIZE


def keep_training_fraction(reviews: pa.Table, fraction: float) -> pa.Table:
    """Return a fraction of the training reviews of each class, and all other reviews.

    The selection depends on the review's id, which is a hash of its text. It is therefore as good as random, but does
    not depend on the order of rows and is the same for every architecture and seed. A smaller fraction is a subset of
    a larger one.

    Args:
        reviews: Columns review_id, split, label among others.
        fraction: Share of the training reviews to keep, above 0 to 1.

    Returns:
        The kept rows, in their order.

    Raises:
        UserError: If fewer than `MIN_CLASS_SIZE` training reviews of a class would be left.
    """
    if fraction == 1:
        return reviews
    rows = reviews.select(["review_id", "split", "label"]).to_pandas()
    training = rows[rows["split"] == "train"].sort_values("review_id")
    rank = training.groupby("label").cumcount()
    limit = (fraction * training.groupby("label")["label"].transform("size")).round()
    kept = training.index[rank < limit]
    counts = training.loc[kept, "label"].value_counts().reindex(training["label"].unique(), fill_value=0)
    if counts.min() < MIN_CLASS_SIZE:
        raise UserError(
            f"train_fractions: received {fraction}, which leaves {counts.min():,} reviews of a class among "
            f"{len(training):,} training reviews. The minimum is {MIN_CLASS_SIZE} of each class. Use a larger fraction."
        )
    return reviews.filter(pa.array((rows["split"] != "train").to_numpy() | rows.index.isin(kept)))

"""Bootstrap resamples of the training reviews."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.config.errors import UserError

DRAW_SEED = 731  # of all draws, so that they differ from those of other generators
MAX_DRAWS = 1_000  # until all classes are in a resample; one or two are enough unless a class is in few groups


def resample_training(reviews: pa.Table, groups: pa.Table, number: int) -> pa.Table:
    """Return a bootstrap resample of the training reviews, and all other reviews.

    As many groups as there are in the training reviews are drawn with replacement, each with all of its reviews. A
    group that is drawn twice is in the resample twice. Draws are repeated until all classes are in the resample. They
    depend on the number and on the reviews of each group only, so a resample is the same for every architecture and for
    every order of the rows. Source: Field and Welsh 2007, "Bootstrapping clustered data".

    Args:
        reviews: Columns review_id, split, label among others.
        groups: Columns review_id and, where it is known, cluster (the same number for the reviews of a group) of all
            reviews.
        number: Number of the resample, from 1.

    Raises:
        UserError: If the training reviews are of a single group, or no resample has all classes.
    """
    is_training = pc.equal(reviews["split"], "train")
    training, others = reviews.filter(is_training), reviews.filter(pc.invert(is_training))
    ids = training["review_id"].to_numpy()
    rows = draw_rows(ids, _group_numbers(ids, groups), training["label"].to_numpy(), number)
    return pa.concat_tables([training.take(pa.array(rows)), others])


def draw_rows(
    ids: NDArray[np.object_], groups: NDArray[np.int64], labels: NDArray[np.int8], number: int
) -> NDArray[np.int64]:
    """Return the rows of a resample, ordered by group and id.

    Args:
        ids: (reviews,) str, different ids.
        groups: (reviews,) int, the same number for the reviews of a group.
        labels: (reviews,) class of each review, from 0.
        number: Number of the resample.

    Raises:
        UserError: As `resample_training`.
    """
    members = _members_of_groups(ids, groups)
    if len(members) < 2:
        raise UserError("resample_training: all training reviews are of one group, so there is nothing to resample.")
    rng, classes = np.random.default_rng([DRAW_SEED, number]), np.unique(labels)
    for _ in range(MAX_DRAWS):
        drawn = np.sort(rng.integers(0, len(members), size=len(members)))
        rows = np.concatenate([members[group] for group in drawn])
        if len(classes) > 1 and np.isin(classes, labels[rows]).all():
            return rows
    raise UserError(
        f"resample_training: none of {MAX_DRAWS:,} resamples of {len(members):,} groups of training reviews has all "
        "classes. Use data with more groups of each class."
    )


def _members_of_groups(ids: NDArray[np.object_], groups: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the rows of each group by id; the groups are ordered by their first id, not by their number."""
    order = np.argsort(ids)
    _, first, inverse = np.unique(groups[order], return_index=True, return_inverse=True)
    place = np.argsort(np.argsort(first))[inverse]  # of the group of each ordered row
    sizes = np.bincount(place)
    return np.split(order[np.argsort(place, kind="stable")], np.cumsum(sizes)[:-1])


def _group_numbers(ids: NDArray[np.object_], groups: pa.Table) -> NDArray[np.int64]:
    if "cluster" not in groups.column_names:
        return np.arange(len(ids))
    places = pc.index_in(pa.array(ids, pa.large_string()), value_set=groups["review_id"].cast(pa.large_string()))
    return np.asarray(groups["cluster"].take(places).to_numpy(), dtype=np.int64)

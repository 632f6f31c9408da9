"""Sentences on groups of reviews, such as films, and on what they change."""

import pandas as pd

# In simulations, 95% intervals cover 88 to 92% with 15 groups, 91 to 94% with 30, and 94 to 96% with 67.
FEW_GROUPS = 50
UNKNOWN = (
    "It is not known which texts belong together, such as reviews of one film. If some do, the intervals are too short "
    "and differences are significant too often; name the column of the groups with --group."
)


def format_groups(setup: pd.DataFrame) -> list[str]:
    """Return the sentence on groups of test reviews.

    Args:
        setup: The frame setup.
    """
    row = setup.iloc[0]
    groups, reviews = int(row["test_groups"]), int(row["test_reviews"])
    if not row["groups_known"]:
        return [UNKNOWN]
    if groups == 1:
        return [
            "All test reviews are of one group. The variance between groups is unknown: intervals and tests hold for "
            "other reviews of this group only."
        ]
    if groups == reviews:
        return [f"Each of the {reviews:,} test reviews is of another group, so they count as independent."]
    effective, few = float(row["effective_test_groups"]), ""
    if effective < FEW_GROUPS:
        sizes = (
            "" if groups < FEW_GROUPS else f", because their sizes differ so much that they count as {effective:.0f}"
        )
        few = f" With fewer than {FEW_GROUPS} groups, the intervals can be too short{sizes}."
    return [
        f"The {reviews:,} test reviews are of {groups:,} groups. Intervals and tests treat the groups as independent, "
        f"not the reviews (design effect {row['design_effect']:.2f}: the groups change the review variance of a score "
        f"by this factor).{few}"
    ]


def group_sentences(setup: pd.DataFrame) -> list[str]:
    """Return what the verdict says on groups of test reviews: none if all reviews count as independent.

    Args:
        setup: The frame setup.
    """
    row = setup.iloc[0]
    groups, reviews = int(row["test_groups"]), int(row["test_reviews"])
    if groups in (1, reviews):
        return []
    return [
        f"The {reviews:,} test reviews are of {groups:,} groups, which all results treat as independent of each other "
        f"(design effect {row['design_effect']:.2f})."
    ]

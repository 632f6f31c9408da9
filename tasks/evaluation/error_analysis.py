"""Where the models err: kinds of reviews with their scores, how often architectures disagree, the surest mistakes."""

import itertools
import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.evaluation.predictions import Panel, averaged_answers, right

BANDS = (0, 100, 200, 400, np.inf)  # words: above the first bound, up to the next
NEGATION = re.compile(r"\b(?:not|no|never|none|nothing|nobody|neither|nor|cannot|\w+n['’]t)\b", re.IGNORECASE)


def kinds_of_reviews(reviews: pd.DataFrame) -> pd.DataFrame:
    """Tell of each test review which slices it belongs to.

    Args:
        reviews: Columns review_id, split, text.

    Returns:
        Index review_id (test reviews), bool columns named by slice: length bands in words, with and without a negation,
        and "not in training", the reviews whose text no training or validation review has.
    """
    test = reviews[reviews["split"] == "test"].set_index("review_id")
    words = test["text"].map(lambda text: len(text.split()))
    kinds = {}
    for low, high in itertools.pairwise(BANDS):
        name = f"over {low:.0f} words" if np.isinf(high) else f"{low + 1:.0f} to {high:.0f} words"
        kinds[name] = words.between(low, high, inclusive="right") if low else words <= high
    negated = test["text"].map(lambda text: bool(NEGATION.search(text))).astype(bool)
    seen = test["text"].isin(reviews.loc[reviews["split"] != "test", "text"])
    return pd.DataFrame({**kinds, "with negation": negated, "without negation": ~negated, "not in training": ~seen})


def slice_scores(data: Panel, kinds: pd.DataFrame) -> pd.DataFrame:
    """Score each architecture on each kind of review, against all its other reviews.

    Each architecture answers with its mean probability over its seeds, so that a review counts once: the intervals are
    of the models at hand, and hold no seed noise.

    Args:
        data: The test predictions.
        kinds: From `kinds_of_reviews`.

    Returns:
        Columns architecture, slice, accuracy, low, high (95% Wilson), reviews, rest_accuracy, p and p_adjusted
        (Fisher's exact test against the rest, Benjamini & Hochberg 1995 over all rows), note. A slice without reviews,
        or with all of them, has no p: the note says so, and an empty one has no accuracy.
    """
    from scipy.stats import fisher_exact
    from statsmodels.stats.multitest import multipletests
    from statsmodels.stats.proportion import proportion_confint

    answers, members = _answers(data), kinds.reindex(data.review_ids)
    rows = []
    for name, kind in ((name, kind) for name in data.architectures for kind in kinds.columns):
        inside = members[kind].fillna(False).to_numpy(dtype=bool)
        own, rest = answers[name][inside], answers[name][~inside]
        low, high = proportion_confint(own.sum(), len(own), method="wilson") if len(own) else (0.0, 1.0)
        table = [[own.sum(), (~own).sum()], [rest.sum(), (~rest).sum()]]
        tested = bool(len(own) and len(rest))
        rows.append(
            {
                "architecture": name, "slice": kind, "accuracy": own.mean() if len(own) else np.nan, "low": float(low),
                "high": float(high), "reviews": len(own), "rest_accuracy": rest.mean() if len(rest) else np.nan,
                "p": float(fisher_exact(table).pvalue) if tested else np.nan, "p_adjusted": np.nan,
                "note": "" if tested else "all reviews are of this kind" if len(own) else "no review is of this kind",
            }
        )  # fmt: skip
    scores = pd.DataFrame(rows)
    known = scores["p"].notna()
    if known.any():
        scores.loc[known, "p_adjusted"] = multipletests(scores.loc[known, "p"], method="fdr_bh")[1]
    return scores


def _answers(data: Panel) -> dict[str, NDArray[np.bool_]]:
    return dict(zip(data.architectures, averaged_answers(data), strict=True))


def disagreement(data: Panel) -> pd.DataFrame:
    """Compute the share of reviews that each two architectures answer differently, in [0, 1].

    Returns:
        A square frame, index and columns the architectures. Two answers differ where one alone is right.
    """
    answers = _answers(data)
    return pd.DataFrame({a: {b: float(np.mean(answers[a] != answers[b])) for b in answers} for a in answers})


def confidently_wrong(data: Panel, reviews: pd.DataFrame, *, most: int = 10) -> pd.DataFrame:
    """Find the reviews that every trial has wrong, the surest mistakes first.

    Returns:
        Columns review_id, label, probability (of the positive class, mean over trials) and text as written: to be
        escaped where it is shown. Empty where no review is wrong in every trial.
    """
    all_wrong = ~right(data)[data.present].any(axis=0)
    probability = data.probabilities[data.present].mean(axis=0)
    found = pd.DataFrame({"review_id": data.review_ids, "label": data.labels, "probability": probability})[all_wrong]
    found = found.assign(sureness=(found["probability"] - found["label"]).abs())
    found = found.sort_values(["sureness", "review_id"], ascending=[False, True]).head(most).drop(columns="sureness")
    texts = reviews.loc[reviews["split"] == "test", ["review_id", "text"]].astype({"review_id": str})
    return found.merge(texts, on="review_id", how="left").reset_index(drop=True)

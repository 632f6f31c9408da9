"""Groups of reviews: variances by hand, by statsmodels and by a bootstrap of whole groups."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tasks.data.records import UnsplitReviews
from tasks.data.splits import split_reviews
from tasks.evaluation.grouping import (
    ReviewGroups,
    add_groups,
    compare_proportions,
    effective_groups,
    group_contributions,
    make_groups,
    proportion_interval,
)
from tasks.evaluation.metrics import METRICS
from tasks.evaluation.predictions import predictions_of_split
from tests.helpers.simulated_predictions import simulate_predictions

NUMBERS = np.array([7, 3, 7, 3, 9, 9])


def test_groups_are_the_reviews_with_the_same_number() -> None:
    groups = make_groups(NUMBERS)
    assert groups is not None
    assert groups.sum(np.array([[1.0, 10, 2, 20, 100, 200]])).tolist() == [[30, 3, 300]]
    assert (groups.sizes.tolist(), groups.effective, groups.df) == ([2, 2, 2], 3, 2)
    assert make_groups(np.arange(5)) is None
    assert effective_groups(np.array([3, 1])) == pytest.approx(16 / 10)


def test_predictions_have_the_groups_of_their_reviews() -> None:
    reviews = pd.DataFrame({"review_id": ["x", "y", "z"], "split": "test", "cluster": [4, 8, 4]})
    rows = pd.DataFrame({"review_id": ["z", "x", "y"], "split": "test", "architecture": "a", "seed": 0, "label": 1})
    predictions = add_groups(rows.assign(probability=0.5), reviews)
    assert predictions["cluster"].tolist() == [4, 4, 8]
    arrays = predictions_of_split(predictions, "test")
    assert arrays.groups is not None
    assert arrays.review_ids.tolist() == ["x", "y", "z"]
    assert arrays.groups.sum(np.array([1.0, 2, 4])).tolist() == [5, 2]


def test_copies_of_a_text_count_once() -> None:
    texts = [f"text {number}" for number in range(240)] + ["Good"] * 30 + ["good."] * 30
    splits = ["train"] * 100 + ["validation"] * 60 + ["test"] * 140
    frame = pd.DataFrame({"text": texts, "label": [0, 1] * 120 + [1] * 60, "split": splits})
    reviews = split_reviews(UnsplitReviews(frame), seed=0).frame
    rows = reviews[reviews["split"] == "test"].assign(architecture="a", seed=0)
    is_copy = rows["text"].str.lower().str.startswith("good")
    arrays = predictions_of_split(
        add_groups(rows.drop(columns="cluster").assign(probability=is_copy * 0.8), reviews), "test"
    )
    assert arrays.groups is not None
    assert sorted(arrays.groups.sizes) == [1] * 80 + [60]
    everything, independent = np.ones(140, bool), ReviewGroups(np.arange(140), np.arange(140), np.ones(140, np.int64))
    intervals = [proportion_interval(arrays.labels == 1, everything, each) for each in (arrays.groups, independent)]
    widths = [high - low for low, high in intervals]
    assert widths[0] > 2 * widths[1]


def test_groups_without_two_reviews_of_a_split_are_left_out() -> None:
    rows, reviews = pd.DataFrame({"review_id": ["x", "y"]}), pd.DataFrame({"review_id": ["x", "y", "z"]})
    reviews = reviews.assign(split=["test", "validation", "train"], cluster=1)
    assert add_groups(rows, reviews) is add_groups(rows, reviews.drop(columns="cluster")) is rows
    assert list(add_groups(rows, reviews.assign(split="test"))) == ["review_id", "cluster"]


def test_variance_between_groups_by_hand() -> None:
    # The mean is 3; the groups deviate from it by -4, -2 and 6 in all, so the variance of the mean of six reviews is
    # 3 / 2 * (16 + 4 + 36) / 6^2.
    found = group_contributions(np.array([1.0, 2, 1, 2, 5, 7]), make_groups(NUMBERS))
    assert found.mean() == pytest.approx(3)
    assert found.var(ddof=1) / 3 == pytest.approx(3 / 2 * (16 + 4 + 36) / 36)


def test_variance_between_groups_as_statsmodels() -> None:
    rng = np.random.default_rng(0)
    numbers, values = np.repeat(np.arange(20), 7), rng.normal(size=140) + np.repeat(rng.normal(size=20), 7)
    shuffled = rng.permutation(140)
    found = group_contributions(values[shuffled], make_groups(numbers[shuffled]))
    fit = sm.OLS(values, np.ones(140)).fit(cov_type="cluster", cov_kwds={"groups": numbers})
    assert found.var(ddof=1) / 20 == pytest.approx(fit.cov_params().item())


@pytest.mark.parametrize("sizes", [[5] * 12, [1, 1, 2, 3, 5, 8, 13, 21, 34]])
def test_variance_between_groups_of_independent_reviews_has_no_bias(sizes) -> None:
    groups = make_groups(np.repeat(np.arange(len(sizes)), sizes))
    values = np.random.default_rng(1).normal(size=(20_000, sum(sizes)))
    found = group_contributions(values, groups).var(axis=1, ddof=1) / len(sizes)
    assert found.mean() == pytest.approx(1 / sum(sizes), rel=0.03)


def test_a_single_group_counts_as_independent_reviews() -> None:
    groups, values = make_groups(np.zeros(4, int)), np.array([1.0, 2, 4, 8])
    assert group_contributions(values, groups).tolist() == values.tolist()
    assert groups.df == 3


@pytest.mark.parametrize("metric", ["accuracy", "f1", "auc", "log_loss"])
def test_variance_agrees_with_a_bootstrap_of_whole_groups(metric) -> None:
    test = simulate_predictions([0.8], seeds=1, reviews=3_000, seed=2, architecture_std=0.7, group_size=30)["test"]
    probabilities, score = test.probabilities[0, 0].astype(float), METRICS[metric].score
    contributions = METRICS[metric].contributions(test.labels, probabilities)
    rng, scores = np.random.default_rng(0), []
    for _ in range(600):
        drawn = (rng.integers(0, 100, 100)[:, None] * 30 + np.arange(30)).ravel()
        scores.append(score(test.labels[drawn], probabilities[drawn]))
    by_group = group_contributions(contributions, test.groups).std(ddof=1) / 100**0.5
    assert by_group == pytest.approx(np.std(scores), rel=0.12)
    assert contributions.std(ddof=1) / 3_000**0.5 < 0.7 * by_group


def test_interval_of_a_share_by_hand() -> None:
    # Shares of 4, 3, 2 and 1 of 4 in four groups: deviations 1.5, 0.5, -0.5 and -1.5 from 2.5.
    successes = np.concatenate([np.arange(4) < right for right in (4, 3, 2, 1)])
    groups = make_groups(np.repeat(np.arange(4), 4))
    low, high = proportion_interval(successes, np.ones(16, bool), groups)
    size = 0.625 * 0.375 / (4 / 3 * 5 / 16**2)
    t = stats.t.ppf(0.975, 3)
    # Wilson's limits are the shares p at which |p - 0.625| = t * sqrt(p (1 - p) / size).
    for limit in (low, high):
        assert abs(limit - 0.625) == pytest.approx(t * (limit * (1 - limit) / size) ** 0.5)
    assert low < 0.625 < high


def test_interval_of_a_share_in_one_group_is_everything() -> None:
    groups = make_groups(NUMBERS)
    inside = NUMBERS == 7
    assert proportion_interval(np.ones(6, bool), inside, groups) == (0, 1)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 5)), min_size=2, max_size=30))
def test_intervals_and_tests_of_shares_are_valid(rows) -> None:
    successes, inside, numbers = (np.array(column) for column in zip(*rows, strict=True))
    groups = make_groups(numbers)
    if groups is None or not inside.any() or inside.all():
        return
    low, high = proportion_interval(successes, inside, groups)
    assert 0 <= low <= successes[inside].mean() <= high <= 1
    p = compare_proportions(successes, inside, groups)
    assert p is None or 0 <= p <= 1


def test_shares_in_groups_are_compared_with_the_right_level() -> None:
    rng = np.random.default_rng(3)
    groups, inside = make_groups(np.repeat(np.arange(60), 10)), np.repeat(np.arange(60) < 20, 10)
    p_values, ignored = [], []
    for _ in range(600):
        shares = np.repeat(rng.beta(4, 1, 60), 10)
        successes = rng.random(600) < shares
        p_values.append(compare_proportions(successes, inside, groups))
        table = [[successes[part].sum(), (~successes[part]).sum()] for part in (inside, ~inside)]
        ignored.append(stats.chi2_contingency(table).pvalue)
    assert 0.03 <= np.mean(np.array(p_values) <= 0.05) <= 0.07
    assert np.mean(np.array(ignored) <= 0.05) > 0.12

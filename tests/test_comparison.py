"""The comparison on made-up models: bad and odd input, tests against the libraries, and the words of the verdict."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import f1_score, log_loss, roc_auc_score

from tasks import pairing
from tasks.comparison import compare, compare_panels
from tasks.errors import UserError
from tasks.panel import contributions, panel
from tasks.power import minimum_detectable, power, seeds_for_exact_test
from tasks.ranking import expected_best
from tasks.resampling import interval, noise, share_interval, two_level_draws
from tasks.verdict import verdict
from tests.simulated_predictions import as_predictions, simulated_panels


def small(accuracies=(0.8, 0.85), *, seeds=5, reviews=400, **options):
    return simulated_panels(list(accuracies), seeds=seeds, reviews=reviews, seed=3, **options)


def test_the_mean_of_the_contributions_is_the_metric():
    data = small(reviews=60)["test"]
    given = contributions(data)
    scores = data.probabilities[1, 2].astype(float)
    assert given["auc"][1, 2].mean() == pytest.approx(roc_auc_score(data.labels, scores))
    assert given["f1"][1, 2].mean() == pytest.approx(f1_score(data.labels, scores > 0.5))
    assert given["log_loss"][1, 2].mean() == pytest.approx(log_loss(data.labels, scores))
    assert given["accuracy"][1, 2].mean() == pytest.approx(np.mean((scores > 0.5) == data.labels))


def test_the_analysis_of_variance_by_hand():
    # By hand: row means 2 and 5, column means 2, 3 and 5.5; MS_seeds 13.5, MS_reviews 6.5, MS_rest 0.5.
    found = noise(np.array([[1.0, 1.0, 4.0], [3.0, 5.0, 7.0]]))
    assert found.variance == pytest.approx((13.5 + 6.5 - 0.5) / 6)
    assert found.seed_variance == pytest.approx((13.5 - 0.5) / 3)
    assert found.item_variance == pytest.approx((6.5 - 0.5) / 6 + 0.5 / 3)
    assert found.freedom == pytest.approx(((13.5 + 6) / 13.5) ** 2)


def test_a_perfect_score_is_not_certain():
    low, high = share_interval(1.0, noise(np.ones((3, 50))), reviews=50)
    assert 0.9 < low < 0.95
    assert high == 1


def test_draws_repeat_and_stay_paired():
    table = np.random.default_rng(0).random((2, 3, 40))
    table[1] = table[0] + 0.25
    draws = two_level_draws(table, draws=300, seed=4)
    np.testing.assert_array_equal(draws, two_level_draws(table, draws=300, seed=4))
    np.testing.assert_allclose(draws[1] - draws[0], 0.25, atol=1e-6)
    assert draws[0].std() > 0


def test_sign_flip_as_scipy():
    differences = np.array([0.3, -0.1, 0.4, 0.2, 0.25])
    same = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert pairing.sign_flip(differences) == (pytest.approx(same.pvalue), 2 / 2**5)


def test_effect_sizes_and_mcnemar_by_hand():
    assert pairing.cliffs_delta(np.array([1.0, 3.0]), np.array([2.0, 2.0])) == 0
    assert pairing.standardised_difference(np.array([1.0, 3.0])) == pytest.approx(2 / np.sqrt(2))
    first, second = np.array([1, 1, 1, 0, 1], bool), np.array([0, 0, 1, 0, 0], bool)
    assert pairing.mcnemar(first, second) == (3, 0, pytest.approx(0.25))


def test_expected_best_by_hand():
    assert expected_best(np.array([0.0, 1.0]), 2) == pytest.approx(0.75)
    assert expected_best(np.array([0.0, 1.0]), 2, lower=True) == pytest.approx(0.25)


def test_power_at_the_minimum_detectable_difference():
    known = {"variance": 4e-6, "freedom": 6.0, "alpha": 0.01}
    assert power(minimum_detectable(**known), **known) == pytest.approx(0.8, abs=1e-6)
    assert power(0.0, **known) == pytest.approx(0.01, abs=1e-3)
    assert power(0.004, **known) == pytest.approx(stats.nct.sf(stats.t.ppf(0.995, 6), 6, 2), abs=2e-3)
    assert seeds_for_exact_test(0.005) == 9


def test_a_clear_loser_is_found_and_said():
    cells = pd.DataFrame({"architecture": ["model_0", "model_1"], "seed": 0, "parameters": [10, 20]})
    frames = compare(as_predictions(small([0.6, 0.85])), cells, draws=200)
    assert frames["pairs"]["verdict"].iloc[0] == "second better"
    assert frames["groups"]["group"].tolist() == [1, 2]
    assert any("Model 0" in sentence and "a real difference" in sentence for sentence in verdict(frames))


@pytest.mark.parametrize("seeds", [1, 3])
def test_too_few_seeds_make_no_claim(seeds):
    frames = compare_panels(small([0.6, 0.85], seeds=seeds), draws=100)
    assert set(frames["pairs"]["verdict"]) == {"too few seeds"}
    assert frames["pairs"]["note"].ne("").all()
    assert any("no difference is claimed" in sentence for sentence in verdict(frames))
    assert any("Seed noise is unknown" in sentence for sentence in verdict(frames)) == (seeds == 1)


def test_all_predictions_equal():
    panels = small([0.8, 0.8, 0.8], reviews=50)
    for data in panels.values():
        data.probabilities[:] = data.probabilities[:1, :1]
    frames = compare_panels(panels, draws=100)
    assert set(frames["pairs"]["verdict"]) == {"not separable"}
    assert frames["omnibus"]["note"].ne("").all()
    assert frames["groups"]["group"].eq(1).all()
    assert verdict(frames)


def test_different_seeds_and_a_diverged_cell():
    predictions = as_predictions(small([0.8, 0.85, 0.82]))
    predictions.loc[predictions["architecture"].eq("model_1") & predictions["seed"].eq(2), "probability"] = np.nan
    predictions.loc[predictions["architecture"].eq("model_2"), "seed"] += 100
    cells = pd.DataFrame({"architecture": ["model_1"], "seed": [2], "status": ["diverged"]})
    frames = compare(predictions, cells, draws=100)
    pairs = frames["pairs"].query("metric == 'accuracy'").set_index(["first", "second"])
    assert pairs["seeds"].tolist() == [4, 0, 0]
    assert (frames["summary"].query("architecture == 'model_1'")["diverged"] == 1).all()
    assert any("diverged with 1 seed" in sentence for sentence in verdict(frames))
    without_word = frames["pairs"][frames["pairs"]["note"].eq("")]
    assert without_word.notna().all(axis=None)


def test_a_method_without_randomness_meets_every_seed():
    predictions = as_predictions(small([0.6, 0.85], seeds=5))
    predictions = predictions[predictions["architecture"].ne("model_0") | predictions["seed"].eq(0)]
    frames = compare(predictions, draws=100, deterministic=("model_0",))
    assert frames["pairs"]["seeds"].iloc[0] == 5
    assert frames["pairs"]["verdict"].iloc[0] == "second better"


def test_low_point_high_and_the_order_of_rows():
    predictions = as_predictions(small())
    frames = compare(predictions, draws=200)
    again = compare(predictions.sample(frac=1, random_state=1).sort_values("architecture", kind="stable"), draws=200)
    pd.testing.assert_frame_equal(frames["pairs"], again["pairs"])
    for frame, point in ((frames["summary"], "mean"), (frames["pairs"], "difference")):
        assert (frame["low"] <= frame[point]).all()
        assert (frame[point] <= frame["high"]).all()
    assert interval(1.0, noise(np.ones((2, 4)))) == (1.0, 1.0)


def test_one_architecture_alone():
    assert any("nothing to compare" in sentence for sentence in verdict(compare_panels(small([0.8]), draws=100)))


def test_faults_are_told_all_at_once():
    predictions = as_predictions(small())
    predictions.loc[len(predictions) - 1, "probability"] = 1.5
    with pytest.raises(UserError, match=r"1 rows .* \[0, 1\].*1 cells miss"):
        panel(predictions.drop(index=len(predictions) - 2), "test")
    with pytest.raises(UserError, match="validation"):
        panel(predictions.query("split == 'test'"), "validation")

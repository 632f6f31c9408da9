"""Searches over configurations: expected score of the selected one, crossing points, improvement and optimism."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.evaluation.metrics import METRICS
from tasks.statistics.ranking import expected_maximum
from tasks.statistics.tuning import (
    chance_correlation,
    constant_parameters,
    crossing_points,
    finished_configurations,
    largest_parameter_correlation,
    parameter_correlations,
    pooled_seed_std,
    searched_parameters,
    selection_weights,
    tuning_curve,
    tuning_summary,
    weighted_quantile,
)
from tests.helpers import synthetic

ACCURACY, LOG_LOSS = METRICS["accuracy"], METRICS["log_loss"]


def make_search(losses, scores, *, name="lstm", status=None, cpu=10.0, units=None):
    """Return the table tuning of one architecture; the lowest loss is selected."""
    count = len(losses)
    table = pd.DataFrame(
        {"architecture": name, "configuration": range(1, count + 1), "units": units or range(count), "seed": 2_000,
         "status": status or "finished", "epochs": 2, "validation_loss": losses, "validation_accuracy": scores,
         "validation_log_loss": losses, "cpu_seconds": cpu, "train_seconds": 8.0, "selected": False}
    )  # fmt: skip
    finished = table.loc[table["status"] == "finished", "validation_loss"]
    return table.assign(selected=table.index == (finished.idxmin() if len(finished) else -1))


def test_expected_score_is_the_mean_over_all_sets_of_configurations():
    # By hand: of the pairs, {1, 2} and {2, 3} select configuration 2, which has the lowest loss, and {1, 3} selects 1.
    curve = tuning_curve(make_search([0.4, 0.3, 0.5], [0.80, 0.85, 0.90]), ACCURACY)
    assert curve["configurations"].tolist() == [1, 2, 3]
    assert curve["expected"].tolist() == pytest.approx([0.85, (0.85 + 0.85 + 0.80) / 3, 0.85])
    assert curve["low"].tolist() == pytest.approx([0.80, 0.80, 0.85])
    assert curve["high"].tolist() == pytest.approx([0.90, 0.85, 0.85])
    assert curve["cpu_seconds"].tolist() == [10, 20, 30]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=6).filter(lambda x: any(b for _, b in x))
)
def test_expected_score_equals_that_of_all_subsets(configurations):
    losses = [float(loss) for loss, _ in configurations]
    scores = [0.5 + 0.07 * place for place in range(len(losses))]
    status = ["finished" if finished else "diverged" for _, finished in configurations]
    curve = tuning_curve(make_search(losses, scores, status=status), ACCURACY).set_index("configurations")["expected"]
    for number in range(1, len(losses) + 1):
        selected = []
        for chosen in itertools.combinations(range(len(losses)), number):
            done = [place for place in chosen if configurations[place][1]]
            if done:
                selected.append(scores[min(done, key=lambda place: (losses[place], place))])
        assert curve[number] == pytest.approx(np.mean(selected))


def test_selection_by_the_score_itself_gives_the_expected_best():
    scores = np.array([0.81, 0.88, 0.84, 0.86])
    curve = tuning_curve(make_search(1 - scores, scores), ACCURACY)
    assert curve["expected"].tolist() == pytest.approx([expected_maximum(scores, number) for number in (1, 2, 3, 4)])
    lower = tuning_curve(make_search(1 - scores, scores), LOG_LOSS)["expected"].tolist()
    best = [expected_maximum(1 - scores, number, lower_is_better=True) for number in (1, 2, 3, 4)]
    assert lower == pytest.approx(best)


def test_expected_score_is_unbiased_and_with_replacement_it_is_not():
    # The expected maximum of three uniform scores is 3/4.
    rng, found = np.random.default_rng(0), []
    for _ in range(2_000):
        scores = rng.random(5)
        found.append(selection_weights(5, 0, 3) @ np.sort(scores))
    assert np.mean(found) == pytest.approx(0.75, abs=0.01)


def test_last_point_is_the_selected_configuration_also_if_losses_are_equal():
    search = make_search([0.3, 0.3, 0.4], [0.80, 0.90, 0.70])
    selected = search.loc[search["selected"], "validation_accuracy"].item()
    last = tuning_curve(search, ACCURACY).iloc[-1]
    assert (last["expected"], last["low"], last["high"]) == (selected, selected, selected) == (0.80, 0.80, 0.80)


def test_architecture_of_which_nothing_finished_has_no_curve():
    search = make_search([np.nan, np.nan], [np.nan, np.nan], status="diverged")
    assert len(tuning_curve(search, ACCURACY)) == 0
    assert len(finished_configurations(search, ACCURACY)) == 0


def test_quantile_is_the_smallest_value_with_enough_weight():
    values, weights = np.array([3.0, 1.0, 2.0]), np.array([0.5, 0.04, 0.46])
    assert [weighted_quantile(values, weights, share) for share in (0.04, 0.05, 0.5, 0.95)] == [1, 2, 2, 3]


def make_curves(*lines):
    rows = [(name, n, y, x) for name, points in lines for n, (x, y) in enumerate(points, 1)]
    return pd.DataFrame(rows, columns=["architecture", "configurations", "expected", "cpu_seconds"])


def test_crossing_points_lie_between_the_points_of_both_curves():
    # rnn = 0.80 + 0.001 x up to 0.82; lstm = 0.70 + 0.004 x: they cross at x = 33.3, after the last point of rnn.
    curves = make_curves(("rnn", [(10, 0.81), (20, 0.82)]), ("lstm", [(20, 0.78), (40, 0.86)]))
    assert len(crossing_points(curves, "cpu_seconds", ACCURACY)) == 0
    # From 0.03 below to 0.04 above between one and two configurations: at 1 + 3/7.
    assert crossing_points(curves, "configurations", ACCURACY).to_numpy().tolist() == [
        ["rnn", "lstm", pytest.approx(1 + 3 / 7)]
    ]
    lower = crossing_points(curves, "configurations", LOG_LOSS)
    assert lower[["smaller", "larger"]].to_numpy().tolist() == [["lstm", "rnn"]]


def test_curves_that_touch_do_not_cross_and_equal_stretches_cross_at_their_beginning():
    touch = make_curves(("a", [(1, 0.5), (2, 0.6), (3, 0.8)]), ("b", [(1, 0.4), (2, 0.6), (3, 0.7)]))
    assert len(crossing_points(touch, "configurations", ACCURACY)) == 0
    cross = make_curves(("a", [(1, 0.5), (2, 0.6), (3, 0.6)]), ("b", [(1, 0.4), (2, 0.6), (3, 0.7)]))
    assert crossing_points(cross, "configurations", ACCURACY).to_numpy().tolist() == [["a", "b", 2.0]]


def test_cpu_seconds_are_interpolated_by_their_logarithm():
    # From 0.1 below to 0.1 above between 10 and 1,000 seconds: in the middle of the logarithms.
    curves = make_curves(("a", [(10, 0.6), (1_000, 0.6)]), ("b", [(10, 0.5), (1_000, 0.7)]))
    assert crossing_points(curves, "cpu_seconds", ACCURACY)["budget"].tolist() == pytest.approx([100])


@pytest.mark.filterwarnings("error")
def test_curve_without_cpu_seconds_has_no_crossing_point():
    curves = make_curves(("a", [(np.nan, 0.5), (np.nan, 0.9)]), ("b", [(1, 0.7), (2, 0.8)]))
    assert len(crossing_points(curves, "cpu_seconds", ACCURACY)) == 0
    assert len(crossing_points(curves, "configurations", ACCURACY)) == 1


def make_scores(**values):
    rows = [
        {"architecture": name, "seed": seed, "split": split, "metric": "accuracy", "value": value}
        for name, seeds in values.items() for seed, value in enumerate(seeds) for split in ("validation",)
    ]  # fmt: skip
    rows += [{**row, "split": "test", "value": 0.1} for row in rows]  # must not be read
    return pd.DataFrame(rows)


def test_summary_has_improvement_and_optimism():
    search = make_search([0.40, 0.30, np.nan], [0.84, 0.88, np.nan], status=["finished", "finished", "diverged"])
    (row,) = tuning_summary(search, make_scores(lstm=[0.86, 0.87]), ACCURACY).to_dict("records")
    assert (row["configurations"], row["diverged"], row["failed"], row["new_seeds"]) == (3, 1, 0, 2)
    assert (row["cpu_seconds"], row["selected"]) == (30, 2)
    assert row["improvement"] == pytest.approx(0.04)
    assert row["optimism"] == pytest.approx(0.88 - 0.865)


@pytest.mark.filterwarnings("error")
def test_summary_of_an_architecture_without_results_is_not_known():
    search = make_search([np.nan, 0.3], [np.nan, 0.8], status=["diverged", "finished"]).assign(cpu_seconds=np.nan)
    (row,) = tuning_summary(search, make_scores(other=[0.5]), ACCURACY).to_dict("records")
    assert np.isnan([row["cpu_seconds"], row["shared"], row["improvement"], row["mean"], row["optimism"]]).all()
    assert row["best"] == 0.8


def test_seed_noise_is_pooled_by_degrees_of_freedom():
    searches = pd.concat([make_search([0.4, 0.3], [0.84, 0.88], name=name) for name in ("lstm", "gru", "rnn")])
    # Variances 0.0002 with one degree of freedom and 0.0001 with two; a single seed has none.
    scores = make_scores(lstm=[0.86, 0.88], gru=[0.85, 0.86, 0.87], rnn=[0.5])
    summary = tuning_summary(searches, scores, ACCURACY)
    assert pooled_seed_std(summary) == pytest.approx(np.sqrt((0.0002 + 2 * 0.0001) / 3))
    assert np.isnan(pooled_seed_std(summary[summary["architecture"] == "rnn"]))


def test_largest_correlation_between_parameters_ignores_constant_ones():
    search = make_search([0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4], units=[1, 2, 3, 4])
    search.insert(2, "dropout", [0.4, 0.1, 0.2, 0.3])  # ranks 4, 1, 2, 3 against 1, 2, 3, 4: 1 - 6 · 12 / 60
    search.insert(2, "batch_size", 64)
    assert largest_parameter_correlation(search) == pytest.approx(0.2)
    assert np.isnan(largest_parameter_correlation(search.drop(columns="dropout")))


def test_rank_correlation_of_a_monotonic_and_of_a_symmetric_relation():
    losses, scores = [0.5, 0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.4, 0.7, 0.9]
    (rising,) = parameter_correlations(make_search(losses, scores, units=[1, 2, 4, 8, 100]), ACCURACY).to_dict(
        "records"
    )
    assert (rising["parameter"], rising["configurations"], rising["correlation"]) == ("units", 5, pytest.approx(1))
    middle = make_search(losses, [0.1, 0.5, 0.9, 0.5, 0.1], units=[1, 2, 3, 4, 5])
    assert parameter_correlations(middle, ACCURACY)["correlation"].item() == pytest.approx(0)


@pytest.mark.filterwarnings("error")
def test_rank_correlation_of_few_or_equal_values_is_not_known():
    few, equal = make_search([0.3, 0.2, 0.1], [0.1, 0.2, 0.3]), make_search([0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4])
    assert parameter_correlations(few, ACCURACY)["correlation"].isna().all()
    assert parameter_correlations(equal.assign(units=64), ACCURACY)["correlation"].isna().all()


def test_correlation_by_chance_is_near_the_table_of_critical_values():
    # Exact critical values of Spearman's correlation, two-sided 5%: 0.587 for 12 and 0.447 for 20.
    assert chance_correlation(12) == pytest.approx(0.587, abs=0.015)
    assert chance_correlation(20) == pytest.approx(0.447, abs=0.01)


def test_searched_parameters_are_between_configuration_and_seed():
    assert searched_parameters(synthetic.make_tuning(["lstm"])) == [
        "learning_rate", "dropout", "layer_dropout", "batch_size", "units", "embedding_size",
    ]  # fmt: skip


def test_parameters_with_one_value_were_not_searched():
    table = synthetic.make_tuning(["lstm", "gru"])
    fixed = table.assign(embedding_size=5)
    assert set(searched_parameters(table)) - set(searched_parameters(fixed)) == {"embedding_size"}
    assert (constant_parameters(table), constant_parameters(fixed)) == ({}, {"embedding_size": 5})
    single = fixed[fixed["configuration"] == 1]
    assert (searched_parameters(single), constant_parameters(single)) == (searched_parameters(table), {})

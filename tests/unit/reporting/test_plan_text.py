"""The text of a plan: each statement holds for any variances, and nothing unknown is printed as a number."""

import re
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.reporting.plan_text import Plan, format_plan
from tasks.statistics.durations import TrainingTimes
from tasks.statistics.planned_resamples import TrainingVariance, resample_needs
from tasks.statistics.planning import Goal, PairVariance, Range, detectable_difference, planned_power
from tests.helpers.examples import examples

PAIRS = [
    PairVariance("lstm", "gru", 1e-5, 0.01, 0.05, df=4),
    PairVariance("simple_rnn", "lstm", 1e-4, 0.02, 0.06, df=4),
    PairVariance("simple_rnn", "gru", 9e-5, 0.02, 0.06, df=4),
]
PLAN = Plan(
    goal=Goal(0.01, 0.8, 0.05, 5_000),
    tests=1,
    architectures=["simple_rnn", "lstm", "gru"],
    seeds=5,
    workers=2,
    pairs=PAIRS,
    failed=[],
    variances_source="a run",
    data_source="reviews",
    times=TrainingTimes(dict.fromkeys(("simple_rnn", "lstm", "gru"), Range(50, 100, 200)), "a run"),
)


def test_table_has_the_seeds_of_the_plan_and_those_that_are_needed() -> None:
    text = format_plan(PLAN)
    typical, noisiest = (int(seeds) for seeds in re.findall(r"^To detect .*: (\d+) seeds", text, re.MULTILINE))
    assert planned_power(PAIRS[2], typical, PLAN.goal) >= 0.8 > planned_power(PAIRS[2], typical - 1, PLAN.goal)
    assert planned_power(PAIRS[1], noisiest, PLAN.goal) >= 0.8
    rows = {int(row.split()[0]): row.split() for row in re.findall(r"^ *\d+ .*", text, re.MULTILINE)}
    assert set(rows) == {3, 5, 10, 20, typical, noisiest}
    assert rows[3][1:5] == ["none", "0", "none", "0"]
    assert float(rows[5][1]) == pytest.approx(100 * detectable_difference(PAIRS[2], 5, PLAN.goal), abs=0.006)
    # (3 networks x 5 seeds x 100 s) / 2 workers + 20 s, with half and twice the training time.
    assert rows[5][5:] == ["13", "(7", "to", "25)"]


def test_configurations_of_a_search_take_as_long_as_seeds() -> None:
    text = format_plan(replace(PLAN, tune=12))
    (row,) = re.findall(r"^ *5 .*", text, re.MULTILINE)
    # (3 networks x (12 configurations + 5 seeds) x 100 s) / 2 workers + 20 s, with half and twice the training time.
    assert row.split()[5:] == ["43", "(22", "to", "85)"]
    # 3 networks x 12 configurations, before 3 networks x 5 seeds; 36 x 100 s / 2 workers.
    assert re.search(r"12 configurations .* 36 trainings .* 15 of 5 seeds.* add 30 \(15 to 60\) minutes", text)
    assert "configuration" not in format_plan(PLAN)


def test_failed_seeds_of_the_shown_pairs_are_named() -> None:
    assert "failed" not in format_plan(PLAN)
    assert "Seeds of Simple RNN failed in that run" in format_plan(replace(PLAN, failed=["simple_rnn"]))
    assert "failed" not in format_plan(replace(PLAN, failed=["nb_svm"]))


def resample_lines(text: str) -> list[str]:
    return text.split("\n\n")[-1].splitlines()


def test_unknown_variance_between_training_samples_is_stated_in_one_sentence() -> None:
    (line,) = resample_lines(format_plan(replace(PLAN, training_source="no run has any")))
    assert "unknown, because no run has any" in line
    # 5 resamples x 3 networks x 100 s / 2 workers, with half and twice the training time.
    assert "5, add 12 (6 to 25) minutes" in line


def test_resamples_and_their_time_are_planned_if_the_variance_between_training_samples_is_known() -> None:
    known = TrainingVariance(4e-6, 7)
    training, goal = {frozenset(("gru", "simple_rnn")): known}, replace(PLAN.goal, difference=0.02)
    plan = replace(PLAN, goal=goal, training=training, training_source="run x")
    (line,) = resample_lines(format_plan(plan))  # the variance of the other pair is not known
    seeds, count = (int(number) for number in re.findall(r"(\d+) seeds and (\d+) resamples", line)[0])
    (typical,) = re.findall(r"^To detect .* between Simple RNN and GRU: (\d+) seeds", format_plan(plan), re.MULTILINE)
    assert (seeds, count) == resample_needs(PAIRS[2], known, int(typical), plan.goal)[:2]
    assert f"--resample-training {count}" in line
    assert f"the resamples add {count * 300 / 2 / 60:.0f} (" in line
    assert "0.20 points (standard deviation, from 7 resamples of run x)" in line


def test_a_training_sample_that_varies_too_much_is_stated() -> None:
    plan = replace(PLAN, training={frozenset(("gru", "simple_rnn")): TrainingVariance(4e-4, 5)})
    (line,) = resample_lines(format_plan(plan))
    assert "do not suffice" in line
    assert "2.00 points" in line


@examples(20, thorough=40)
@given(
    st.floats(0, 1e-2), st.floats(0, 0.3), st.floats(0, 0.5), st.integers(2, 10**7), st.floats(1e-6, 1),
    st.integers(1, 1_000), st.one_of(st.none(), st.floats(1e-6, 1)),
)  # fmt: skip
@example(seed=0.0, shared=0.0, rest=0.0, reviews=12, difference=0.25, seeds=1, groups=1.0)
def test_any_plan_states_what_is_needed(seed, shared, rest, reviews, difference, seeds, groups) -> None:
    pair = PairVariance("lstm", "gru", seed, shared, rest, df=3, groups_per_review=groups)
    goal = Goal(difference, 0.8, 0.01, reviews)
    text = format_plan(replace(PLAN, pairs=[pair], goal=goal, seeds=seeds))
    assert not re.search(r"\b(nan|inf)\b", text)
    (line,) = [line for line in text.splitlines() if line.startswith("To detect ")]
    if found := re.search(r": ([\d,]+) seeds? \(", line):
        assert planned_power(pair, int(found[1].replace(",", "")), goal) >= 0.8
    elif found := re.search(r"With ([\d,]+) seeds, ([\d,]+) test reviews", line):
        count, more = (int(number.replace(",", "")) for number in found.groups())
        assert planned_power(pair, count, replace(goal, reviews=more)) >= 0.8
        assert more > reviews
        assert planned_power(pair, 1_000, goal) < 0.8
    else:
        assert "more than 1,000 seeds" in line
        assert planned_power(pair, 1_000, goal) < 0.8
    assert ("nothing can be detected" in text) == (seeds < 5)

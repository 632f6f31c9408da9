"""What the verdict says about other training reviews is true for every run: it is recomputed by other code."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.config.labels import label
from tasks.evaluation.predictions import predictions_of_split
from tasks.reporting.sections import variance_sections
from tasks.reporting.verdict import format_verdict
from tasks.reporting.verdict_record import verdict_record
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.training_sample import compare_training_samples
from tests.unit.reporting.test_verdict import BASELINES, Frames, Model, make_run

OPTIONS = ComparisonOptions(draws=20)


def add_resamples(frames: Frames, models: Mapping[str, Model], resamples: int, diverged: Mapping[str, int]) -> Frames:
    """Add the tables of trials on resamples, of which the first ones of an architecture diverged."""
    runs = make_run({name.replace("_", "-"): model for name, model in models.items()}, seeds=resamples, reviews=400,
                    positives=200, seed=77)  # fmt: skip
    for frame in (runs["predictions"], runs["trials"], runs["scores"]):  # renamed, so that baselines have many trials
        frame["architecture"] = frame["architecture"].str.replace("-", "_")

    def keep(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.rename(columns={"seed": "resample"})
        return frame[frame["resample"] >= frame["architecture"].map(lambda name: diverged.get(name, 0))]

    predictions, scores = keep(runs["predictions"]), keep(runs["scores"])
    trials = runs["trials"].rename(columns={"seed": "resample"})
    lost = trials["resample"] < trials["architecture"].map(lambda name: diverged.get(name, 0))
    trials["status"] = np.where(lost, "diverged", "finished")
    test = predictions_of_split(frames["predictions"], "test")
    own = predictions_of_split(predictions.rename(columns={"resample": "seed"}), "test") if len(predictions) else None
    tables = compare_training_samples(test, own, frames, diverged, OPTIONS)
    return frames | tables | {"resampled_trials": trials, "resampled_scores": scores}


def make_resampled_run(
    models: Mapping[str, Model], *, seeds: int, resamples: int, diverged: Mapping[str, int] | None = None
) -> Frames:
    frames = make_run(models, seeds=seeds, reviews=400, positives=200)
    return add_resamples(frames, models, resamples, diverged or {})


def check_training_claims(frames: Frames) -> None:
    """Recompute what holds for other training reviews from the tables by plain loops, and check the sentences."""
    record, formatted = verdict_record(frames), format_verdict(frames)
    training, best = record.training, record.recommended
    assert training is not None
    claims = {*record.better, *record.worse, *record.equivalent}
    assert {*training.held, *training.not_held, *training.not_tested} == claims
    assert len(training.held) + len(training.not_held) + len(training.not_tested) == len(claims)
    for name in claims:
        rows = frames["training_pairs"].query("metric == 'accuracy'").to_dict("records")
        (row,) = [row for row in rows if {row["first"], row["second"]} == {best, name}]
        if row["resamples"] < 5:
            assert name in training.not_tested
            continue
        zero_outside = row["low"] > 0 or row["high"] < 0
        inside = row["low"] > -0.005 and row["high"] < 0.005
        holds = inside if name in record.equivalent else row["p_holm"] <= 0.05 and zero_outside
        assert not (name in training.held and not holds)
        lost = {row["first"]: row["first_diverged"], row["second"]: row["second_diverged"]}
        if holds and not any(lost.values()) and name not in record.equivalent:
            assert name in training.held
    scores = frames["resampled_scores"].query("split == 'validation' and metric == 'accuracy'")
    wins = compared = 0
    for resample in set(frames["resampled_trials"]["resample"]):
        own = {row["architecture"]: row["value"] for row in scores.to_dict("records") if row["resample"] == resample}
        if set(own) - {best}:
            compared += 1
            wins += best in own and all(own[best] >= value - 1e-9 for value in own.values())
    assert (training.best, training.compared) == (wins, compared)
    assert len(formatted.sentences) == 3
    for sentence in [*formatted.sentences, *formatted.limits]:
        assert not re.search(r"\bnan\b|\binf\b|\bNone\b|-0\.0+(?!\d)|(?<![\d,.])1 (resamples|bootstrap resamples)\b",
                             sentence), sentence  # fmt: skip
    certainty = formatted.sentences[1]
    assert ("also hold" in certainty) == bool(training.held)
    assert ("may not hold" in certainty) == bool(training.not_held)
    assert ("not tested for other" in certainty) == bool(training.not_tested)
    for name, _ in training.diverged:
        assert any(sentence.startswith(f"{label(name)}: training diverged on") for sentence in formatted.limits)


@st.composite
def resampled_runs(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the arguments of `make_resampled_run`: strengths, baselines, diverged trials, few seeds and resamples."""
    names = draw(st.lists(st.sampled_from(["lstm", "simple_rnn", "m.a:Net", *BASELINES]), min_size=1, max_size=4,
                          unique=True))  # fmt: skip
    strengths = st.sampled_from([1.0, 1.02, 2.5, 0.2])
    models = {name: Model(draw(strengths), draw(strengths), 9.0, copy=draw(st.booleans())) for name in names}
    resamples = draw(st.integers(1, 8))
    networks = [name for name in names if name not in BASELINES and draw(st.booleans())]
    diverged = {name: draw(st.integers(0, resamples)) for name in networks}
    return {"models": models, "seeds": draw(st.integers(1, 7)), "resamples": resamples, "diverged": diverged}


@pytest.mark.slow
@given(run=resampled_runs())
@settings(max_examples=60)
def test_claims_about_other_training_reviews_are_true(run: dict[str, Any]) -> None:
    check_training_claims(make_resampled_run(**run))


STRONG, WEAK = Model(2.5, 2.5, 9.0), Model(0.2, 0.2, 9.0)


@pytest.mark.parametrize(
    ("models", "resamples", "diverged", "field"),
    [
        ({"lstm": STRONG, "simple_rnn": WEAK}, 6, {}, "held"),
        ({"lstm": STRONG, "simple_rnn": WEAK}, 6, {"simple_rnn": 1}, "held"),
        ({"lstm": STRONG, "simple_rnn": WEAK}, 7, {"lstm": 1}, "not_held"),
        ({"lstm": STRONG, "simple_rnn": WEAK}, 6, {"simple_rnn": 6}, "not_tested"),
        ({"lstm": STRONG, "simple_rnn": WEAK}, 1, {}, "not_tested"),
        ({"nb_svm": STRONG, "simple_rnn": WEAK, "majority": Model(0, 0, 1.0)}, 6, {}, "held"),
    ],
)
def test_typical_runs(models: dict, resamples: int, diverged: dict, field: str) -> None:
    frames = make_resampled_run(models, seeds=6, resamples=resamples, diverged=diverged)
    check_training_claims(frames)
    assert "simple_rnn" in getattr(verdict_record(frames).training, field)


def test_verdict_states_that_the_training_sample_is_not_part_of_it() -> None:
    frames = make_run({"lstm": STRONG, "simple_rnn": WEAK}, seeds=6, reviews=400, positives=200)
    assert verdict_record(frames).training is None
    (condition,) = [text for text in format_verdict(frames).limits if "models trained on" in text]
    assert "--resample-training" in condition
    frames = add_resamples(frames, {"lstm": STRONG, "simple_rnn": WEAK}, 6, {})
    (condition,) = [text for text in format_verdict(frames).limits if "models trained on" in text]
    assert "6 bootstrap resamples" in condition


def test_report_shows_all_sources_of_variance_and_both_intervals() -> None:
    models = {"lstm": STRONG, "simple_rnn": WEAK}
    frames = make_run(models, seeds=6, reviews=400, positives=200)
    (alone,) = variance_sections(frames)
    frames = add_resamples(frames, models, 6, {})
    sources, differences = variance_sections(frames)
    assert alone.title == sources.title == "Sources of variance"
    assert set(sources.table.header) - set(alone.table.header) == {"Training reviews", "Resamples"}
    row = frames["variance_components"].query("architecture == 'lstm' and metric == 'accuracy'").iloc[0]
    (shown,) = [dict(zip(sources.table.header, map(str, cells), strict=True)) for cells in sources.table.rows
                if cells[0] == "LSTM"]  # fmt: skip
    assert shown["Training reviews"] == f"{100 * row['training_variance'] ** 0.5:.2f}"
    assert shown["Resamples"] == "6"
    pair, own = (frames[name].query("metric == 'accuracy'").iloc[0] for name in ("pairs", "training_pairs"))
    (cells,) = differences.table.rows
    shown = dict(zip(differences.table.header, map(str, cells), strict=True))
    assert shown["Difference [95% interval]"].endswith(f"[{100 * pair['low']:.2f}, {100 * pair['high']:.2f}]")
    both = shown["With other training reviews [95% interval]"]
    assert both.endswith(f"[{100 * own['low']:.2f}, {100 * own['high']:.2f}]")

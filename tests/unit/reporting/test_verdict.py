"""The verdict is true for every run: its record is recomputed from the predictions and the pairs by other code."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    roc_auc_score,
)

from tasks.config.labels import label
from tasks.config.metric_names import METRIC_NAMES
from tasks.evaluation.scores import classification_reports, score_trials
from tasks.reporting.summary_tables import summary_table
from tasks.reporting.verdict import format_verdict, verdict
from tasks.reporting.verdict_format import format_limits
from tasks.reporting.verdict_limits import limit_sentences
from tasks.reporting.verdict_record import Verdict, verdict_record
from tasks.reporting.verdict_sentences import certainty_sentence, recommendation_sentence, verdict_sentences
from tasks.statistics.comparison import compare
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.ranking import rank_groups
from tests.helpers.simulated_predictions import simulate_predictions, to_frame

BASELINES = ("majority", "tfidf_logistic", "nb_svm")
# Two functions of one name, and one that is named as a built-in architecture.
NETWORKS = ("lstm", "simple_rnn", "models.first:Net", "models.second:Net", "models.first:lstm")
CATEGORIES = ("better", "worse", "equivalent", "not_significant", "inconclusive")
Frames = dict[str, pd.DataFrame]


@dataclasses.dataclass(frozen=True)
class Model:
    """A made-up architecture: logits of its margin on both splits; 0 is a constant prediction.

    Attributes:
        validation: Strength on the validation reviews.
        test: Strength on the test reviews.
        parameters: Number of parameters; NaN if it is not known.
        diverged: Seeds that diverged.
        failed: Seeds that predict a constant.
        copy: Whether every seed predicts the same, as all other models with this flag and strength do.
    """

    validation: float
    test: float
    parameters: float
    diverged: frozenset[int] = frozenset()
    failed: frozenset[int] = frozenset()
    copy: bool = False


def make_run(
    models: Mapping[str, Model],
    *,
    seeds: int,
    reviews: int,
    positives: int,
    seed: int = 0,
    metric: str = "accuracy",
) -> Frames:
    """Return the frames of a run that the verdict reads; one trial at least has predictions."""
    rng, tables, trials = np.random.default_rng(seed), [], []
    for name, model in models.items():
        for number in range(1 if name in BASELINES else seeds):
            diverged = number in model.diverged and name not in BASELINES
            trials.append(
                {"architecture": name, "seed": number, "status": "diverged" if diverged else "finished",
                 "parameters": model.parameters, "train_seconds": 10.0, "train_reviews": 1,
                 "latency_ms": np.nan if diverged else 0.5}
            )  # fmt: skip
            if diverged:
                continue
            for split, strength in (("validation", model.validation), ("test", model.test)):
                labels = (np.arange(reviews) < positives).astype(np.int8)
                noise = np.random.default_rng(1 if model.copy else rng.integers(2**32)).standard_normal(reviews)
                constant = strength == 0 or number in model.failed or name == "majority"
                margins = np.zeros(reviews) - 0.1 if constant else (2 * labels - 1) * (strength + noise)
                ids = [f"{split}-{each}" for each in range(reviews)]
                columns = {"architecture": name, "seed": number, "split": split, "review_id": ids, "label": labels}
                tables.append(pd.DataFrame(columns | {"probability": (1 / (1 + np.exp(-margins))).astype(np.float32)}))
    return finish_run(pd.concat(tables, ignore_index=True), pd.DataFrame(trials), metric)


def finish_run(predictions: pd.DataFrame, trials: pd.DataFrame, metric: str = "accuracy") -> Frames:
    """Add the tables of a comparison to predictions and trials."""
    frames = {"predictions": predictions, "trials": trials, "scores": score_trials(predictions)}
    frames["classes"] = classification_reports(predictions)
    return frames | compare(predictions, trials, ComparisonOptions(metric=metric, draws=20))


# The independent implementation: plain loops over predictions, trials and pairs; it uses neither `groups` nor the code
# of the verdict.


SCORES = {
    "accuracy": lambda y, p: accuracy_score(y, p > 0.5),
    "balanced_accuracy": lambda y, p: balanced_accuracy_score(y, p > 0.5),
    "average_precision": average_precision_score,
    "f1": lambda y, p: f1_score(y, p > 0.5, zero_division=0),
    "auc": roc_auc_score,
    "log_loss": lambda y, p: log_loss(y, p.astype(float)),
}


def seed_scores(predictions: pd.DataFrame, name: str, split: str, metric: str) -> list[float]:
    """Return the score of each seed."""
    own = predictions[(predictions["architecture"] == name) & (predictions["split"] == split)]
    tables = [(table["label"].to_numpy(), table["probability"].to_numpy()) for _, table in own.groupby("seed")]
    return [float(SCORES[metric](*table)) for table in tables]


def main_metric(frames: Frames, chosen: str) -> str:
    """Return the metric of a run: the chosen one, or by the share of the rarer class in the test reviews."""
    labels = frames["predictions"].query("split == 'test'").drop_duplicates("review_id")["label"]
    default = "balanced_accuracy" if min(labels.mean(), 1 - labels.mean()) < 0.4 else "accuracy"
    return default if chosen == "auto" else chosen


def recalls(predictions: pd.DataFrame, name: str, split: str, value: int) -> list[float]:
    """Return the share of a class that each seed finds."""
    rows = (predictions["architecture"] == name) & (predictions["split"] == split) & (predictions["label"] == value)
    return [float(((t["probability"] >= 0.5) == value).mean()) for _, t in predictions[rows].groupby("seed")]


def count_failed(predictions: pd.DataFrame, name: str, metric: str) -> int:
    """Return how many seeds order the test reviews no better than chance, or are far below the other seeds."""
    rows = predictions[(predictions["architecture"] == name) & (predictions["split"] == "test")]
    tables = [table for _, table in rows.groupby("seed")]
    scores = np.array(seed_scores(predictions, name, "test", metric))
    gaps = (np.median(scores) - scores) * (-1 if metric == "log_loss" else 1)
    limit = max(0.05, 5 * 1.4826 * np.median(abs(gaps))) if len(scores) > 2 else np.inf
    count = 0
    for table, gap in zip(tables, gaps, strict=True):
        positive, negative = (table.loc[table["label"] == value, "probability"].to_numpy() for value in (1, 0))
        size = len(positive) * len(negative)
        higher = positive[:, None] - negative
        area = ((higher > 0).sum() + (higher == 0).sum() / 2) / size
        bound = min(0.6, 0.5 + 1.645 * ((len(table) + 1) / (12 * size)) ** 0.5)
        count += bool(area < bound or gap > limit)
    return count


def result_of(pairs: pd.DataFrame, other: str, best: str, metric: str) -> str:
    """Return the category of an architecture compared with the best one, from the row of the pair."""
    pairs = pairs[pairs["metric"] == metric]
    is_first = (pairs["first"] == other) & (pairs["second"] == best)
    is_second = (pairs["first"] == best) & (pairs["second"] == other)
    (row,) = pairs[is_first | is_second].to_dict("records")
    names = {"equivalent": "equivalent", "not separable": "not_significant", "too few seeds": "inconclusive"}
    if row["verdict"] in names:
        return names[row["verdict"]]
    return "better" if (row["verdict"] == "first better") == (row["first"] == other) else "worse"


def expected_claims(frames: Frames, chosen: str = "accuracy") -> dict[str, object]:
    """Recompute the claims of the verdict by the chosen metric."""
    metric = main_metric(frames, chosen)
    sign = 1 if metric == "log_loss" else -1
    predictions, trials = frames["predictions"], frames["trials"]
    names = list(dict.fromkeys(predictions["architecture"]))
    validation = {name: float(np.mean(seed_scores(predictions, name, "validation", metric))) for name in names}
    parameters = {name: float(trials[trials["architecture"] == name]["parameters"].mean()) for name in names}
    latency = {name: float(trials[trials["architecture"] == name]["latency_ms"].mean()) for name in names}

    def rank(name: str) -> tuple[float, float, float, str]:
        cost = np.inf if np.isnan(parameters[name]) else parameters[name]
        return (round(sign * validation[name], 9), cost, latency[name], name)

    best = min(names, key=rank)
    results = {name: result_of(frames["pairs"], name, best, metric) for name in names if name != best}
    claims: dict[str, object] = {
        "metric": metric,
        "is_imbalance_default": chosen == "auto" and metric == "balanced_accuracy",
        "recommended": best,
        "ties": {name for name in results if abs(validation[name] - validation[best]) < 1e-9},
        "validation_score": pytest.approx(validation[best]),
        "test_score": pytest.approx(np.mean(seed_scores(predictions, best, "test", metric))),
        "without_scores": set(trials["architecture"]) - set(names),
    }
    for category in CATEGORIES:
        claims[category] = {name for name, result in results.items() if result == category}
    counts = {name: len(set(predictions[predictions["architecture"] == name]["seed"])) for name in names}
    claims["one_seed"] = {name for name in names if counts[name] == 1 and name not in BASELINES}
    failures = {}
    for name in names:
        total = int((trials["architecture"] == name).sum())
        failed = 0 if name in BASELINES else count_failed(predictions, name, metric)
        if total > counts[name] or failed:
            failures[name] = (total, total - counts[name], failed)
    claims["failures"] = failures
    return claims


SINGLE_CLAIMS = ("metric", "is_imbalance_default", "recommended", "validation_score", "test_score")


def as_sets(record: Verdict) -> dict[str, object]:
    """Return the claims of a record; the order of names does not matter."""
    names = (*CATEGORIES, "ties", "one_seed", "without_scores")
    scores = {name: getattr(record, name) for name in SINGLE_CLAIMS}
    failures = {each.architecture: (each.trials, each.diverged, each.failed) for each in record.failures}
    return scores | {name: set(getattr(record, name)) for name in names} | {"failures": failures}


def check_details(record: Verdict, frames: Frames) -> None:
    """Check the claims on costs, on what could not be detected, and on the rarer class."""
    if record.cheaper is not None:
        means = frames["trials"].groupby("architecture")["parameters"].mean()
        assert means[record.cheaper] < means[record.recommended]
        assert result_of(frames["pairs"], record.cheaper, record.recommended, record.metric) not in (
            "worse",
            "inconclusive",
        )
        assert record.cheaper not in {each.architecture for each in record.failures}
    power = frames["power"].set_index(["first", "second"])
    assert [each.architecture for each in record.undecided] == [*record.not_significant, *record.inconclusive]
    for each in record.undecided:
        pair = (each.architecture, record.recommended)
        row = power.loc[pair if pair in power.index else pair[::-1]]
        assert each.seeds == row["seeds"]
        assert (each.architecture in record.inconclusive) == (each.seeds < 5 and not each.deterministic)
        if each.seeds < 5 and not each.deterministic:
            assert (each.detectable, each.seeds_needed, each.reviews_needed) == (None, None, False)
        if each.deterministic:
            assert {each.architecture, record.recommended} <= set(BASELINES)
        if each.seeds_needed is not None:
            assert each.seeds_needed == row["seeds_needed"] > each.seeds
        if each.seeds_needed is not None or each.reviews_needed:
            assert not row["minimum_detectable_difference"] <= row["target_difference"] == each.target
    labels = frames["predictions"].query("split == 'test'").drop_duplicates("review_id")["label"]
    share = float(labels.mean())
    assert (record.rare_class is not None) == (min(share, 1 - share) < 0.4)
    if record.rare_class is not None:
        rare = int(share < 0.5)
        assert record.rare_class.name == ("negative", "positive")[rare]
        assert record.rare_class.share == pytest.approx(min(share, 1 - share))
        own = recalls(frames["predictions"], record.recommended, "test", rare)
        assert record.rare_class.recall == pytest.approx(np.mean(own))


def check_failed_seeds(record: Verdict, frames: Frames) -> None:
    """Check the column of failed seeds, which exists only if there are any."""
    table, seeds = format_verdict(frames).table, frames["trials"].groupby("architecture").size()
    failed = {label(each.architecture): each.diverged + each.failed for each in record.failures}
    failed |= {label(name): seeds[name] for name in record.without_scores}
    assert ("Failed seeds" in table.header) == bool(failed)
    assert {len(row) for row in table.rows} == {len(table.header)}
    totals = {label(str(name)): count for name, count in seeds.items()}
    for row in table.rows if failed else ():
        count = failed.get(str(row[0]), 0)
        assert str(row[5]) == (f"{count} of {totals[str(row[0])]}" if count else "0")


def check_sentences(record: Verdict, frames: Frames) -> None:
    """Check that the sentences follow the record, name every category once, and are well formed."""
    formatted = format_verdict(frames)
    sentences = [*formatted.sentences, *formatted.limits, *formatted.findings]
    assert len(formatted.sentences) == 3
    assert formatted.sentences == verdict_sentences(record)
    for sentence in [*sentences, formatted.note]:
        assert not re.search(r"\bnan\b|\binf\b|\bNone\b|-0\.0+(?!\d)", sentence), sentence
        assert not re.search(r"(?<![\d,.])1 (seeds|reviews|groups|pairs|parameters|training reviews|architectures)\b",
                             sentence), sentence  # fmt: skip
    check_units(record, [*sentences, formatted.note])
    check_failed_seeds(record, frames)
    assert not any(re.search(rf"(?<!one ){word} 1 test reviews", text) for word in ("the", "on") for text in sentences)
    starts = [formatted.sentences[0].startswith(text) for text in ("Recommended", "No architecture", "No clear")]
    is_majority = record.recommended == "majority"
    assert starts == [record.is_recommended, is_majority, bool(record.better) and not is_majority]
    if record.others:
        clauses = certainty_sentence(record)
        found = [
            f"significantly {word}" in clauses for word in ("better", "worse")
        ] + ["not significantly different" in clauses, "inconclusive" in clauses]  # fmt: skip
        claimed = (record.better, record.worse, record.not_significant, record.inconclusive)
        assert found == [bool(names) for names in claimed]
        assert ("may be as good or better" in clauses) == bool(record.not_significant)
        assert ("over all pairs" in clauses) == (len(record.inconclusive) < record.others)
        assert not re.search(r"choice is|recommend", clauses)  # sentence 1 alone decides this
    for each in record.failures:
        seeds = f"{each.trials} seed{'s' * (each.trials > 1)}"
        share = f"{each.diverged + each.failed} of {seeds} of {label(each.architecture)}"
        assert len(record.failures) > 3 or share in formatted.sentences[1]
    words = {str(row[0]): str(row[4]) for row in formatted.table.rows}
    assert len(words) == record.others + 1 + len(record.without_scores)
    expected = dict.fromkeys(record.without_scores, "failed")
    for category, word in zip(
        CATEGORIES, ("better", "worse", "equivalent", "not significant", "inconclusive"), strict=True
    ):
        expected |= dict.fromkeys(getattr(record, category), word)
    expected[record.recommended] = "recommended" if record.is_recommended else "reference"
    assert words == {label(name): word for name, word in expected.items()}
    for name in record.without_scores:
        assert any(label(name) in sentence for sentence in formatted.limits)


def check_units(record: Verdict, sentences: list[str]) -> None:
    """Check that scores and differences have the unit and direction of the metric, and no other one is ranked."""
    text, name = " ".join(sentences), label(record.metric).lower()
    if record.metric == "log_loss":
        assert not re.search(r"\bpoints\b|highest validation", text)
        assert "nats" in text
        assert not re.search(r"log-loss (of |\()?[\d.]+%", text)
    else:
        assert not re.search(r"\bnats\b|lowest validation", text)
    others = {each.lower() for each in map(label, SCORES)} - {name}
    ranked = re.findall(r"(?:validation|test) ([a-z0-9-]+(?: accuracy)?) (?:\(|of )", text.lower())
    assert not [found for found in ranked if found in others], ranked
    explained = sum("--metric" in sentence for sentence in sentences)
    assert explained == record.is_imbalance_default
    if record.is_imbalance_default and record.rare_class and record.rare_class.best:
        assert f"below 40%, the default metric is {name}" in sentences[0]


STRENGTHS = st.sampled_from([1.0, 1.02, 2.5, 0.2, 0.0])
PARAMETERS = st.sampled_from([500.0, 1.0, 90_000.0, np.nan])


@st.composite
def runs(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the arguments of `make_run`: any networks, baselines, strengths, failures, costs, sizes and class shares."""
    seeds = draw(st.integers(1, 12))
    names = draw(st.lists(st.sampled_from([*NETWORKS, *BASELINES]), min_size=1, max_size=5, unique=True))
    any_seeds = st.frozensets(st.integers(0, seeds - 1), max_size=seeds)
    few_seeds = st.one_of(st.just(frozenset()), st.just(frozenset()), st.just(frozenset([0])), any_seeds)
    every_seed = frozenset(range(seeds))
    models = {
        name: Model(
            draw(STRENGTHS), draw(STRENGTHS), draw(PARAMETERS), draw(few_seeds | st.just(every_seed)), draw(few_seeds),
            draw(st.booleans()),
        )
        for name in names
    }  # fmt: skip
    if all(name not in BASELINES and model.diverged == every_seed for name, model in models.items()):
        models[names[0]] = dataclasses.replace(models[names[0]], diverged=frozenset())
    reviews = draw(st.sampled_from([400, 60, 9, 2]))
    positives = draw(st.sampled_from([reviews // 2, max(reviews // 20, 1), reviews - 1]))
    sizes = {"seeds": seeds, "reviews": reviews, "positives": positives}
    metric = draw(st.sampled_from(["auto", "accuracy", *METRIC_NAMES]))
    return {"models": models, **sizes, "seed": draw(st.integers(0, 9)), "metric": metric}


@pytest.mark.slow
@given(run=runs())
@settings(max_examples=150)
def test_every_claim_is_true(run: dict[str, Any]) -> None:
    frames = make_run(**run)
    record = verdict_record(frames)
    for category in CATEGORIES:
        event(f"{category}: {bool(getattr(record, category))}")  # shown by --hypothesis-show-statistics
    assert as_sets(record) == expected_claims(frames, run["metric"])
    check_details(record, frames)
    check_sentences(record, frames)


EQUAL = Model(1.0, 1.0, 500.0)


@pytest.mark.parametrize(
    ("models", "seeds", "positives"),
    [
        ({"lstm": Model(2.5, 1.0, 5.0), "nb_svm": Model(1.0, 2.5, 9.0)}, 6, 200),
        ({"models.first:Net": EQUAL, "models.second:Net": EQUAL, "majority": EQUAL}, 5, 200),
        ({"lstm": dataclasses.replace(EQUAL, diverged=frozenset(range(5))), "simple_rnn": EQUAL}, 5, 200),
        ({"lstm": dataclasses.replace(EQUAL, failed=frozenset([2])), "simple_rnn": EQUAL, "majority": EQUAL}, 5, 20),
        ({"lstm": dataclasses.replace(EQUAL, diverged=frozenset([1])), "simple_rnn": EQUAL}, 6, 200),
        ({"simple_rnn": EQUAL}, 1, 200),
        ({"lstm": Model(0, 0, 9.0), "majority": Model(0, 0, 1.0)}, 5, 20),
    ],
)  # fmt: skip
@pytest.mark.parametrize("metric", ["auto", "f1", "log_loss"])
def test_claims_are_true_in_typical_runs(models: dict[str, Model], seeds: int, positives: int, metric: str) -> None:
    frames = make_run(models, seeds=seeds, reviews=400, positives=positives, metric=metric)
    record = verdict_record(frames)
    assert as_sets(record) == expected_claims(frames, metric)
    check_details(record, frames)
    check_sentences(record, frames)


# Sentences that were false or misleading, each with the input that led to it.


def simple_run(models: Mapping[str, Model], seeds: int = 6, **sizes: int) -> Frames:
    return make_run(models, seeds=seeds, **({"reviews": 400, "positives": 200} | sizes))


def test_best_by_validation_is_not_recommended_if_another_is_significantly_better() -> None:
    """Earlier: "Best group, not significantly worse than LSTM: NB-SVM", and that NB-SVM is significantly better."""
    record = verdict_record(simple_run({"lstm": Model(2.5, 0.6, 9.0), "nb_svm": Model(1.0, 2.5, 9.0)}))
    assert (record.recommended, record.better, record.is_recommended) == ("lstm", ("nb_svm",), False)
    sentence = recommendation_sentence(record)
    assert sentence.startswith("No clear recommendation: LSTM")
    assert "NB-SVM is significantly better" in sentence


@pytest.mark.parametrize("seeds", [1, 4])
def test_nothing_is_claimed_with_too_few_seeds(seeds: int) -> None:
    """Earlier: "Every other architecture is significantly worse", or a detectable difference, with too few seeds."""
    frames = simple_run({"lstm": Model(2.5, 2.5, 9.0), "simple_rnn": Model(0.2, 0.2, 9.0)}, seeds=seeds)
    record = verdict_record(frames)
    assert record.inconclusive == ("simple_rnn",)
    assert not any("significantly" in sentence for sentence in verdict(frames))
    assert not any("power" in sentence for sentence in limit_sentences(record))


def test_architecture_without_scores_is_named() -> None:
    """Earlier: an architecture of which all seeds diverged was in no sentence."""
    frames = simple_run({"lstm": EQUAL, "simple_rnn": Model(1, 1, 9.0, diverged=frozenset(range(6)))})
    formatted = format_verdict(frames)
    assert "Simple RNN" in formatted.sentences[1]
    assert any("Simple RNN" in sentence for sentence in formatted.limits)
    assert [str(cell) for cell in formatted.table.rows[-1]][:5] == ["Simple RNN", *["not known"] * 3, "failed"]


def test_majority_class_that_is_worse_is_in_no_limit() -> None:
    """Earlier: the range of detectable differences ended with a pair with the majority class."""
    frames = simple_run({"lstm": EQUAL, "simple_rnn": EQUAL, "majority": EQUAL})
    record = verdict_record(frames)
    assert "majority" in record.worse
    assert {each.architecture for each in record.undecided} <= {"lstm", "simple_rnn"}
    assert not any("Majority" in sentence for sentence in limit_sentences(record))


@pytest.mark.parametrize(("seeds", "needed"), [(12, 8), (10, 9), (10, 10)])
def test_no_more_seeds_are_asked_for_than_are_missing(seeds: int, needed: int) -> None:
    """Earlier: "would need 8 seeds" with 12 at hand, and "9 seeds for GRU (0.50)" with 10 where 0.17 was observed."""
    frames = simple_run({"lstm": EQUAL, "simple_rnn": EQUAL}, seeds=seeds)
    power = frames["power"].assign(minimum_detectable_difference=0.02, target_difference=0.005, seeds_needed=needed)
    frames["pairs"].loc[:, "verdict"] = "not separable"
    other = frames["groups"]["best"].map({True: "best", False: "not separable"})
    frames |= {"power": power, "groups": frames["groups"].assign(verdict=other)}
    (undecided,) = verdict_record(frames).undecided
    assert undecided.seeds_needed is None
    assert not any(re.search(r"[Ss]eeds needed|needs \d+ shared seeds", sentence) for sentence in verdict(frames)
                   if "exact" not in sentence)  # fmt: skip
    frames["power"] = power.assign(seeds_needed=seeds + 3)
    (sentence,) = [sentence for sentence in verdict(frames) if "Seeds needed" in sentence]
    assert f"about {seeds + 3} for" in sentence
    assert "to detect 0.50 points" in sentence


def test_exact_test_asks_for_no_seeds_that_are_at_hand() -> None:
    models = {"lstm": EQUAL, "simple_rnn": EQUAL}
    assert any("exact" in sentence for sentence in verdict(simple_run(models, seeds=5)))
    assert not any("exact" in sentence for sentence in verdict(simple_run(models, seeds=6)))  # 2 / 2^6 < 0.05


def test_tie_is_decided_in_one_way() -> None:
    """Earlier: the verdict broke ties by latency, the summary by name."""
    tied = dataclasses.replace(EQUAL, copy=True)
    frames = simple_run({"lstm": tied, "simple_rnn": tied})
    trials = frames["trials"].assign(latency_ms=frames["trials"]["architecture"].map({"lstm": 9.0, "simple_rnn": 1.0}))
    frames = finish_run(frames["predictions"], trials)
    record = verdict_record(frames)
    assert (record.recommended, record.ties) == ("simple_rnn", ("lstm",))
    assert [row[0] for row in summary_table(frames).rows] == ["Simple RNN", "LSTM"]
    assert "equal to LSTM" in recommendation_sentence(record)


def test_functions_of_one_name_have_different_labels() -> None:
    """Earlier: "Net compared with Net"."""
    names = ["a:Net", "b:Net", "b.a:Net", "a:net", "lstm", "a:lstm", f"{'m' * 200}.a:Net", f"{'m' * 200}.b:Net"]
    assert len({label(name) for name in names}) == len(names)
    assert max(len(label(name)) for name in names) <= 100
    frames = simple_run({"models.first:Net": Model(2.5, 2.5, 9.0), "models.second:Net": Model(0.2, 0.2, 9.0)})
    assert "Net (models.second) is significantly worse" in verdict(frames)[1]
    assert "compared with Net (models.first)" in verdict(frames)[1]


def test_impossible_differences_are_not_in_an_interval() -> None:
    """Earlier: [-100.04, -99.96] and -0.00."""
    assert format_limits(-1.0004, -0.9996, "accuracy") == "[-100.00, -99.96]"
    assert format_limits(-1e-9, 1.01, "accuracy") == "[+0.00, +100.00]"
    assert format_limits(-1.5, 1.5, "log_loss") == "[-1.5000, +1.5000]"


def test_interval_that_is_not_defined_is_not_a_number() -> None:
    """A model that always predicts one class has a balanced accuracy of 50%, whatever the reviews are."""
    record = verdict_record(simple_run({"lstm": EQUAL, "simple_rnn": EQUAL}))
    sentence = verdict_sentences(dataclasses.replace(record, test_low=float("nan"), test_high=float("nan")))[0]
    assert "nan" not in sentence
    assert "its interval is not defined" in sentence


def test_equivalent_architectures_are_named_as_such() -> None:
    frames = simple_run({"lstm": EQUAL, "simple_rnn": EQUAL})
    pairs = frames["pairs"].assign(verdict="equivalent")
    groups = rank_groups(frames["summary"], pairs, frames["trials"], metric="accuracy")
    record = verdict_record(frames | {"pairs": pairs, "groups": groups})
    check_sentences(record, frames | {"pairs": pairs, "groups": groups})
    assert len(record.equivalent) == 1
    assert "is equivalent within 0.50 points" in certainty_sentence(record)


@pytest.mark.parametrize(("metric", "unit"), [("log_loss", "nats"), ("auc", "points")])
def test_verdict_by_another_metric_has_its_unit(metric: str, unit: str) -> None:
    frames = simple_run({"lstm": Model(2.5, 2.5, 9.0), "simple_rnn": Model(0.2, 0.2, 9.0)})
    frames |= compare(frames["predictions"], frames["trials"], ComparisonOptions(metric=metric, draws=20))
    record = verdict_record(frames)
    assert (record.recommended, record.worse) == ("lstm", ("simple_rnn",))
    first = verdict_sentences(record)[0]
    assert f"with the {'lowest' if metric == 'log_loss' else 'highest'} validation {label(metric).lower()}" in (
        first.lower().replace("recommended: lstm, ", "")
    )
    assert unit in format_verdict(frames).note


def test_failed_seed_is_named_and_is_no_cheap_alternative() -> None:
    models = {"lstm": Model(1, 1, 9.0, failed=frozenset([1])), "simple_rnn": Model(1.0, 1.0, 500.0)}
    frames = simple_run(models)
    record = verdict_record(frames)
    assert record.not_significant == ("lstm",)
    assert record.cheaper is None
    assert "1 of 6 seeds of LSTM" in certainty_sentence(record)


def test_bound_of_the_failure_rate_is_given_where_it_is_known() -> None:
    frames = simple_run({"lstm": EQUAL, "nb_svm": Model(0.2, 0.2, 9.0)})
    frames["summary"] = frames["summary"].assign(failure_rate_high=0.4507)
    assert any("at most 45.1% of the trainings of LSTM" in text for text in limit_sentences(verdict_record(frames)))
    frames["summary"]["failure_rate_high"] = np.nan
    assert not any("confidence" in text for text in limit_sentences(verdict_record(frames)))


def test_rare_class_names_the_architecture_that_finds_it() -> None:
    frames = simple_run({"lstm": Model(1.2, 1.2, 9.0), "majority": Model(0, 0, 1.0)}, reviews=1_000, positives=40)
    record = verdict_record(frames)
    assert record.recommended == "majority"
    assert record.rare_class is not None
    assert (record.rare_class.name, record.rare_class.best, record.rare_class.recall) == ("positive", "lstm", 0)
    assert "consider LSTM" in verdict_sentences(record, ("fine", "spam"))[0]
    assert "spam" in verdict_sentences(record, ("fine", "spam"))[0]


@pytest.mark.parametrize(("positives", "class_weights", "named"), [
    (40, False, True), (40, True, False), (40, None, False), (500, False, False),
])  # fmt: skip
def test_class_weights_are_a_remedy_if_a_class_is_rare_and_they_are_off(
    positives: int, class_weights: bool | None, named: bool
) -> None:
    frames = simple_run({"lstm": EQUAL, "simple_rnn": EQUAL}, reviews=1_000, positives=positives)
    limits = format_verdict(frames, class_weights=class_weights).limits
    assert any("--class-weights" in sentence for sentence in limits) == named


def test_recommendation_and_certainty_do_not_contradict_each_other() -> None:
    """Earlier: "Recommended: LSTM", and then "The choice is open"."""
    tied = {"lstm": dataclasses.replace(EQUAL, copy=True), "simple_rnn": EQUAL}
    recommendation, certainty, _ = verdict_sentences(verdict_record(simple_run(tied)))
    assert recommendation.startswith("Recommended")
    assert "not significantly different and may be as good or better" in certainty


# Further findings.


def compare_simulated(accuracies: dict[str, float], *, seeds: int = 6, reviews: int = 3_000) -> Frames:
    """Compare simulated models of known accuracies; baselines have one seed."""
    splits = simulate_predictions(
        list(accuracies.values()), seeds=seeds, reviews=reviews, seed=5, validation_reviews=2_000
    )
    predictions = to_frame(splits)
    names = dict(zip(splits["test"].architectures, accuracies, strict=True))
    predictions["architecture"] = predictions["architecture"].map(names)
    predictions = predictions[~predictions["architecture"].isin(BASELINES) | (predictions["seed"] == 0)]
    trials = predictions[["architecture", "seed"]].drop_duplicates()
    trials = trials.assign(parameters=100, latency_ms=0.5, status="finished")
    return compare(predictions, trials, ComparisonOptions(draws=100))


def find(sentences: list[str], *texts: str) -> str:
    """Return the only sentence that contains all texts."""
    (sentence,) = [sentence for sentence in sentences if all(text in sentence for text in texts)]
    return sentence


def test_networks_are_compared_among_themselves_if_a_baseline_is_best() -> None:
    frames = compare_simulated({"lstm": 0.86, "simple_rnn": 0.7, "nb_svm": 0.92})
    row = frames["pairs"].query("metric == 'accuracy' and first == 'lstm' and second == 'simple_rnn'").iloc[0]
    sentence = find(verdict(frames), "Among the networks, LSTM")
    assert f"Simple RNN {-100 * row['difference']:+.2f} points (significantly worse)" in sentence
    network_best = compare_simulated({"lstm": 0.9, "simple_rnn": 0.8, "nb_svm": 0.7})
    assert not any("Among" in sentence for sentence in verdict(network_best))


def test_baselines_are_better_only_if_they_are() -> None:
    ahead = verdict(compare_simulated({"lstm": 0.80, "nb_svm": 0.90, "majority": 0.5}))
    assert "LSTM" in find(ahead, "baseline NB-SVM is significantly better")
    untested = verdict(compare_simulated({"lstm": 0.80, "nb_svm": 0.90}, seeds=3))
    assert "LSTM" in find(untested, "baseline NB-SVM", "could not be tested", "5 shared seeds")
    assert not any("The baseline" in sentence for sentence in verdict(compare_simulated({"lstm": 0.9, "nb_svm": 0.8})))


def test_gain_by_more_data_is_compared_with_the_lowest_network() -> None:
    frames = compare_simulated({"lstm": 0.9, "simple_rnn": 0.8})
    means = frames["groups"].set_index("architecture")["test_mean"]
    frames["learning_curve"] = pd.DataFrame(
        {
            "architecture": ["lstm", "lstm"], "train_reviews": [1_000, 2_000], "mean": [0.88, means["lstm"]],
            "gain": [np.nan, 0.02], "gain_low": [np.nan, 0.01], "gain_high": [np.nan, 0.03],
        }
    )  # fmt: skip
    sentence = find(verdict(frames), "1,000 to 2,000 training reviews", "LSTM", "+2.00 points", "[+1.00, +3.00]")
    assert f"Simple RNN, is {100 * (means['lstm'] - means['simple_rnn']):.2f} points below" in sentence

"""Plan of a comparison: each network with each seed, each baseline once, for each fraction."""

from dataclasses import replace
from pathlib import Path

import pytest

from tasks.config.parameters import Parameters
from tasks.config.recipe import Recipe
from tasks.data.records import Dataset, EncodedDataset, WordVectors
from tasks.execution.plan import (
    count_compared_trials,
    plan_baselines,
    plan_resampled_trials,
    plan_trials,
    plan_tuning_trials,
    starting_order,
    training_time_rank,
)
from tasks.models.baselines import BASELINES
from tasks.models.registry import ARCHITECTURES
from tasks.storage.trial_records import TrialSpec, select_compared
from tasks.tuning.search_space import SEARCH_SPACE, TUNING_SEED

ROWS = {"train": 8, "validation": 2, "test": 2}
REVIEWS = Dataset(
    source="12 reviews", fingerprint="f" * 64, rows=ROWS, class_sizes={}, classes=("negative", "positive"),
    validation="given", duplicates=0, across_splits=0, caveats=(), file="reviews.parquet",
)  # fmt: skip
WHOLE = EncodedDataset("whole.parquet", "v", "a" * 64, 1.0, REVIEWS)
HALF = EncodedDataset("half.parquet", "v", "b" * 64, 0.5, REVIEWS)
VECTORS = WordVectors("vectors.parquet", "c" * 64, 3, 9, 10, 0.9, "", source="own.vec", sha256="d" * 64, frozen=False)
NETWORKS = ("lstm", "simple_rnn")


def planned(*encoded: EncodedDataset, recipe: Recipe | None = None) -> list[TrialSpec]:
    shared = recipe or Recipe()
    return plan_trials(dict.fromkeys(NETWORKS, shared), range(3), shared, encoded, Path("cache"))


def test_networks_have_seeds_and_baselines_have_none():
    specs = planned(WHOLE)
    assert [spec.label for spec in specs[:4]] == ["lstm-seed-0", "lstm-seed-1", "lstm-seed-2", "simple_rnn-seed-0"]
    assert [spec.label for spec in specs[6:]] == [f"{name}-seed-0" for name in BASELINES]
    assert {spec.data for spec in specs[:6]} == {Path("cache/encoded/whole.parquet")}
    assert {spec.data for spec in specs[6:]} == {Path("cache/reviews/reviews.parquet")}


@pytest.mark.parametrize(
    ("reviews", "batch_size", "given", "epochs"),
    [(16_000, 64, None, 2), (3_200, 64, None, 2), (640, 64, None, 10), (641, 64, None, 10), (8, 64, None, 100),
     (640, 32, None, 5), (8, 64, 3, 3), (16_000, 64, 1, 1)],
)  # fmt: skip
def test_few_reviews_get_epochs_for_a_hundred_updates(reviews, batch_size, given, epochs):
    data = replace(WHOLE, dataset=replace(REVIEWS, rows=ROWS | {"train": reviews}))
    recipe = Recipe(batch_size=batch_size, epochs=given)
    assert {spec.epochs for spec in planned(data, recipe=recipe)} == {epochs}


def test_epochs_depend_on_the_fraction_of_the_training_reviews():
    whole, half = (replace(data, dataset=replace(REVIEWS, rows=ROWS | {"train": 1_280})) for data in (WHOLE, HALF))
    assert {(spec.train_fraction, spec.epochs) for spec in planned(half, whole)} == {(0.5, 10), (1.0, 5)}
    networks = {"lstm": Recipe()}
    (resampled,) = {spec.epochs for spec in plan_resampled_trials(networks, 2, Recipe(), [half, whole], Path("cache"))}
    assert resampled == 5


def test_a_trial_without_a_number_of_epochs_is_refused():
    spec = replace(planned(WHOLE)[0], recipe=Recipe())
    with pytest.raises(ValueError, match="no number of epochs"):
        _ = spec.epochs


def test_each_fraction_has_its_own_trials():
    specs = planned(HALF, WHOLE)
    assert len({spec.name for spec in specs}) == len(specs) == 2 * (6 + len(BASELINES))
    assert [spec.label for spec in specs if spec.architecture == "majority"] == [
        "majority-seed-0-fraction-0.5",
        "majority-seed-0",
    ]
    assert {(spec.train_fraction, spec.data.name) for spec in specs if spec.architecture == "lstm"} == {
        (0.5, "half.parquet"),
        (1.0, "whole.parquet"),
    }


def test_baseline_key_ignores_network_recipe():
    pairs = zip(planned(WHOLE), planned(WHOLE, recipe=Recipe(units=3)), strict=True)
    assert {one.architecture for one, other in pairs if one.name == other.name} == set(BASELINES)


@pytest.mark.parametrize("plan", [planned, lambda *encoded: resampled(*encoded)], ids=["ordinary", "resampled"])
def test_word_vectors_are_part_of_the_keys_of_networks(plan):
    variants = [None, VECTORS, replace(VECTORS, fingerprint="e" * 64), replace(VECTORS, frozen=True)]
    plans = [plan(replace(WHOLE, vectors=vectors)) for vectors in variants]
    names = {spec.name for specs in plans for spec in specs if spec.architecture not in BASELINES}
    assert len(names) == 4 * sum(spec.architecture not in BASELINES for spec in plans[0])
    assert plans[0] == plan(WHOLE)
    moved = plan(replace(WHOLE, vectors=replace(VECTORS, source="moved.vec", sha256="f" * 64)))
    assert moved == plans[1]
    for spec, without in zip(plans[3], plans[0], strict=True):
        if spec.architecture in BASELINES:
            assert spec == without
        else:
            assert (spec.vectors, spec.vectors_frozen) == (Path("cache/vectors/vectors.parquet"), True)


def resampled(*encoded: EncodedDataset, count: int = 2) -> list[TrialSpec]:
    return plan_resampled_trials(dict.fromkeys(NETWORKS, Recipe()), count, Recipe(), encoded, Path("cache"))


def test_each_resample_has_one_trial_of_each_architecture_and_baseline():
    specs = resampled(HALF, WHOLE)
    assert [spec.label for spec in specs[:3]] == [
        "lstm-seed-1001-resample-1", "lstm-seed-1002-resample-2", "simple_rnn-seed-1001-resample-1",
    ]  # fmt: skip
    assert [spec.label for spec in specs[4:]] == [f"{b}-seed-0-resample-{n}" for b in BASELINES for n in (1, 2)]
    assert {spec.train_fraction for spec in specs} == {1.0}
    assert {spec.reviews for spec in specs} == {Path("cache/reviews/reviews.parquet")}
    assert {(spec.seed, spec.resample) for spec in specs[:4]} == {(1001, 1), (1002, 2)}
    assert resampled(WHOLE, count=0) == []


def test_resamples_have_trials_of_their_own_and_change_no_other():
    ordinary, specs = planned(WHOLE), resampled(WHOLE)
    names = {spec.name for spec in specs}
    assert len(names) == len(specs)
    assert not names & {spec.name for spec in ordinary}
    assert select_compared([*specs, *ordinary]) == ordinary
    assert [spec.name for spec in resampled(WHOLE, count=3)[:2]] == [spec.name for spec in specs[:2]]
    regrouped = replace(WHOLE, dataset=replace(REVIEWS, file="reviews-by-film.parquet"))
    assert not names & {spec.name for spec in resampled(regrouped)}
    assert [spec.name for spec in planned(regrouped)] == [spec.name for spec in ordinary]


def searched(*encoded: EncodedDataset, number: int = 3) -> list[TrialSpec]:
    return plan_tuning_trials(NETWORKS, number, Recipe(), encoded, Path("cache"))


def test_each_network_tries_the_same_configurations_on_all_training_reviews():
    specs = searched(HALF, WHOLE)
    assert [spec.label for spec in specs] == [
        f"{name}-configuration-{count}" for name in NETWORKS for count in (1, 2, 3)
    ]
    assert [spec.recipe for spec in specs[:3]] == [spec.recipe for spec in specs[3:]]
    assert {(spec.train_fraction, spec.seed, spec.data.name) for spec in specs} == {(1.0, TUNING_SEED, "whole.parquet")}
    assert [spec.name for spec in searched(WHOLE, number=2)[:2]] == [spec.name for spec in specs[:2]]


def test_search_with_word_vectors_keeps_their_size():
    specs = searched(replace(WHOLE, vectors=VECTORS), number=9)
    assert {spec.recipe.embedding_size for spec in specs} == {Recipe().embedding_size}
    assert {spec.vectors for spec in specs} == {Path("cache/vectors/vectors.parquet")}
    assert not {spec.name for spec in specs} & {spec.name for spec in searched(WHOLE, number=9)}


def test_trials_of_a_search_have_names_of_their_own_and_are_not_compared():
    ordinary, specs = planned(WHOLE), searched(WHOLE)
    assert len({spec.name for spec in [*ordinary, *resampled(WHOLE), *specs]}) == 6 + 4 + 6 + 3 * len(BASELINES)
    assert select_compared([*specs, *ordinary]) == ordinary


def test_epochs_of_a_configuration_depend_on_its_batch_size():
    data = replace(WHOLE, dataset=replace(REVIEWS, rows=ROWS | {"train": 1_280}))
    found = {spec.recipe.batch_size: spec.epochs for spec in searched(data, number=16)}
    assert found == {32: 3, 64: 5, 128: 10, 256: 20}


def test_each_network_is_trained_with_its_own_recipe():
    recipes = {"lstm": Recipe(units=3), "simple_rnn": Recipe(units=5, batch_size=32)}
    specs = plan_trials(recipes, [0], Recipe(), [WHOLE], Path("cache"))
    specs += plan_resampled_trials(recipes, 1, Recipe(), [WHOLE], Path("cache"))
    for name, recipe in recipes.items():
        own = [spec.recipe for spec in specs if spec.architecture == name]
        assert [{each: getattr(one, each) for each in SEARCH_SPACE} for one in own] == [
            {each: getattr(recipe, each) for each in SEARCH_SPACE}
        ] * 2
    baselines = {spec.name for spec in specs if spec.architecture in BASELINES}
    shared = {spec.name for spec in [*planned(WHOLE), *resampled(WHOLE, count=1)] if spec.architecture in BASELINES}
    assert baselines == shared


@pytest.mark.parametrize(
    "settings", [{"seeds": 3}, {"seeds": 2, "train_fractions": (0.5, 1.0)}, {"seeds": 1, "resample_training": 2}]
)
def test_number_of_compared_trials_is_that_of_the_plan(settings):
    parameters = Parameters(architectures=NETWORKS, **settings)
    encoded = [{0.5: HALF, 1.0: WHOLE}[fraction] for fraction in parameters.train_fractions]
    recipes = dict.fromkeys(NETWORKS, Recipe())
    specs = plan_trials(recipes, range(parameters.seeds), Recipe(), encoded, Path("cache"))
    specs += plan_resampled_trials(recipes, parameters.resample_training, Recipe(), encoded, Path("cache"))
    assert count_compared_trials(parameters) == len(specs)


def test_longest_trainings_rank_last_and_user_architectures_after_all():
    ranked = sorted([*ARCHITECTURES, *BASELINES, "my_models:gru"], key=training_time_rank)
    assert ranked[: len(BASELINES)] == [*BASELINES]
    assert ranked[-2:] == ["deep_lstm", "my_models:gru"]


def test_baselines_can_be_planned_before_the_reviews_are_encoded():
    specs = plan_baselines(REVIEWS, [0.5, 1.0], Recipe(), Path("cache"))
    assert specs == [spec for spec in planned(HALF, WHOLE) if spec.architecture in BASELINES]


def test_baselines_start_first_and_then_the_longest_trainings():
    started = [spec.label for spec in starting_order(planned(HALF, WHOLE))]
    assert {label.split("-")[0] for label in started[: 2 * len(BASELINES)]} == set(BASELINES)
    networks = started[2 * len(BASELINES) :]
    assert networks[:4] == ["lstm-seed-0", "lstm-seed-1", "lstm-seed-2", "simple_rnn-seed-0"]
    assert networks[6] == "lstm-seed-0-fraction-0.5"

"""The record of a run: it survives JSON, ignores fields of later versions and rejects invalid ones."""

import json

import pytest
from pydantic import ValidationError

from tasks.config.recipe import Recipe
from tasks.storage.run_info import RunInfo

VALUES: dict[str, object] = {
    "source": "400 reviews of tiny.csv", "rows": {"train": 300, "test": 100}, "fingerprint": "f" * 64,
    "classes": ["negative", "positive"], "vocabulary": f"vocabulary-{'0' * 16}.parquet", "caveats": ["short texts"],
    "settings": {"units": 3, "class_weights": True, "architectures": ["lstm"], "group": None, "dropout": 0.1},
    "versions": {"python": "3.11"}, "hardware": {"cores": 2}, "command": "imdb-compare run", "run_name": "first",
    "started": "2026-01-01 03:00:00 UTC", "seconds": 1.5,
}  # fmt: skip


def test_json_of_a_record_restores_the_record() -> None:
    info = RunInfo.model_validate(VALUES)
    assert RunInfo.model_validate_json(info.model_dump_json()) == info
    added = {"metric": "accuracy", "vectors": None, "recipes": {}}  # the defaults of earlier versions
    assert json.loads(info.model_dump_json()) == added | VALUES


def test_word_vectors_are_part_of_the_record() -> None:
    vectors = {"source": "own.vec", "sha256": "a" * 64, "size": 50, "frozen": True, "words": 9, "vocabulary": 10,
               "token_share": 0.97}  # fmt: skip
    info = RunInfo.model_validate(VALUES | {"vectors": vectors})
    assert RunInfo.model_validate_json(info.model_dump_json()) == info
    with pytest.raises(ValidationError):
        RunInfo.model_validate(VALUES | {"vectors": vectors | {"token_share": 1.5}})


def test_fields_of_later_versions_are_ignored() -> None:
    assert RunInfo.model_validate(VALUES | {"later": 1}) == RunInfo.model_validate(VALUES)


def test_recipe_contains_the_settings_of_the_networks() -> None:
    assert RunInfo.model_validate(VALUES).recipe() == Recipe(units=3, class_weights=True, dropout=0.1)


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprint": "f" * 63}, {"vocabulary": "../vocabulary.parquet"}, {"classes": ["one"]},
        {"run_name": "a\nb"}, {"rows": {"train": "many"}}, {"settings": {"x": {"nested": 1}}},
    ],
    ids=str,
)  # fmt: skip
def test_invalid_field_is_rejected(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RunInfo.model_validate(VALUES | change)

"""Stored searches: reused for the same settings, whatever the reviews, and repeated if they are damaged."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tasks.config.parameters import Parameters
from tasks.storage import store
from tasks.tuning.search_space import TUNING_SEED, sample_configurations
from tasks.tuning.stored_searches import read_searches, search_path, store_searches
from tasks.tuning.table import SCORE_COLUMNS, SEARCH_SPACE, TUNING_TYPES, selected_recipes

PARAMETERS = Parameters(architectures=("lstm", "simple_rnn"), tune=3)


def table(architecture: str = "lstm", selected: int = 2, status: str = "finished", tune: int = 3) -> pd.DataFrame:
    rows = [
        {"architecture": architecture, "configuration": count, "seed": TUNING_SEED, "epochs": 2, "validation_loss": 0.4}
        | {name: getattr(recipe, name) for name in SEARCH_SPACE}
        | {"selected": count == selected, "status": "finished" if count == selected else status}
        | dict.fromkeys([*SCORE_COLUMNS.values(), "cpu_seconds", "train_seconds"], 1.0)
        | {"weights": f"{architecture}-seed-1-{count}.safetensors"}
        for count, recipe in enumerate(sample_configurations(PARAMETERS.recipe(), tune), start=1)
    ]
    return pd.DataFrame(rows)[list(TUNING_TYPES)].astype(TUNING_TYPES)


def test_search_is_read_as_it_was_stored(tmp_path: Path) -> None:
    stored = table(status="diverged")
    store_searches(PARAMETERS, tmp_path, stored)
    read = read_searches(PARAMETERS, tmp_path)
    pd.testing.assert_frame_equal(read, stored)
    recipe = PARAMETERS.recipe()
    assert selected_recipes(read, recipe) == {"lstm": sample_configurations(recipe, 3)[1]}


def test_nothing_stored_is_an_empty_table(tmp_path: Path) -> None:
    assert list(read_searches(PARAMETERS, tmp_path)) == list(TUNING_TYPES)
    assert read_searches(PARAMETERS, tmp_path).empty


@pytest.mark.parametrize(
    ("settings", "is_found"),
    [({"seeds": 9, "new_seeds": 2, "run_name": "x", "workers": 1}, True), ({"tune": 4}, False), ({"units": 7}, False),
     ({"data": "other.csv"}, False), ({"text_column": "review"}, False), ({"train_fractions": (0.5,)}, False),
     ({"architectures": ("lstm",)}, True)],
)  # fmt: skip
def test_only_the_data_and_the_settings_of_the_search_decide(
    tmp_path: Path, settings: dict[str, Any], is_found: bool
) -> None:
    store_searches(PARAMETERS, tmp_path, table())
    other = PARAMETERS.model_copy(update=settings)
    assert bool(len(read_searches(other, tmp_path))) is is_found


def test_content_of_word_vectors_decides_and_not_their_path(tmp_path: Path) -> None:
    given = PARAMETERS.model_copy(update={"vectors": Path("own.vec")})
    store_searches(given, tmp_path, table(), "a" * 64)
    moved = given.model_copy(update={"vectors": Path("moved.vec")})
    assert len(read_searches(moved, tmp_path, "a" * 64))
    assert read_searches(given, tmp_path, "b" * 64).empty
    assert read_searches(given.model_copy(update={"vectors_frozen": True}), tmp_path, "a" * 64).empty
    assert read_searches(PARAMETERS, tmp_path).empty


def test_stored_search_is_replaced_only_by_a_repeated_one(tmp_path: Path) -> None:
    for selected, parameters in ((2, PARAMETERS), (3, PARAMETERS)):
        store_searches(parameters, tmp_path, table(selected=selected))
    assert read_searches(PARAMETERS, tmp_path)["selected"].tolist() == [False, True, False]
    store_searches(PARAMETERS.model_copy(update={"retune": True}), tmp_path, table(selected=3))
    assert read_searches(PARAMETERS, tmp_path)["selected"].tolist() == [False, False, True]


@pytest.mark.parametrize("incomplete", [table(status="failed"), table(selected=9)])
def test_incomplete_search_is_not_stored(tmp_path: Path, incomplete: pd.DataFrame) -> None:
    store_searches(PARAMETERS, tmp_path, incomplete)
    assert read_searches(PARAMETERS, tmp_path).empty


@pytest.mark.parametrize(
    "damaged",
    [table("simple_rnn"), table(tune=2), table(selected=9), table(status="failed"), table().assign(units=0),
     table().drop(columns="batch_size"), table().assign(selected=True), table().assign(learning_rate="fast"),
     table().assign(status="\x1b[31m"), table().assign(units=None), table().assign(configuration=[1, 1, 2])],
)  # fmt: skip
def test_invalid_search_is_left_out_with_a_warning(
    tmp_path: Path, damaged: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    store.write(search_path(PARAMETERS, tmp_path, "lstm"), damaged)
    assert read_searches(PARAMETERS, tmp_path).empty
    assert "Searching again" in caplog.text
    assert "\x1b" not in caplog.text


def test_changed_byte_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store_searches(PARAMETERS, tmp_path, table())
    path = search_path(PARAMETERS, tmp_path, "lstm")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert read_searches(PARAMETERS, tmp_path).empty
    assert "does not match its checksum" in caplog.text


def test_search_of_a_version_with_fewer_metrics_is_still_used(tmp_path: Path) -> None:
    store.write(search_path(PARAMETERS, tmp_path, "lstm"), table().drop(columns="validation_auc"))
    read = read_searches(PARAMETERS, tmp_path)
    assert read["validation_auc"].isna().all()
    assert list(read) == list(TUNING_TYPES)

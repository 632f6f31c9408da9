"""Files of texts answered: every row, in order, whole or not at all."""

import os
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tasks.config.errors import UserError
from tasks.inference import score_files
from tasks.inference.predictor import Member, Predictor
from tasks.inference.score_files import score_file
from tests.integration.test_predictor import counting

PREDICTOR = Predictor([Member("made-up", counting, 1.0)], ("bad", "good"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    frame = pd.DataFrame({"id": [7, 8, 9, 10], "text": ["good good good", " ", "=film", "good fine"]})
    frame.to_csv(path := tmp_path / "texts.csv", index=False)
    return path


def test_every_row_is_answered_and_a_blank_one_is_told(file: Path, tmp_path: Path) -> None:
    counts = score_file(PREDICTOR, file, tmp_path / "out.parquet", keep=("id",))
    assert counts == {"good": 2, "bad": 1, "no text": 1}
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert list(found) == ["place", "text", "id", "label", "probability", "unknown"]
    assert found["place"].tolist() == [2, 3, 4, 5]
    assert found["id"].tolist() == ["7", "8", "9", "10"]
    np.testing.assert_allclose(found["probability"], [0.6, np.nan, 0.3, 0.5 + 0.1], atol=1e-9)
    assert found["label"].isna().tolist() == [False, True, False, False]


@pytest.mark.fault(26)
def test_a_formula_in_a_csv_of_answers_is_guarded(file: Path, tmp_path: Path) -> None:
    score_file(PREDICTOR, file, tmp_path / "out.csv")
    found = pd.read_csv(tmp_path / "out.csv", dtype="str", keep_default_na=False)
    assert found["text"].tolist() == ["good good good", " ", "'=film", "good fine"]
    assert found["probability"].tolist()[1] == ""


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl", "csv.gz"])
def test_any_number_of_rows_a_few_at_a_time(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_files, "ROWS_AT_A_TIME", 7)
    frame = pd.DataFrame({"text": [f"good {number}" for number in range(50)]})
    path, seen = tmp_path / f"texts.{kind}", []
    if kind == "parquet":
        frame.to_parquet(path)
    elif kind == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False)
    score_file(PREDICTOR, path, tmp_path / "out.parquet", on_rows=seen.append)
    assert pd.read_parquet(tmp_path / "out.parquet")["text"].tolist() == frame["text"].tolist()
    assert pq.ParquetFile(tmp_path / "out.parquet").num_row_groups == 8
    assert seen == [7, 14, 21, 28, 35, 42, 49, 50]


def test_a_file_that_breaks_off_leaves_no_half_of_an_output(tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("text\n" + "good\n" * 10 + "a,b\n")
    (tmp_path / "out.csv").write_text("earlier")
    with pytest.raises(UserError, match="line 12 has 2"):
        score_file(PREDICTOR, tmp_path / "texts.csv", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "earlier"
    assert {path.name for path in tmp_path.iterdir()} == {"texts.csv", "out.csv"}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_decides_who_reads_the_answers(file: Path, tmp_path: Path, kind: str, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        score_file(PREDICTOR, file, output := tmp_path / f"out.{kind}")
    finally:
        os.umask(before)
    assert stat.S_IMODE(output.stat().st_mode) == mode


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_answers_follow_no_link(file: Path, tmp_path: Path, kind: str) -> None:
    victim, output = tmp_path / "victim", tmp_path / f"out.{kind}"
    victim.write_text("precious")
    output.symlink_to(victim)
    predictable = tmp_path / f".out.{kind}.{os.getpid()}.partial"
    predictable.symlink_to(victim)
    assert score_file(PREDICTOR, file, output)["good"] == 2
    assert victim.read_text() == "precious"
    assert output.stat().st_size > 0
    assert not output.is_symlink()
    assert {path.name for path in tmp_path.iterdir()} == {"texts.csv", "victim", output.name, predictable.name}


@pytest.mark.parametrize(
    ("output", "columns", "said"),
    [
        ("out.xlsx", (), "ends in .parquet or .csv"),
        ("nowhere/out.csv", (), "there is no folder"),
        ("texts.csv", (), "is the file that is read"),
        ("out.csv", ("label",), "Rename them"),
        ("out.csv", ("author",), "no column 'author'; found: 'id', 'text'"),
    ],
)
def test_what_cannot_be_written_is_refused(
    file: Path, tmp_path: Path, output: str, columns: tuple[str, ...], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        score_file(PREDICTOR, file, tmp_path / output, keep=columns)
    assert {path.name for path in tmp_path.iterdir()} == {"texts.csv"}

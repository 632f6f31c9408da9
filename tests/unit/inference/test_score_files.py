"""Scoring of files: every row, in order, completely or not at all."""

import os
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tasks.config.errors import UserError
from tasks.data.files import read_rows
from tasks.inference import score_files
from tasks.inference.score_files import format_counts, score_file
from tests.helpers.predictors import COUNTING_PREDICTOR


@pytest.fixture
def file(tmp_path: Path) -> Path:
    frame = pd.DataFrame({"id": [7, 8, 9, 10], "text": ["good good good", " ", "=film", "good fine"]})
    frame.to_csv(path := tmp_path / "texts.csv", index=False)
    return path


def test_every_row_is_predicted_and_a_blank_text_is_counted(file: Path, tmp_path: Path) -> None:
    counts = score_file(COUNTING_PREDICTOR, file, tmp_path / "out.parquet", keep=("id",))
    assert counts == {"good": 2, "bad": 1, "no text": 1}
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert list(found) == ["place", "text", "id", "label", "probability", "unknown"]
    assert found["place"].tolist() == [2, 3, 4, 5]
    assert found["id"].tolist() == ["7", "8", "9", "10"]
    np.testing.assert_allclose(found["probability"], [0.6, np.nan, 0.3, 0.5 + 0.1], atol=1e-9)
    assert found["label"].isna().tolist() == [False, True, False, False]


def test_summary_contains_the_number_of_rows_and_labels(tmp_path: Path) -> None:
    summary = format_counts({"good": 1_200, "bad": 1}, tmp_path / "out.csv")
    assert summary.startswith("1,201 rows: 1 bad, 1,200 good.")
    assert str(tmp_path / "out.csv") in summary


def test_csv_output_has_the_byte_order_mark_of_excel_and_is_read_back(file: Path, tmp_path: Path) -> None:
    score_file(COUNTING_PREDICTOR, file, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes().startswith(b"\xef\xbb\xbfplace,text,")
    (rows,) = read_rows(tmp_path / "out.csv", ["place", "text"], 10)
    assert [row["text"] for row in rows] == ["good good good", " ", "'=film", "good fine"]


def test_file_in_another_encoding_is_scored_and_the_guess_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "in.csv").write_bytes("id;text\n1;good déjà vu\n2;très bien\n".encode("cp1252"))
    counts = score_file(COUNTING_PREDICTOR, tmp_path / "in.csv", tmp_path / "out.parquet")
    assert sum(counts.values()) == 2
    assert pd.read_parquet(tmp_path / "out.parquet")["text"].tolist() == ["good déjà vu", "très bien"]
    assert "cp1252" in caplog.text


@pytest.mark.failure_mode("spreadsheet-formula")
def test_formula_in_a_csv_output_is_escaped(file: Path, tmp_path: Path) -> None:
    score_file(COUNTING_PREDICTOR, file, tmp_path / "out.csv")
    found = pd.read_csv(tmp_path / "out.csv", dtype="str", keep_default_na=False)
    assert found["text"].tolist() == ["good good good", " ", "'=film", "good fine"]
    assert found["probability"].tolist()[1] == ""


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl", "csv.gz"])
def test_rows_are_processed_in_batches(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_files, "BATCH_ROWS", 7)
    frame = pd.DataFrame({"text": [f"good {number}" for number in range(50)]})
    path, done = tmp_path / f"texts.{kind}", []
    if kind == "parquet":
        frame.to_parquet(path)
    elif kind == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False)
    score_file(COUNTING_PREDICTOR, path, tmp_path / "out.parquet", on_rows=done.append)
    assert pd.read_parquet(tmp_path / "out.parquet")["text"].tolist() == frame["text"].tolist()
    assert pq.ParquetFile(tmp_path / "out.parquet").num_row_groups == 8
    assert done == [7, 14, 21, 28, 35, 42, 49, 50]


def test_invalid_row_leaves_the_earlier_output(tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("text\n" + "good\n" * 10 + "a,b\n")
    (tmp_path / "out.csv").write_text("earlier")
    with pytest.raises(UserError, match="line 12"):
        score_file(COUNTING_PREDICTOR, tmp_path / "texts.csv", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "earlier"
    assert {path.name for path in tmp_path.iterdir()} == {"texts.csv", "out.csv"}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_umask_sets_the_permissions_of_the_output(file: Path, tmp_path: Path, kind: str, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        score_file(COUNTING_PREDICTOR, file, output := tmp_path / f"out.{kind}")
    finally:
        os.umask(before)
    assert stat.S_IMODE(output.stat().st_mode) == mode


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_output_does_not_follow_symbolic_links(file: Path, tmp_path: Path, kind: str) -> None:
    victim, output = tmp_path / "victim", tmp_path / f"out.{kind}"
    victim.write_text("precious")
    output.symlink_to(victim)
    predictable = tmp_path / f".out.{kind}.{os.getpid()}.partial"
    predictable.symlink_to(victim)
    assert score_file(COUNTING_PREDICTOR, file, output)["good"] == 2
    assert victim.read_text() == "precious"
    assert output.stat().st_size > 0
    assert not output.is_symlink()
    assert {path.name for path in tmp_path.iterdir()} == {"texts.csv", "victim", output.name, predictable.name}


@pytest.mark.parametrize(
    ("output", "columns", "named"),
    [
        ("out.xlsx", (), r"\.parquet or \.csv"),
        ("nowhere/out.csv", (), "nowhere"),
        ("texts.csv", (), r"texts\.csv"),
        ("out.csv", ("label",), "label"),
        ("out.csv", ("author",), "'author'.*'id', 'text'"),
    ],
)
def test_unusable_output_or_column_is_a_user_error(
    file: Path, tmp_path: Path, output: str, columns: tuple[str, ...], named: str
) -> None:
    with pytest.raises(UserError, match=named):
        score_file(COUNTING_PREDICTOR, file, tmp_path / output, keep=columns)
    assert {path.name for path in tmp_path.iterdir()} == {"texts.csv"}

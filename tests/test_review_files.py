"""A user's file gives all its rows, or one message with all that is wrong."""

import csv
import gzip
import io
import json

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.errors import UserError
from tasks.review_files import read_reviews

in_one_folder = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(str.strip)


def written(folder, content, name="own.csv"):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path, **columns):
    with pytest.raises(UserError) as caught:
        read_reviews(path, **columns)
    return str(caught.value)


@pytest.mark.fault(27)
@in_one_folder
@given(
    st.lists(texts, min_size=2, max_size=6),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_a_sound_csv_gives_its_rows(tmp_path, rows, encoding, end):
    labels = [number % 2 for number in range(len(rows))]
    file = io.StringIO()
    csv.writer(file, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(
        [["label", "text"], *zip(labels, rows, strict=True)]
    )
    frame = read_reviews(written(tmp_path, file.getvalue().encode(encoding)))
    assert (list(frame["text"]), list(frame["label"])) == (rows, labels)


@pytest.mark.fault(27)
@in_one_folder
@given(
    st.one_of(st.binary(max_size=60), st.text('a",\n\r01;', max_size=40).map(str.encode)),
    st.sampled_from(
        [b"", b"text,label\n", b"text,label\ngood,1\nbad,0\n", b"text,text,label\n", b'{"text": "a", "label": 1}\n']
    ),
    st.sampled_from([".csv", ".jsonl", ".parquet", ".csv.gz", ".jsonl.zst"]),
)
def test_any_bytes_give_rows_or_one_error(tmp_path, content, start, ending):
    path = written(tmp_path, start + content, f"own{ending}")
    try:
        frame = read_reviews(path)
    except UserError:
        assert str(path) in refusal(path)
    else:
        assert set(frame["label"]) == {0, 1}
        assert frame["text"].str.strip().all()


@pytest.mark.fault(27)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no column 'text'"),
        ("text,label\n", "no rows"),
        ("text;label\na;1\n", "parted by commas"),
        ("text,label,text\na,1,b\n", "column 'text' stands 2 times"),
        ("text,label\na,1\nb,0,x\nc\n", "2 in all: line 3 has 3, line 4 has 1"),
        ('text,label\na,1\n"b,0\n', "broken quotes"),
        ("text,label\na,1\nb\0,0\n", "NUL"),
        ("text,label\na,1\ncaf\xe9,0\n".encode("latin-1"), "not UTF-8; save the file as UTF-8 (1 in all: line 3"),
        ("text,label\na,1\nb,0\n".encode("utf-16-le"), "NUL"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, content, said):
    assert said in refusal(written(tmp_path, content))


def test_all_problems_stand_in_one_message_with_five_rows_each(tmp_path):
    rows = ["ok,1", "ok,0", *[" ,1"] * 7, "fine,", "a,b,1", '"two\nlines",']
    message = refusal(written(tmp_path, "\n".join(["text,label", *rows]) + "\n"))
    assert "no text; delete these rows (7 in all: line 4, line 5, line 6, line 7, line 8, …)" in message
    assert "no label; fill in or delete these rows (2 in all: line 11, line 13)" in message
    assert "(1 in all: line 12 has 3)" in message


def test_words_that_pandas_takes_for_missing_are_texts(tmp_path):
    frame = read_reviews(written(tmp_path, "text,label\nNA,1\nnull,0\nNone,1\nnan,0\n"))
    assert list(frame["text"]) == ["NA", "null", "None", "nan"]


@pytest.mark.fault(27)
def test_a_field_of_a_megabyte(tmp_path):
    frame = read_reviews(written(tmp_path, f"text,label\n{'x' * 1_000_000},1\nb,0\n"))
    assert frame["text"].str.len().tolist() == [1_000_000, 1]
    assert csv.field_size_limit() == 131_072


@pytest.mark.fault(28)
@pytest.mark.parametrize(
    "pair", [("0", "1"), ("Neg", "pos"), ("negative", "Positive"), ("false", "TRUE"), (0, 1), (False, True), (0.0, 1.0)]
)
@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_known_labels(tmp_path, pair, ending):
    frame, path = pd.DataFrame({"text": ["bad", "good"], "label": pair}), tmp_path / f"own{ending}"
    if ending == ".csv":
        frame.to_csv(path, index=False)
    elif ending == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    assert list(read_reviews(path)["label"]) == [0, 1]


@pytest.mark.fault(28)
@pytest.mark.parametrize(
    ("labels", "positive", "said"),
    [
        ("1 2 2", None, "labels '2' (2 rows), '1' (1 rows); allowed: 0/1"),
        ("a b c", None, "allowed: 0/1"),
        ("a b c", "a", "that label and one other"),
        ("a b b", "x", "that label and one other"),
        ("1 1 1", None, "all of one class"),
        ("good good good", "good", "that label and one other"),
    ],
)
def test_other_labels_are_refused_with_their_counts(tmp_path, labels, positive, said):
    rows = "".join(f"t,{label}\n" for label in labels.split())
    assert said in refusal(written(tmp_path, f"text,label\n{rows}"), positive=positive)


known = st.sampled_from([0, 1, "0", "1", "neg", "POS ", "Negative", "positive", True, False, 1.0, 0.0, "true"])
other = st.one_of(
    known, st.sampled_from([2, -1, None, float("nan"), "", " ", "good", [], {"a": 1}, 0.5]), st.text(max_size=3)
)


@pytest.mark.fault(28)
@in_one_folder
@given(labels=st.one_of(st.lists(known, min_size=1, max_size=6), st.lists(other, min_size=1, max_size=6)))
def test_any_labels_are_mapped_or_refused_with_their_counts(tmp_path, labels):
    lines = [json.dumps({"text": "x", "label": label}) for label in labels]
    path = written(tmp_path, "\n".join(lines), "own.jsonl")
    words = [str(label).strip().casefold() for label in labels]
    mapping = {"0": 0, "0.0": 0, "neg": 0, "negative": 0, "false": 0}
    mapping |= {"1": 1, "1.0": 1, "pos": 1, "positive": 1, "true": 1}
    if {mapping.get(word) for word in words} == {0, 1}:
        assert list(read_reviews(path)["label"]) == [mapping[word] for word in words]
        return
    message = refusal(path)
    assert "class" in message or "allowed: 0/1" in message or "no label" in message
    commonest = max(set(words), key=words.count)
    assert (
        f"({words.count(commonest):,} rows)" in message
        or f"({words.count(commonest)} in all" in message
        or ("no label" in message)
    )


def test_any_two_labels_with_the_positive_one_named(tmp_path):
    path = written(tmp_path, "body,stars\nfine,Ham\nbuy,spam\n")
    assert list(read_reviews(path, text_column="body", label_column="stars", positive="SPAM")["label"]) == [0, 1]


@pytest.mark.fault(28)
def test_missing_labels_in_parquet(tmp_path):
    pd.DataFrame({"text": ["a", "b", None], "label": [1.0, None, 0.0]}).to_parquet(tmp_path / "own.parquet")
    message = refusal(tmp_path / "own.parquet")
    assert "no label; fill in or delete these rows (1 in all: row 2)" in message
    assert "no text; delete these rows (1 in all: row 3)" in message


@pytest.mark.fault(29)
def test_half_a_surrogate_pair_is_refused(tmp_path):
    lines = [json.dumps({"text": text, "label": label}) for text, label in [("ok", 1), ("x\ud800", 0)]]
    assert "half a surrogate pair" in refusal(written(tmp_path, "\n".join(lines), "own.jsonl"))


def test_lines_that_are_no_objects(tmp_path):
    lines = ['{"text": "a", "label": 1}', "[1]", "{", "", "[" * 100_000, '{"text": 7, "label": 0}']
    message = refusal(written(tmp_path, "\n".join(lines), "own.ndjson"))
    assert "not one JSON object on a line (3 in all: line 2, line 3, line 5)" in message
    assert "the text is not a string (1 in all: line 6 has int)" in message


def test_packed_files(tmp_path):
    content = b"text,label\ngood,1\nbad,0\n"
    assert len(read_reviews(written(tmp_path, gzip.compress(content), "own.csv.gz"))) == 2
    assert len(read_reviews(written(tmp_path, pa.compress(content, "zstd", asbytes=True), "own.csv.zst"))) == 2
    assert "cannot be read" in refusal(written(tmp_path, gzip.compress(content * 99)[:-20], "cut.csv.gz"))


def test_a_split_column_is_taken_over_or_refused(tmp_path):
    rows = "text,label,split\na,1,Train\nb,0,test\n"
    assert list(read_reviews(written(tmp_path, rows))["split"]) == ["train", "test"]
    message = refusal(written(tmp_path, "text,label,split\na,1,train\nb,0,dev\n"))
    assert "line 3 has 'dev'" in message
    assert "without a row of 'test'" in message


@pytest.mark.fault(24)
@pytest.mark.parametrize(
    "name",
    [
        "",
        "../x",
        "/etc/x",
        "x" * 300,
        "x" * 5_000 + ".csv",
        "a\0b",
        "a\nb.csv",
        "-rf",
        "🎬.csv",
        "own.txt",
        "own.parquet.gz",
        "folder.csv",
    ],
)
def test_a_name_that_is_no_file_of_reviews(tmp_path, name):
    (tmp_path / "folder.csv").mkdir()
    written(tmp_path, "text", "own.txt")
    written(tmp_path, "text", "own.parquet.gz")
    assert "a path to a file that ends in .csv, .parquet, .jsonl, .ndjson" in refusal(tmp_path / name)
    assert len(list(tmp_path.iterdir())) == 3


def test_one_column_cannot_be_both(tmp_path):
    assert "name one of text, text twice" in refusal(written(tmp_path, "text,label\n"), label_column="text")

"""A user's file gives all its rows, or one message with all that is wrong."""

import csv
import gzip
import io
import json
import re
import unicodedata

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.config.errors import UserError
from tasks.data import limits
from tasks.data.csv_files import read_csv
from tasks.data.files import read_reviews, read_rows
from tasks.data.problems import Problems
from tests.helpers.examples import examples

in_one_folder = examples(50, thorough=150, one_folder=True)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(str.strip)


def written(folder, content, name="own.csv"):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path, **columns):
    with pytest.raises(UserError) as caught:
        read_reviews(path, **columns)
    return str(caught.value)


@pytest.mark.failure_mode("malformed-csv")
@in_one_folder
@given(
    st.lists(texts, min_size=2, max_size=6),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_csv_round_trip_in_any_encoding(tmp_path, rows, encoding, end):
    labels = [number % 2 for number in range(len(rows))]
    file = io.StringIO()
    csv.writer(file, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(
        [["label", "text"], *zip(labels, rows, strict=True)]
    )
    frame = read_reviews(written(tmp_path, file.getvalue().encode(encoding))).frame
    assert (list(frame["text"]), list(frame["label"])) == (rows, labels)


@pytest.mark.failure_mode("malformed-csv")
@in_one_folder
@given(
    st.one_of(st.binary(max_size=60), st.text('a",\n\r01;', max_size=40).map(str.encode)),
    st.sampled_from(
        [b"", b"text,label\n", b"text,label\ngood,1\nbad,0\n", b"text,text,label\n", b'{"text": "a", "label": 1}\n']
    ),
    st.sampled_from([".csv", ".jsonl", ".parquet", ".csv.gz", ".jsonl.zst"]),
)
def test_any_bytes_are_read_or_rejected_with_one_error(tmp_path, content, start, ending):
    path = written(tmp_path, start + content, f"own{ending}")
    try:
        frame = read_reviews(path).frame
    except UserError:
        assert str(path) in refusal(path)
    else:
        labels = set(frame["label"])
        assert labels == set(range(max(len(labels), 2)))
        assert frame["text"].str.strip().all()


@pytest.mark.failure_mode("malformed-csv")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the file is empty"),
        ("text,label\n", "no rows"),
        ("text;labels\na;1\n", "no column 'label'; found: 'text', 'labels'"),
        ("text,label,text\na,1,b\n", "column 'text' stands 2 times"),
        ("text,label\na,1\nb,0,x\nc\n", "2 in all: line 3 has 3, line 4 has 1"),
        ('text,label\na,1\n"b,0\n', "broken quotes"),
        ("text,label\na,1\nb\0,0\n", "NUL"),
        ("text,label\nété,1\ncafé,0\n".encode() + b"\xff,1\n", "not UTF-8; give its encoding by `encoding`"),
    ],
)
def test_problems_of_a_file_are_named(tmp_path, content, said):
    assert said in refusal(written(tmp_path, content))


def test_all_problems_are_in_one_message_with_five_places_each(tmp_path):
    rows = ["ok,1", "ok,0", *[" ,1"] * 7, "fine,", "a,b,1", '"two\nlines",']
    message = refusal(written(tmp_path, "\n".join(["text,label", *rows]) + "\n"))
    assert "no text; delete these rows (7 in all: line 4, line 5, line 6, line 7, line 8, …)" in message
    assert "no label; fill in or delete these rows (2 in all: line 11, line 13)" in message
    assert "(1 in all: line 12 has 3)" in message


def test_na_strings_are_texts(tmp_path):
    frame = read_reviews(written(tmp_path, "text,label\nNA,1\nnull,0\nNone,1\nnan,0\n")).frame
    assert list(frame["text"]) == ["NA", "null", "None", "nan"]


@pytest.mark.failure_mode("malformed-csv")
def test_field_of_a_megabyte_is_read(tmp_path):
    frame = read_reviews(written(tmp_path, f"text,label\n{'x' * 1_000_000},1\nb,0\n")).frame
    assert frame["text"].str.len().tolist() == [1_000_000, 1]
    assert csv.field_size_limit() == 131_072


@pytest.mark.failure_mode("invalid-labels")
@pytest.mark.parametrize(
    "pair", [("0", "1"), ("Neg", "pos"), ("negative", "Positive"), ("false", "TRUE"), (0, 1), (False, True), (0.0, 1.0)]
)
@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_usual_labels_are_mapped(tmp_path, pair, ending):
    frame, path = pd.DataFrame({"text": ["bad", "good"], "label": pair}), tmp_path / f"own{ending}"
    if ending == ".csv":
        frame.to_csv(path, index=False)
    elif ending == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    assert list(read_reviews(path).frame["label"]) == [0, 1]


@pytest.mark.failure_mode("invalid-labels")
@pytest.mark.parametrize(
    ("labels", "positive", "said"),
    [
        ("1 2 2", None, "labels '2' (2 rows), '1' (1 rows); allowed: 0/1"),
        ("a a b", None, "allowed: 0/1"),
        ("a b c", "a", "that label and one other"),
        ("a b b", "x", "that label and one other"),
        ("1 1 1", None, "all of one class"),
        ("good good good", "good", "that label and one other"),
    ],
)
def test_unknown_labels_are_rejected_with_their_counts(tmp_path, labels, positive, said):
    rows = "".join(f"t,{label}\n" for label in labels.split())
    assert said in refusal(written(tmp_path, f"text,label\n{rows}"), positive=positive)


def without_zeros(word):
    """Return a number as Python's general format writes it."""
    return f"{float(word) + 0:g}" if re.fullmatch(r"[+-]?\d+(\.\d*)?", word, re.ASCII) else word


known = st.sampled_from([0, 1, "0", "1", "neg", "POS ", "Negative", "positive", True, False, 1.0, 0.0, "true"])
other = st.one_of(
    known, st.sampled_from([2, -1, None, float("nan"), "", " ", "good", [], {"a": 1}, 0.5]), st.text(max_size=3)
)


@pytest.mark.failure_mode("invalid-labels")
@in_one_folder
@given(labels=st.one_of(st.lists(known, min_size=1, max_size=6), st.lists(other, min_size=1, max_size=6)))
def test_any_labels_are_mapped_or_rejected_with_their_counts(tmp_path, labels):
    lines = [json.dumps({"text": "x", "label": label}) for label in labels]
    path = written(tmp_path, "\n".join(lines), "own.jsonl")
    words = [without_zeros(unicodedata.normalize("NFC", str(label).strip().casefold())) for label in labels]
    mapping = {"0": 0, "neg": 0, "negative": 0, "false": 0, "1": 1, "pos": 1, "positive": 1, "true": 1}
    if {mapping.get(word) for word in words} == {0, 1}:
        assert list(read_reviews(path).frame["label"]) == [mapping[word] for word in words]
        return
    if len({word for word in words if word not in ("", "none", "nan")}) > 2 and set(words) - mapping.keys():
        try:
            assert len(read_reviews(path).classes) == len(set(words))
        except UserError:
            assert "no label" in refusal(path) or "no control characters" in refusal(path)
        return
    message = refusal(path)
    assert "class" in message or "allowed: 0/1" in message or "no label" in message
    commonest = max(set(words), key=words.count)
    assert (
        f"({words.count(commonest):,} rows)" in message
        or f"({words.count(commonest)} in all" in message
        or ("no label" in message)
    )


def test_positive_label_maps_any_two_labels(tmp_path):
    path = written(tmp_path, "body,stars\nfine,Ham\nbuy,spam\n")
    assert list(read_reviews(path, text_column="body", label_column="stars", positive="SPAM").frame["label"]) == [0, 1]


@pytest.mark.failure_mode("invalid-labels")
@pytest.mark.parametrize("label", ["good\x1b[2J", "good\nbad", "g" * 201])
def test_long_or_unprintable_labels_are_rejected(tmp_path, label):
    path = tmp_path / "labels.parquet"
    pd.DataFrame({"text": ["a", "b"], "label": ["other", label]}).to_parquet(path)
    with pytest.raises(UserError, match="control characters"):
        read_reviews(path, positive="other")


def test_missing_labels_in_parquet_are_rejected(tmp_path):
    pd.DataFrame({"text": ["a", "b", None], "label": [1.0, None, 0.0]}).to_parquet(tmp_path / "own.parquet")
    message = refusal(tmp_path / "own.parquet")
    assert "no label; fill in or delete these rows (1 in all: row 2)" in message
    assert "no text; delete these rows (1 in all: row 3)" in message


@pytest.mark.failure_mode("unusual-text")
def test_lone_surrogate_is_rejected(tmp_path):
    lines = [json.dumps({"text": text, "label": label}) for text, label in [("ok", 1), ("x\ud800", 0)]]
    assert "half a surrogate pair" in refusal(written(tmp_path, "\n".join(lines), "own.jsonl"))


def test_lines_that_are_not_objects_are_rejected(tmp_path):
    lines = ['{"text": "a", "label": 1}', "[1]", "{", "", "[" * 100_000, '{"text": 7, "label": 0}']
    message = refusal(written(tmp_path, "\n".join(lines), "own.ndjson"))
    assert "not one JSON object on a line (3 in all: line 2, line 3, line 5)" in message
    assert "the text is not a string (1 in all: line 6 has int)" in message


def test_compressed_files_are_read(tmp_path):
    content = b"text,label\ngood,1\nbad,0\n"
    assert len(read_reviews(written(tmp_path, gzip.compress(content, mtime=0), "own.csv.gz")).frame) == 2
    assert len(read_reviews(written(tmp_path, pa.compress(content, "zstd", asbytes=True), "own.csv.zst")).frame) == 2
    assert "cannot be read" in refusal(written(tmp_path, gzip.compress(content * 99, mtime=0)[:-20], "cut.csv.gz"))


def test_split_column_is_used_or_rejected(tmp_path):
    rows = "text,label,split\na,1,Train\nb,0,test\n"
    assert list(read_reviews(written(tmp_path, rows)).frame["split"]) == ["train", "test"]
    message = refusal(written(tmp_path, "text,label,split\na,1,train\nb,0,dev\n"))
    assert "line 3 has 'dev'" in message
    assert "without a row of 'test'" in message


@pytest.mark.failure_mode("unsafe-name")
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
        "own.dat",
        "own.parquet.gz",
        "folder.csv",
    ],
)
def test_path_that_is_not_a_data_file_is_rejected(tmp_path, name):
    (tmp_path / "folder.csv").mkdir()
    written(tmp_path, "text", "own.dat")
    written(tmp_path, "text", "own.parquet.gz")
    assert "a path to a file that ends in .csv, .tsv, " in refusal(tmp_path / name)
    assert len(list(tmp_path.iterdir())) == 3


def test_text_and_label_columns_must_differ(tmp_path):
    assert "name one of text, text twice" in refusal(written(tmp_path, "text,label\n"), label_column="text")


SMALL = {"MAX_FIELD_LENGTH": 20, "MAX_ROW_LENGTH": 60, "MAX_FIELD_BYTES": 80, "MAX_ROWS": 12, "MAX_BYTES": 400}
ENDINGS = [".csv", ".csv.gz", ".csv.zst", ".jsonl", ".ndjson.gz", ".jsonl.zst", ".parquet"]


@pytest.fixture
def small_limits(monkeypatch):
    for name, value in SMALL.items():
        monkeypatch.setattr(limits, name, value)


def saved(folder, rows, ending):
    """Write texts with alternating labels in any format."""
    path = folder / f"own{ending}"
    labels = [number % 2 for number in range(len(rows))]
    if ending == ".parquet":
        pd.DataFrame({"text": pd.Series(rows, dtype="str"), "label": labels}).to_parquet(path)
        return path
    if "csv" in ending:
        file = io.StringIO()
        csv.writer(file).writerows([["text", "label"], *zip(rows, labels, strict=True)])
        content = file.getvalue().encode()
    else:
        lines = [json.dumps(row) for row in ({"text": t, "label": n} for t, n in zip(rows, labels, strict=True))]
        content = "\n".join(lines).encode()
    packed = {".gz": gzip.compress, ".zst": lambda content: pa.compress(content, "zstd", asbytes=True)}
    path.write_bytes(packed.get(path.suffix, bytes)(content))
    return path


@pytest.mark.usefixtures("small_limits")
@in_one_folder
@given(
    st.lists(st.text("ab ,\n", min_size=1, max_size=30).filter(str.strip), min_size=2, max_size=16),
    st.sampled_from(ENDINGS),
)
def test_files_within_limits_are_read_and_others_rejected(tmp_path, rows, ending):
    path = saved(tmp_path, rows, ending)
    fields, number = max(map(len, rows)) > 20, len(rows) > 12
    beyond_bytes = sum(map(len, rows)) + 2 * len(rows) > 400  # of every format, which all take more than this
    try:
        frame = read_reviews(path).frame
    except UserError as refused:
        assert str(refused).startswith(f"{path} is not read: ")
        assert len(str(refused).splitlines()) == 1
    else:
        assert list(frame["text"]) == rows
        assert not number
        assert not beyond_bytes
        assert not fields or ending == ".parquet"  # where a limit of bytes stands for that of characters


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("ending", ENDINGS)
def test_exceeded_limit_is_named(tmp_path, ending):
    assert len(read_reviews(saved(tmp_path, ["a" * 10] * 7, ending)).frame) == 7
    assert "at most 12 can be trained on. Take a sample" in refusal(saved(tmp_path, ["a"] * 13, ending))
    too_long = refusal(saved(tmp_path, ["fine", "a" * 21, "fine"] if ending != ".parquet" else ["a" * 500], ending))
    assert "has more than 20 characters. Shorten it" in too_long
    many = [f"{number:02} {'a' * 17}" for number in range(12)]
    if ending != ".parquet":
        assert "more than the 400 bytes" in refusal(saved(tmp_path, [f'{text[:18]}"' for text in many] * 2, ending))


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.csv", "text,label\n" + "a" * 70, "ends in or after line 2 has more than 60 characters"),
        ("x.csv", "text,label\na,1\n" + '"\n",' * 30, "ends in or after line 18 has more than 60 characters"),
        ("x.csv", 'text,label\n"a\n' + "good,1\n" * 9, "a text of line 2 has more than 20"),
        ("x.csv.gz", "\n" * 401, "more than the 400 bytes"),
        ("x.csv.gz", "text,label\n" + "\n" * 14, "it has more than 12 rows"),
        ("x.csv.gz", "\0" * 99, "ends in or after line 1 has more than 60"),
        ("x.jsonl", "\n" * 14, "it has more than 12 rows"),
        ("x.jsonl", '{"text": "' + "a" * 60, "ends in or after line 1 has more than 60"),
        ("x.jsonl", '{"text": "' + "a" * 25 + '"}', "a text of line 1 has more than 20"),
    ],
    ids=range(9),
)
def test_oversized_rows_are_rejected_at_their_line(tmp_path, name, content, said):
    data = content.encode()
    assert said in refusal(written(tmp_path, gzip.compress(data, mtime=0) if name.endswith(".gz") else data, name))


def test_deeply_nested_line_is_rejected(tmp_path):
    lines = [
        json.dumps({"text": "a", "label": 1}),
        '{"text": "a", "label": ' + "[" * 99 + "]" * 99 + "}",
        '{"text": "a", "label": ' + "[" * 100 + "]" * 100 + "}",
        json.dumps({"text": "[" * 500, "label": 0}),
    ]
    message = refusal(written(tmp_path, "\n".join(lines), "own.jsonl"))
    assert "not one JSON object on a line (1 in all: line 3)" in message


def test_file_for_prediction_has_no_row_limit(tmp_path, small_limits):
    for ending in ENDINGS:
        path = saved(tmp_path, ["some text"] * 30, ending)
        assert sum(len(rows) for rows in read_rows(path, ["text"], 4)) == 30
    with pytest.raises(UserError, match="a text of line 3 has more than 20 characters"):
        list(read_rows(saved(tmp_path, ["fine", "a" * 21], ".csv"), ["text"], 4))


def test_batches_of_long_texts_have_fewer_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "BATCH_BYTES", 100)
    for ending in (".csv", ".parquet"):
        path = saved(tmp_path, [f"{number}{'a' * 39}" for number in range(9)], ending)
        parts = list(read_rows(path, ["text"], 1_000))
        assert max(map(len, parts)) == 3
        assert [row["text"][0] for rows in parts for row in rows] == list("012345678")


def test_dictionary_text_is_counted_once_per_row(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_BYTES", 1_000_000)
    monkeypatch.setattr(limits, "BATCH_BYTES", 100_000)
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 5_000, pa.int32()), ["x" * 10_000])
    path = tmp_path / "own.parquet"
    pq.write_table(pa.table({"text": column, "label": [0, 1] * 2_500}), path, store_schema=False)
    assert path.stat().st_size < 50_000
    assert "1,000,000 is the most" in refusal(path)
    assert max(map(len, read_rows(path, ["text"], 4_000))) <= 11


def test_nested_column_is_rejected_by_its_decoded_size(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_BYTES", 1_000_000)
    path = tmp_path / "own.parquet"
    pq.write_table(pa.table({"text": ["a"], "label": [[0] * 1_000_000]}), path)
    assert path.stat().st_size < 10_000
    assert "column 'label' holds lists or the like" in refusal(path)
    with pytest.raises(UserError, match="1,000,000 is the most that a row group may have"):
        list(read_rows(path, ["text", "label"], 10))


def test_parquet_row_limit_is_checked_before_reading(tmp_path, small_limits, monkeypatch):
    path = saved(tmp_path, ["a"] * 13, ".parquet")
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *_, **__: pytest.fail("read"))
    assert "it has 13 rows, and at most 12" in refusal(path)


def test_oversized_text_file_is_rejected_before_reading(tmp_path, small_limits, monkeypatch):
    path = saved(tmp_path, ["a" * 18] * 20, ".csv")
    assert path.stat().st_size > 400
    monkeypatch.setattr(pa, "input_stream", lambda *_, **__: pytest.fail("read"))
    assert "more than the 400 bytes of text that can be trained on" in refusal(path)


def test_many_problems_keep_five_places(tmp_path):
    path = written(tmp_path, "text,label\n" + "a\n" * 50_000)
    problems = Problems(path)
    assert not list(read_csv(path, ["text"], problems, for_training=False))
    (occurrences,) = problems.found.values()
    assert (occurrences.count, len(occurrences.first)) == (50_000, 5)
    assert "(50,000 in all: line 2 has 1, line 3 has 1" in refusal(path)


def test_header_with_many_columns_is_rejected_with_a_short_message(tmp_path):
    names = [f"c{number}" for number in range(200_000)]
    message = refusal(written(tmp_path, ",".join(["text", "labels", *names, *names]) + "\n"))
    assert "no column 'label'; found: 'text', 'labels', 'c0'" in message
    assert len(message) < 5_000

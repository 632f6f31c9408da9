"""Files of other formats are read, or refused with the command that converts them."""

import gzip
import json
import zipfile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.config.errors import UserError
from tasks.data import limits
from tasks.data.datasets import load_reviews, source_fingerprint
from tasks.data.files import read_reviews, read_rows
from tasks.data.limits import MAX_LABEL_LENGTH
from tasks.data.stored_reviews import load_dataset
from tasks.reporting.tabular import write_csv
from tests.helpers.examples import examples

SHEET = "xl/worksheets/sheet1.xml"
ROWS = [{"text": "good film", "label": 1}, {"text": "bad film", "label": 0}]
CSV = b"text,label\ngood film,1\nbad film,0\n"
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(str.strip)


def written(folder, content, name="own.csv"):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def zipped(folder, members, name="own.zip"):
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return path


def workbook(folder, rows, name="own.xlsx", sheets=("Sheet1",)):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.title = sheets[0]
    for row in rows:
        book.active.append(row)
    for title in sheets[1:]:
        book.create_sheet(title)
    book.save(folder / name)
    return folder / name


def unzipped(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def refusal(path, **options):
    with pytest.raises(UserError) as caught:
        read_reviews(path, **options)
    return str(caught.value)


@pytest.mark.parametrize("name", ["own.json", "own.jsonl", "own.JSON", "own.json.gz"])
@pytest.mark.parametrize(
    "content",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        "\n\n " + json.dumps(ROWS) + "\n",
        "\n".join(map(json.dumps, ROWS)),
        "\r\n".join(map(json.dumps, ROWS)) + "\r\n",
    ],
    ids=["array", "indented", "blank lines", "lines", "crlf"],
)
def test_json_array_and_json_lines_are_read(tmp_path, name, content):
    data = content.encode()
    frame = read_reviews(written(tmp_path, gzip.compress(data, mtime=0) if name.endswith("gz") else data, name)).frame
    assert (list(frame["text"]), list(frame["label"])) == (["good film", "bad film"], [1, 0])


@examples(25, thorough=60, one_folder=True)
@given(st.lists(texts, min_size=2, max_size=8), st.sampled_from([None, 1]), st.integers(1, 40))
def test_json_array_is_read_in_parts_of_any_size(tmp_path, rows, indent, size):
    from tasks.data import json_files

    before, json_files.CHUNK = json_files.CHUNK, size
    try:
        items = [{"text": text, "label": number % 2} for number, text in enumerate(rows)]
        path = written(tmp_path, json.dumps(items, indent=indent), "own.json")
        assert list(read_reviews(path).frame["text"]) == rows
    finally:
        json_files.CHUNK = before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[{"text": "a", "label": 1}, 7, {"text": "b", "label": 0}]', "not a JSON object (1 in all: item 2)"),
        ('[{"text": "a", "label": 1}, {"text": "b", ', "no valid JSON (1 in all: behind item 1)"),
        ('[{"text": "a", "label": 1}, {"text": "b", "label": 0}] []', "more text behind the array"),
        ('{"data": [{"text": "a", "label": 1}]}\n', "no column 'label', 'text'"),
        ('{\n"data": []}\n', "jq .data"),
        ('[{"text": "a", "label": ' + "[" * 100 + "]" * 100 + "}]", "not a JSON object"),
        ("[" * 100_000, "no valid JSON"),
        ('[{"text": "", "label": 1}, {"text": "b", "label": 0}]', "no text; delete these rows (1 in all: item 1)"),
    ],
    ids=range(8),
)
def test_problems_of_json_are_named(tmp_path, content, said):
    message = refusal(written(tmp_path, content, "own.json"))
    assert said in message or ("no columns 'text', 'label'" in message and "no column" in said)


def test_numbers_are_one_label_however_they_are_written(tmp_path):
    stars = [5.0, 5, "5", " 5 ", "5.00", 1, "1.0", "+1"]
    rows = [{"text": f"t{number}", "stars": each} for number, each in enumerate(stars)]
    path = written(tmp_path, json.dumps(rows), "own.json")
    for positive in ("5", "5.0", " 5", 5, 5.0):
        reviews = read_reviews(path, label_column="stars", positive=positive)
        assert list(reviews.frame["label"]) == [1] * 5 + [0] * 3
        assert reviews.classes == ("1", "5")


def test_several_labels_are_positive(tmp_path):
    path = written(tmp_path, "text,stars\n" + "".join(f"t{n},{n}\n" for n in range(1, 6)))
    for positive in ("4,5", "5.0, 4", [4, 5]):
        reviews = read_reviews(path, label_column="stars", positive=positive)
        assert list(reviews.frame["label"]) == [0, 0, 0, 1, 1]
        assert reviews.classes == ("1, 2, 3", "4, 5")
    assert "such as --positive 4,5" in refusal(path, label_column="stars", positive="5")
    assert "and not all (6)" in refusal(path, label_column="stars", positive="5,6")
    assert "every label is positive" in refusal(path, label_column="stars", positive="1,2,3,4,5")


def test_label_with_a_comma_is_one_label(tmp_path):
    path = written(tmp_path, 'text,label\na,"good, very"\nb,bad\n')
    assert read_reviews(path, positive="good, very").classes == ("bad", "good, very")


def test_chinese_labels_name_the_classes(tmp_path):
    content = "文本,标签\n这部电影非常好看,好评\n很无聊，不推荐,差评\n"
    for encoding in ("utf-8", "gb18030", "utf-16"):
        path = written(tmp_path, content.encode(encoding))
        reviews = read_reviews(path, text_column="文本", label_column="标签", positive="好评")
        assert reviews.classes == ("差评", "好评")
        assert list(reviews.frame["label"]) == [1, 0]


def test_long_class_names_are_cut_at_the_limit(tmp_path):
    rows = "".join(f"t{n},{'x' * 50}{n}\n" for n in range(9))
    reviews = read_reviews(written(tmp_path, f"text,label\n{rows}"), positive=f"{'x' * 50}1,{'x' * 50}2")
    assert max(map(len, reviews.classes)) <= MAX_LABEL_LENGTH


@pytest.mark.parametrize("name", ["own.csv.gz", "own.CSV.GZ", "own.tsv.gz", "own.txt.zst"])
def test_compressed_text_is_read(tmp_path, name):
    data = gzip.compress(CSV, mtime=0) if name.lower().endswith("gz") else pa.compress(CSV, "zstd", asbytes=True)
    assert len(read_reviews(written(tmp_path, data, name)).frame) == 2


def test_zip_with_one_file_is_read(tmp_path):
    members = {"folder/own.csv": CSV, "__MACOSX/folder/._own.csv": b"x", ".DS_Store": b"x"}
    assert len(read_reviews(zipped(tmp_path, members)).frame) == 2
    assert len(read_reviews(zipped(tmp_path, {"own.json": json.dumps(ROWS)}, "own.json.zip")).frame) == 2
    assert sum(map(len, read_rows(zipped(tmp_path, members), ["text"], 10))) == 2


def test_zip_with_other_content_is_explained(tmp_path):
    message = refusal(zipped(tmp_path, {"train.csv": CSV, "test.csv": CSV}))
    assert "holds 2 files, and one is needed: train.csv, test.csv. Unpack it (unzip own.zip)" in message
    assert "holds 0 files" in refusal(zipped(tmp_path, {}))
    assert "Unpack it: unzip own.zip" in refusal(zipped(tmp_path, {"own.parquet": b"PAR1"}))
    assert "no readable ZIP archive" in refusal(written(tmp_path, b"PK\x03\x04 no", "own.zip"))
    path = zipped(tmp_path, {"own.csv": CSV * 500})
    damaged = bytearray(path.read_bytes())
    damaged[60] ^= 255
    assert "cannot be" in refusal(written(tmp_path, bytes(damaged), "own.zip"))


def test_zip_bomb_is_refused_at_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_BYTES", 100_000)
    path = zipped(tmp_path, {"own.csv": b"text,label\n" + b"\n" * 10_000_000})
    assert path.stat().st_size < 20_000
    assert "more than the 100,000 bytes" in refusal(path)


def test_workbook_is_read(tmp_path):
    rows = [["text", "label", None, None], ["good film", 1.0], [1984, 0], [None, None], ["two\nlines", 0]]
    reviews = read_reviews(workbook(tmp_path, rows))
    assert list(reviews.frame["label"]) == [1, 0, 0]
    assert list(reviews.frame["text"]) == ["good film", "1984", "two\nlines"]
    assert reviews.source == "3 reviews of own.xlsx"


def test_problems_of_a_workbook_are_named(tmp_path):
    message = refusal(
        workbook(tmp_path, [["text", "label"], ["a", "y"], [None, "y"], ["b", "x"]], sheets=("Data", "More"))
    )
    assert "read as sheet 'Data', the first of 2" in message
    assert "no text; delete these rows (1 in all: row 3)" in message
    assert "'x' (1 rows)" in message
    assert "--no-header --text-column 0 --label-column 1" in refusal(workbook(tmp_path, [["a good film", 1], ["b", 0]]))
    path = workbook(tmp_path, [["a good film", 1], ["bad", 0]])
    assert len(read_reviews(path, header=False, text_column="0", label_column="1").frame) == 2
    assert "no readable workbook" in refusal(written(tmp_path, b"PK\x03\x04 no", "own.xlsx"))
    assert "no readable workbook" in refusal(zipped(tmp_path, {"a": "b"}, "own.xlsx"))


def test_oversized_workbook_is_refused_before_reading(tmp_path, monkeypatch):
    path = workbook(tmp_path, [["text", "label"], ["a" * 30, 1], ["b", 0]])
    monkeypatch.setattr(limits, "MAX_FIELD_LENGTH", 20)
    assert "a text of row 2 has more than 20 characters" in refusal(path)
    monkeypatch.setattr(limits, "MAX_ROWS", 1)
    assert "rows, and at most" in refusal(workbook(tmp_path, [["text", "label"], ["a", 1], ["b", 0]]))
    bomb = zipped(tmp_path, {"xl/sharedStrings.xml": b" " * 10_000_000}, "bomb.xlsx")
    monkeypatch.setattr(limits, "MAX_WORKBOOK_BYTES", 1_000_000)
    assert "unpacked it has 10,000,000 bytes, and a workbook may have 1,000,000" in refusal(bomb)


def test_entities_in_a_workbook_are_not_expanded(tmp_path):
    path = workbook(tmp_path, [["text", "label"], ["a", 1], ["b", 0]])
    members = unzipped(path)
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefghi", "bcdefghij", strict=True)
    )
    sheet = members[SHEET].decode()
    members[SHEET] = f"{bomb}]>{sheet.replace('<t>a</t>', '<t>&j;</t>')}".encode()
    assert "no readable workbook" in refusal(zipped(tmp_path, members, "own.xlsx"))


def test_rows_beyond_the_stated_size_of_a_sheet_are_read(tmp_path):
    path = workbook(tmp_path, [["text", "label"], ["a", 1], ["b", 0], ["c", 1]])
    members = unzipped(path)
    members[SHEET] = members[SHEET].replace(b'ref="A1:B4"', b'ref="A1:A1"')
    assert len(read_reviews(zipped(tmp_path, members, "own.xlsx")).frame) == 3


def test_missing_library_for_workbooks_is_named_with_its_command(tmp_path, monkeypatch):
    path = workbook(tmp_path, [["text", "label"], ["a", 1], ["b", 0]])
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    assert "python -m pip install openpyxl" in refusal(path)


def exported(folder, labels, names, name="own.parquet"):
    """Write a file as the library datasets does."""
    features = {"text": {"dtype": "string", "_type": "Value"}, "label": {"names": names, "_type": "ClassLabel"}}
    table = pa.table({"text": [f"text {number}" for number in range(len(labels))], "label": labels})
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(metadata), folder / name)
    return folder / name


def test_class_names_of_hugging_face_parquet_are_used(tmp_path):
    reviews = read_reviews(exported(tmp_path, [0, 1, 1], ["ham", "spam"]))
    assert (list(reviews.frame["label"]), reviews.classes) == ([0, 1, 1], ("ham", "spam"))
    reversed_names = read_reviews(exported(tmp_path, [0, 1, 1], ["pos", "neg"]))
    assert list(reversed_names.frame["label"]) == [1, 0, 0]
    for positive in ("ham", "0"):
        reviews = read_reviews(exported(tmp_path, [0, 1, 1], ["ham", "spam"]), positive=positive)
        assert (list(reviews.frame["label"]), reviews.classes) == ([1, 0, 0], ("spam", "ham"))
    stars = exported(tmp_path, [0, 1, 2, 3, 4], ["1 star", "2 stars", "3 stars", "4 stars", "5 stars"])
    assert read_reviews(stars, positive="4 stars,5 stars").classes == ("1 star, 2 stars, 3 stars", "4 stars, 5 stars")
    assert read_reviews(stars, positive="3,4").classes[1] == "4 stars, 5 stars"
    message = refusal(exported(tmp_path, [0, 1, -1], ["ham", "spam"]))
    assert "'-1' (1 rows)" in message
    assert "the file names its classes" in message
    assert "--classes" in message


@pytest.mark.parametrize(
    "metadata", [b"no", b"[]", b'{"info": 7}', b'{"info": {"features": {"label": 7}}}', b"[" * 9999]
)
def test_damaged_metadata_of_hugging_face_is_ignored(tmp_path, metadata):
    table = pa.table({"text": ["a", "b"], "label": [0, 1]}).replace_schema_metadata({b"huggingface": metadata})
    pq.write_table(table, tmp_path / "own.parquet")
    assert list(read_reviews(tmp_path / "own.parquet").frame["label"]) == [0, 1]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("own.xls", "soffice --headless --convert-to xlsx own.xls"),
        ("own.ods", "soffice --headless --convert-to xlsx own.ods"),
        ("own.rar", "unrar x own.rar"),
        ("own.tar.gz", "tar -xf own.tar.gz"),
        ("own.csv.bz2", "bunzip2 own.csv.bz2"),
        ("own.docx", "save it as .xlsx or CSV UTF-8"),
        ("own.pkl", "A pickle can run code"),
        ("own file.xls", "soffice --headless --convert-to xlsx 'own file.xls'"),
        ("own.xlsx.gz", "gunzip own.xlsx.gz"),
        ("own.dat", "Allowed: a path to a file that ends in .csv"),
    ],
)
def test_other_formats_are_refused_with_the_command_that_converts_them(tmp_path, name, said):
    assert said in refusal(written(tmp_path, b"x", name))


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"PK\x03\x04..", "a ZIP archive or a workbook"), (gzip.compress(CSV, mtime=0), "gzip"), (b"PAR1", "Parquet")],
    ids=["zip", "gzip", "parquet"],
)
def test_file_with_the_ending_of_another_format_is_recognized(tmp_path, content, said):
    assert said in refusal(written(tmp_path, content))


def test_folder_and_address_are_explained(tmp_path):
    written(tmp_path, CSV)
    assert "is a folder, and a file is needed. It holds own.csv." in refusal(tmp_path)
    assert "curl -LO" in refusal(tmp_path.__class__("https://example.org/own.csv"))


def test_own_csv_output_is_read_back(tmp_path):
    frame = pd.DataFrame({"text": ["ein schöner Film 😍", "=1+1"], "label": [1, 0]})
    path = write_csv(frame, tmp_path / "own.csv")
    assert path.read_bytes().startswith(b"\xef\xbb\xbftext,label\r\n")
    assert list(read_reviews(path).frame["text"]) == ["ein schöner Film 😍", "'=1+1"]


def many(start, end):
    rows = "".join(f"review number {number},{number % 2}\n" for number in range(start, end))
    return f"text,label\n{rows}"


def test_training_and_test_reviews_are_in_two_files(tmp_path):
    train, test = written(tmp_path, many(0, 100)), written(tmp_path, many(98, 140).replace(",", ";"), "test.csv")
    dataset = load_reviews(str(train), test_data=str(test)).dataset
    assert dataset.rows["test"] == 42
    assert dataset.rows["train"] + dataset.rows["validation"] == 100
    assert dataset.across_splits == 2
    assert any("2 test reviews of the given split are also in training" in caveat for caveat in dataset.caveats)
    assert dataset.source == "100 reviews of own.csv; 42 test reviews of test.csv, read as separated by semicolons"
    validation = written(tmp_path, json.dumps([{"text": f"v {n}", "label": n % 2} for n in range(30)]), "v.json")
    dataset = load_reviews(str(train), test_data=str(test), validation_data=str(validation)).dataset
    assert (dataset.rows, dataset.validation) == ({"test": 42, "train": 100, "validation": 30}, "given")


def test_content_of_every_file_is_part_of_the_fingerprints(tmp_path):
    train, test = written(tmp_path, many(0, 100)), written(tmp_path, many(100, 140), "test.csv")
    options = {"test_data": str(test)}
    first, cached = load_dataset(str(train), **options, data_folder=tmp_path, cache=tmp_path / "cache")
    assert not cached
    assert load_dataset(str(train), **options, data_folder=tmp_path, cache=tmp_path / "cache") == (first, True)
    before = source_fingerprint(str(train), **options)
    test.write_text(many(200, 240))
    assert source_fingerprint(str(train), **options) != before
    changed, cached = load_dataset(str(train), **options, data_folder=tmp_path, cache=tmp_path / "cache")
    assert not cached
    assert changed.fingerprint != first.fingerprint
    assert source_fingerprint(str(train)) != before


def test_problems_of_all_files_are_in_one_message(tmp_path):
    train = written(tmp_path, "text,label\na,y\n,y\nb,x\n")
    test = written(tmp_path, "text,label\n ,y\nc,y\n", "test.csv")
    other = written(tmp_path, "review;label\na;1\n", "validation.csv")
    message = refusal(train, test_data=str(test), validation_data=str(other))
    assert "no text; delete these rows (1 in all: line 3 of own.csv)" in message
    assert "no text; delete these rows (1 in all: line 2 of test.csv)" in message
    assert "'x' (1 rows)" in message
    assert "no column 'text'; found: 'review', 'label'" in message


def test_files_of_splits_that_contradict_each_other_are_refused(tmp_path):
    train, test = (
        written(tmp_path, many(0, 100)),
        written(tmp_path, "text,label,split\na,1,test\nb,0,test\n", "test.csv"),
    )
    assert "a column 'split', and `test_data` is given" in refusal(train, test_data=str(test))
    assert "must be different files" in refusal(train, test_data=str(train))
    assert "without `test_data`" in refusal(train, validation_data=str(test))
    assert "There is no file" in refusal(train, test_data=str(tmp_path / "missing.csv"))
    with pytest.raises(UserError, match="belong to a file"):
        load_reviews("bundled", test_data=str(test))


def test_row_limit_holds_for_all_files_together(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_ROWS", 150)
    train, test = written(tmp_path, many(0, 100)), written(tmp_path, many(100, 160), "test.csv")
    assert "together with other files more than 150 rows" in refusal(train, test_data=str(test))

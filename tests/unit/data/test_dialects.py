"""CSV files as spreadsheets and other programs write them: equal rows, or one message."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.config.errors import UserError
from tasks.config.file_options import FileFormat
from tasks.data.encodings import find_encoding
from tasks.data.files import read_reviews, read_rows
from tests.helpers.examples import examples

in_one_folder = examples(30, one_folder=True)
# Written with letters of the language, because an encoding cannot be found without them.
TEXTS_BY_ENCODING = {
    "utf-8": ["ein schöner Film, größer als erwartet", "zum Einschlafen; leider"],
    "utf-8-sig": ["ein schöner Film, größer als erwartet", "zum Einschlafen; leider"],
    "utf-16": ["ein schöner Film", "这部电影非常好看"],
    "utf-16-le": ["ein schöner Film", "这部电影非常好看"],
    "utf-16-be": ["ein schöner Film", "отличный фильм"],
    "utf-32": ["ein schöner Film", "😍"],
    "cp1252": ["très bon film, à voir", "naïf et “ennuyeux” – déjà vu"],
    "latin-1": ["un café con leche", "qué aburrido, ¡por favor!"],
    "cp1250": ["příliš žluťoučký kůň", "úpěl ďábelské ódy"],
    "cp1251": ["отличный фильм", "плохой, скучный фильм"],
    "koi8-r": ["отличный фильм", "плохой, скучный фильм"],
    "cp1253": ["πολύ καλή ταινία", "κακή ταινία"],
    "cp1254": ["çok güzel bir film", "şahane değil, sıkıcı"],
    "shift_jis": ["とても良い映画でした", "退屈な映画"],
    "euc_jp": ["とても良い映画でした", "退屈な映画"],
    "gb18030": ["这部电影非常好看", "很无聊，不推荐给任何人"],
    "big5": ["這部電影非常好看", "很無聊的電影"],
    "euc_kr": ["정말 재미있는 영화였다", "지루한 영화"],
}
words = st.text(st.sampled_from("abc é,;|\t\n\"'\\=@-漢😍0"), min_size=1, max_size=12).filter(
    lambda text: text.strip() and "\r" not in text
)


def written(folder, content, name="own.csv"):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path, **options):
    with pytest.raises(UserError) as caught:
        read_reviews(path, **options)
    return str(caught.value)


@pytest.mark.failure_mode("malformed-csv")
@in_one_folder
@given(
    rows=st.lists(words, min_size=3, max_size=8),
    separator=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    end=st.sampled_from(["\n", "\r\n"]),
    header=st.booleans(),
    index=st.booleans(),
    has_separator_line=st.booleans(),
)
def test_files_of_any_dialect_have_equal_rows(
    tmp_path, rows, separator, quoting, encoding, end, header, index, has_separator_line
):
    labels = [number % 2 for number in range(len(rows))]
    table = [["text", "label"], *zip(rows, labels, strict=True)] if header else [*zip(rows, labels, strict=True)]
    if index:
        table = [["" if header and not number else number, *row] for number, row in enumerate(table)]
    file = io.StringIO()
    file.write(f"sep={separator}{end}" if has_separator_line else "")
    csv.writer(file, delimiter=separator, quoting=quoting, lineterminator=end).writerows(table)
    path = written(tmp_path, file.getvalue().encode(encoding))
    columns = {} if header else {"header": False, "text_column": str(int(index)), "label_column": str(1 + index)}
    try:
        frame = read_reviews(path, **columns).frame
    except UserError as error:  # without a header to recognize, texts can look like fields
        assert not header
        assert not has_separator_line
        assert str(error).startswith(f"{path} cannot be used")
        frame = read_reviews(path, separator={"\t": "tab"}.get(separator, separator), **columns).frame
    if header or has_separator_line:
        assert (list(frame["text"]), list(frame["label"])) == (rows, labels)


@pytest.mark.failure_mode("malformed-csv")
@in_one_folder
@given(
    content=st.text(st.sampled_from('ab,;\t|"\n\r\\é01\0'), max_size=60),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-16-le", "cp1252"]),
    name=st.sampled_from(["x.csv", "x.tsv", "x.txt", "x.json", "x.xlsx", "x.zip"]),
    options=st.sampled_from(
        [{}, {"separator": ";"}, {"encoding": "cp1251"}, {"encoding": "utf-16"}, {"header": False}]
    ),
)
def test_any_text_is_read_or_rejected_with_one_error(tmp_path, content, encoding, name, options):
    path = written(tmp_path, content.encode(encoding), name)
    columns = {"text_column": "0", "label_column": "1"} if options.get("header") is False else {}
    try:
        frame = read_reviews(path, **options, **columns).frame
    except UserError as error:
        assert str(path) in str(error)
    else:
        assert set(frame["label"]) == {0, 1}


@pytest.mark.parametrize(("encoding", "texts"), TEXTS_BY_ENCODING.items())
def test_encoding_is_found(tmp_path, encoding, texts):
    rows = "".join(f'"{text}",{number % 2}\n' for number, text in enumerate(texts * 3))
    reviews = read_reviews(written(tmp_path, f"text,label\n{rows}".encode(encoding)))
    assert list(reviews.frame["text"]) == texts * 3
    has_mark = encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32")
    assert [caveat for caveat in reviews.caveats if "guessed" in caveat] == list(reviews.caveats)
    assert bool(reviews.caveats) is not has_mark


def test_given_encoding_is_used_and_a_wrong_one_is_reported(tmp_path):
    path = written(tmp_path, "text,label\nпривет,1\nмир,0\n".encode("cp866"))
    assert list(read_reviews(path, encoding="cp866").frame["text"]) == ["привет", "мир"]
    assert read_reviews(path, encoding="cp866").source == "2 reviews of own.csv, read as cp866"
    assert "not UTF-8" in refusal(path, encoding="utf-8")
    assert "not UTF-16" in refusal(path, encoding="utf-16")


def test_damaged_utf_8_is_not_taken_for_another_encoding(tmp_path):
    content = "text,label\nété à Paris,1\ndéjà vu,0\n".encode() + b"caf\xe9,1\n"
    assert "not UTF-8; give its encoding by `encoding`, or save the file as UTF-8 (1 in all: line 4" in refusal(
        written(tmp_path, content)
    )


def test_letters_far_behind_ascii_text_are_found(tmp_path):
    rows = "plain text,1\nother text,0\n" * 40_000
    content = f"text,label\n{rows}c'était déjà vu,1\n".encode("cp1252")
    assert len(content) > 3 * 2**18
    assert read_reviews(written(tmp_path, content)).frame["text"].iloc[-1] == "c'était déjà vu"


def test_encoding_of_random_bytes_is_none_or_decodable():
    assert find_encoding(b"", None).name == "utf-8"
    assert find_encoding("mün".encode()[:2], None, is_cut=True).name == "utf-8"


@pytest.mark.parametrize(
    ("content", "read_as"),
    [
        ("text;label\na, b;1\nc, d;0\n", "separated by semicolons"),
        ("text\tlabel\na, b\t1\nc, d\t0\n", "separated by tabs"),
        ("text|label\na, b|1\nc, d|0\n", "separated by pipes"),
        ("sep=;\r\ntext;label\r\na, b;1\r\nc, d;0\r\n", "separated by semicolons"),
        ('text,label\n"a, b",1\n"c, d",0\n', ""),
        ('text, label\n"a, b", 1\n"c, d", 0\n', ""),
        ('text,label\n"a, b",1,\n"c, d",0,\n', ""),
        (',text,label\n0,"a, b",1\n1,"c, d",0\n', ""),
        ("label\ttext\n1\ta, b\n0\tc, d\n", "separated by tabs"),
    ],
)
def test_separator_is_found_and_reported(tmp_path, content, read_as):
    reviews = read_reviews(written(tmp_path, content))
    assert list(reviews.frame["text"]) == ["a, b", "c, d"]
    assert reviews.source == "2 reviews of own.csv" + (f", read as {read_as}" if read_as else "")


def test_quotes_of_other_programs_are_read(tmp_path):
    escaped = 'text,label\n"he said \\"yes, please\\"",1\n"no",0\n'
    assert read_reviews(written(tmp_path, escaped)).frame["text"][0] == 'he said "yes, please"'
    unquoted = 'text\tlabel\n"Great" film\t1\n"Bad\t0\n5" screen\t0\n'
    assert list(read_reviews(written(tmp_path, unquoted)).frame["text"]) == ['"Great" film', '"Bad', '5" screen']
    inside = 'text,label\n5" screen,1\n"two\r\nlines",0\n'
    assert list(read_reviews(written(tmp_path, inside)).frame["text"]) == ['5" screen', "two\r\nlines"]


def test_given_separator_is_used(tmp_path):
    path = written(tmp_path, "text;a:label\nx;y:1\nz:0\n")
    assert list(read_reviews(path, separator=":", text_column="text;a").frame["text"]) == ["x;y", "z"]


def test_utf_16_with_tabs_as_excel_saves_it_is_reported(tmp_path):
    reviews = read_reviews(written(tmp_path, "text\tlabel\r\n好看\t1\r\n难看\t0\r\n".encode("utf-16"), "own.txt"))
    assert reviews.source == "2 reviews of own.txt, read as UTF-16, separated by tabs"
    assert reviews.caveats == ()


@pytest.mark.parametrize(
    "header", ["v1,v2,,,", "v1,v2,x,x,x", "Unnamed: 0,v1,v2,a,a"], ids=["empty", "repeated", "index"]
)
def test_unused_columns_may_have_any_name(tmp_path, header):
    place = header.split(",").index("v1")
    rows = "".join(
        f"{'0,' * place}{label},{text}{',' * (3 - place)}\n" for label, text in [("ham", "a b"), ("spam", "c d")]
    )
    path = written(tmp_path, f"{header}\n{rows}")
    reviews = read_reviews(path, text_column="v2", label_column="v1", positive="spam")
    assert (list(reviews.frame["text"]), list(reviews.frame["label"])) == (["a b", "c d"], [0, 1])
    assert "column 'v1' stands 2 times" in refusal(
        written(tmp_path, "v1,v1,v2\na,b,1\n"), text_column="v1", label_column="v2"
    )


def test_latin_1_file_without_header_is_explained_in_one_message(tmp_path):
    path = written(tmp_path, "un très bon film à voir,1\nvraiment déjà vu,0\n".encode("latin-1"))
    message = refusal(path)
    assert len(message.splitlines()) == 2
    assert "read as cp1252" in message
    assert "Does the file have a header? If not: --no-header --text-column 0 --label-column 1" in message
    assert "allowed" not in message
    frame = read_reviews(path, header=False, text_column="0", label_column="1").frame
    assert list(frame["text"]) == ["un très bon film à voir", "vraiment déjà vu"]


def test_columns_of_a_file_without_header_are_numbered_from_0(tmp_path):
    path = written(tmp_path, "1;good\n0;bad\n")
    assert "found: '0', '1'" in refusal(path, header=False)
    assert list(read_reviews(path, header=False, text_column="1", label_column="0").frame["text"]) == ["good", "bad"]
    (rows,) = read_rows(path, ["1"], 10, FileFormat(header=False))
    assert [(row["place"], row["1"]) for row in rows] == [(1, "good"), (2, "bad")]


def test_all_problems_of_a_file_with_semicolons_are_in_one_message(tmp_path):
    message = refusal(written(tmp_path, "text;label\na;good\n;bad\nb;good\nc\n"))
    assert "cannot be used (read as separated by semicolons)" in message
    assert "no text" in message
    assert "'bad' (1 rows)" in message
    assert "line 5 has 1" in message

"""Files of word vectors: GloVe, word2vec and fastText, compressed or not, and everything that can be wrong in them."""

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.config.errors import UserError
from tasks.data import limits
from tasks.data.vector_files import read_vectors, vector_format
from tests.helpers.examples import examples
from tests.helpers.vector_files import vector_lines, write_vectors

VECTORS = {"the": (0.5, -1.0, 2.0), "film": (1e-3, 0.25, -3.5), "good": (1.0, 2.0, 3.0), "don't": (-0.0, 7.0, 0.1)}
WORDS = ["good", "unseen", "the", "don't"]
EXPECTED = np.array([(1, 2, 3), (0, 0, 0), (0.5, -1, 2), (0, 7, 0.1)], np.float32)
FORMATS = {
    "GloVe": vector_lines(VECTORS),
    "word2vec": vector_lines(VECTORS, header=True),
    "fastText": vector_lines(VECTORS, header=True, end=" \n"),
    "CRLF": vector_lines(VECTORS, end="\r\n"),
    "no end": vector_lines(VECTORS).rstrip(),
    "tabs": vector_lines(VECTORS).replace(b" ", b"\t"),
    "byte order mark": b"\xef\xbb\xbf" + vector_lines(VECTORS),
    "empty lines": vector_lines(VECTORS, header=True, end="\n\n"),
}


@pytest.mark.parametrize("name", ["own.txt", "own.vec", "own.txt.gz", "own.vec.zip"])
@pytest.mark.parametrize("content", FORMATS.values(), ids=FORMATS)
def test_formats_are_read(content: bytes, name: str, tmp_path: Path) -> None:
    path = write_vectors(tmp_path / name, content)
    found = read_vectors(path, WORDS)
    assert found.is_found.tolist() == [True, False, True, True]
    np.testing.assert_array_equal(found.vectors, EXPECTED)
    assert found.vectors.dtype == np.float32
    assert (found.words, vector_format(path).size) == (4, 3)
    assert found.announced in (None, 4)


def read(path: Path, content: bytes, *words: str) -> list[list[float] | None]:
    """Return the vector of each word, or None."""
    found = read_vectors(write_vectors(path, content), words)
    pairs = zip(found.is_found, found.vectors.tolist(), strict=True)
    return [vector if is_found else None for is_found, vector in pairs]


def test_same_word_is_preferred_to_other_case_and_first_line_to_later_ones(tmp_path: Path) -> None:
    lines = "Film 1 1\nFILM 2 2\nfilm 3 3\nfilm 4 4\nGood 5 5\nGOOD 6 6\nÉté 7 7\n".encode()
    assert read(tmp_path / "own.txt", lines, "film", "good", "été") == [[3, 3], [5, 5], [7, 7]]


def test_words_with_spaces_are_not_mistaken_for_others(tmp_path: Path) -> None:
    lines = b"the 1 2\n. . . 3 4\nat name@domain.com 5 6\nin 2010 7 8\nnew\xc2\xa0york 9 10\n"
    words = ("the", ".", "at", "in", "new\xa0york")
    assert read(tmp_path / "own.txt", lines, *words) == [[1, 2], None, None, None, [9, 10]]


def test_words_that_are_numbers_are_words(tmp_path: Path) -> None:
    lines = b"2010 0.5 1\n0.5 3 4\nnan 5 6\n"
    assert read(tmp_path / "own.txt", lines, "2010", "0.5", "nan") == [[0.5, 1], [3, 4], [5, 6]]


def test_a_file_in_another_encoding_is_refused_but_not_one_with_a_cut_character(tmp_path: Path) -> None:
    lines = "the 1 2\nété 3 4\nCafé 5 6\n"
    with pytest.raises(UserError, match=r"own\.txt.* UTF-8: .*2 of 2"):
        read(tmp_path / "own.txt", lines.encode("latin-1"), "the", "été")
    path = write_vectors(tmp_path / "own.vec", lines.encode() + b"caf\xc3 7 8\n")
    found = read_vectors(path, ["the", "été", "café"])
    assert found.is_found.all()
    assert found.not_utf8 == 1


def test_repeated_words_are_counted_if_they_are_wanted(tmp_path: Path) -> None:
    lines = b"Good 0 0\ngood 1 2\ngood 3 4\nGOOD 5 6\nother 7 8\nother 9 9\n"
    found = read_vectors(write_vectors(tmp_path / "own.txt", lines), ["good"])
    assert (found.vectors.tolist(), found.repeated) == ([[1, 2]], 1)


def test_announced_number_of_words_may_be_wrong(tmp_path: Path) -> None:
    found = read_vectors(write_vectors(tmp_path / "own.vec", b"9 2\nthe 1 2\n"), ["the"])
    assert (found.announced, found.words) == (9, 1)


@pytest.mark.failure_mode("wrong-vectors")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"the 1 2 3\nfilm 1 2\ngood 1 2 3\n", ["line 2: 2", "3 numbers"]),
        (b"the 1 2 3\nfilm 1.5 2.5 3.5 4.5\ngood 1 2 3\n", ["line 2", "more than 3"]),
        (b"the 1 2 3\nother 1.5 2.5\ngood 1 2 3\n", ["line 2: 2", "3 numbers"]),
        (b"the 1 2 3\nfilm 1 x 3\ngood 1 2 3\n", ["line 2: 'x'"]),
        (b"the 1 2 3\nfilm 1 0,5 3\n", ["line 2: '0,5'"]),
        (b"the 1 2 3\nfilm 1 1_0 3\n", ["line 2: '1_0'"]),
        (b"the 1 2 3\nfilm 1 nan 3\ngood inf 1 1\n", ["line 2, line 3", "NaN"]),
        (b"the 1 2 3\nfilm 1 1e39 3\n", ["line 2", "too large"]),
        (b"the 1 2 3\nfilm  1 2\n", ["line 2: 2"]),
        (b"5 3\nthe 1 2\nfilm 1 2\n", ["3 numbers", "2 in all: line 2: 2, line 3: 2"]),
        (b"the\nfilm\n", ["'the'", "1 to 4,096"]),
        (b"2 5000\nthe 1 2\n", ["5,000 numbers", "1 to 4,096"]),
        (b"", ["no word vectors"]),
        (b"\n \n", ["no word vectors"]),
        (b"0 300\n", ["no word vectors"]),
        (b"3 2\nthe \x00\x00\x80\x3f\x00\n", ["binary"]),
        ("the 1 2 3\n".encode("utf-16"), ["binary"]),
        (gzip.compress(b"the 1 2 3\n", mtime=0), ["binary"]),
        (b"text,label\nfine film,1\n", ["'text,label'"]),
    ],
)
def test_wrong_files_are_refused_with_the_place(content: bytes, said: list[str], tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        read(tmp_path / "own.txt", content, "the", "film", "good")
    assert all(words in str(refused.value) for words in ["own.txt", *said]), str(refused.value)
    assert "\x00" not in str(refused.value)


def test_many_wrong_lines_are_one_message(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        read(tmp_path / "own.txt", b"the 1 2\n" * 20 + b"x 1\n" * 1_000, "the")
    assert "1,000 in all" in str(refused.value)
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize("name", ["own.bin", "own.bin.gz", "own.bin.zip"])
def test_binary_files_are_refused_by_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="gensim"):
        vector_format(write_vectors(tmp_path / name, b"the 1 2\n"))


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        vector_format(tmp_path / "own.txt")
    with pytest.raises(UserError, match="folder"):
        vector_format(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        vector_format(Path("x" * 5_000))


def test_archive_with_several_files_is_refused_with_their_names(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "glove.zip", "w") as archive:
        archive.writestr("glove.50d.txt", "the 1 2")
        archive.writestr("glove.100d.txt", "the 1 2")
    with pytest.raises(UserError, match=r"glove\.50d\.txt, glove\.100d\.txt"):
        vector_format(tmp_path / "glove.zip")


@pytest.mark.parametrize("name", ["own.txt.gz", "own.txt.zip"])
def test_truncated_and_damaged_files_are_refused(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    content = vector_lines({f"w{number}": rng.normal(size=9).tolist() for number in range(5_000)})
    path = write_vectors(tmp_path / name, content)
    whole = path.read_bytes()
    damaged = [whole[: len(whole) // 2], whole[:300_000] + bytes([whole[300_000] ^ 0xFF]) + whole[300_001:]]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"own\.txt"):
            read_vectors(path, ["w1"])


@pytest.mark.failure_mode("wrong-vectors")
@pytest.mark.parametrize("name", ["own.txt.gz", "own.txt.zip"])
def test_long_lines_and_files_that_unpack_to_any_length_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="line 2 has more than"):
        vector_format(write_vectors(tmp_path / name, b"the 1 2\n" + b"0" * 50_000_000))
    monkeypatch.setattr("tasks.data.vector_files.MAX_VECTOR_LINES", 1_000)
    with pytest.raises(UserError, match="1,000 lines"):
        vector_format(write_vectors(tmp_path / name, b"\n" * 2_000_000))
    monkeypatch.setattr("tasks.data.vector_files.MAX_VECTOR_LINES", 2_000_000)
    monkeypatch.setattr("tasks.data.vector_files.MAX_VECTOR_BYTES", 1_000_000)
    with pytest.raises(UserError, match="1,000,000 bytes"):
        read_vectors(write_vectors(tmp_path / name, b"the 1 2\n" * 1_000_000), ["the"])
    assert limits.MAX_VECTOR_BYTES > 10**10


SPACES = " \t\r\n\x0b\x0c"
tokens = st.text(st.characters(codec="utf-8", exclude_characters=SPACES, exclude_categories=["Cc", "Cs"]), min_size=1)
numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)


@examples(60, thorough=2_000, one_folder=True)
@given(data=st.data(), size=st.integers(1, 4), header=st.booleans(), end=st.sampled_from(["\n", "\r\n", " \n"]))
def test_what_is_written_is_read(tmp_path: Path, data: st.DataObject, size: int, header: bool, end: str) -> None:
    vectors = data.draw(st.dictionaries(tokens, st.lists(numbers, min_size=size, max_size=size), min_size=1))
    # Without a header, a word that is a whole number with one whole number behind it would be a header.
    lines = {"first": [0.5] * size, **vectors}
    found = read_vectors(write_vectors(tmp_path / "own.txt", vector_lines(lines, header=header, end=end)), [*lines])
    assert found.is_found.all()
    assert found.words == len(lines)
    np.testing.assert_array_equal(found.vectors, np.array([*lines.values()], np.float32))


@examples(100, thorough=5_000, one_folder=True)
@given(content=st.one_of(st.binary(max_size=200), st.text("ab1. -e\t\r\n\x00é", max_size=80).map(str.encode)))
def test_any_content_gives_vectors_or_one_message(tmp_path: Path, content: bytes) -> None:
    try:
        found = read_vectors(write_vectors(tmp_path / "own.txt", content), ["a", "b", "1", "é"])
    except UserError as error:
        assert "own.txt" in str(error)
    else:
        assert np.isfinite(found.vectors).all()
        assert found.vectors.shape[1] >= 1

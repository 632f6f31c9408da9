"""Words, the vocabulary, and the last tokens of each review."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.tokenization import build_vocabulary, encode, normalize_text, split_tokens, text_array, tokenize
from tasks.storage.table_fingerprint import fingerprint


def reviews(texts, splits=None):
    number = range(len(texts))
    return pd.DataFrame(
        {"review_id": [f"r{n}" for n in number], "split": splits or ["train"] * len(texts)}
        | {"label": np.array([n % 2 for n in number], dtype=np.int8), "text": texts}
    )


def vocabulary_of(*texts, size=100):
    return build_vocabulary([text_array(texts)], vocabulary_size=size)


SMALL_VOCABULARY = vocabulary_of("a b c d e f", "! é 日")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's 'great'!! don’t<br /><br />\"ok\" ' ' ' x", ["it's", "great", "!", "!", "don't", "ok", "x"]),
        ("Süß, NAÏVE: 日本語 \u0001 ﬁlm", ["süß", "naïve", "日", "本", "語", "film"]),
        ("とても良い映画。한국 영화", [*"とても良い映画", "한국", "영화"]),
        ("หนังดี!", ["ห", "นั", "ง", "ดี", "!"]),  # a mark stays with its letter
        ("<BR/>''' ...\0", [""]),
    ],
)
def test_words_tokenizer_by_hand(text, words):
    assert split_tokens(text_array([text])).to_pylist() == [words]


def test_characters_tokenizer_by_hand():
    assert split_tokens(text_array(["Süß, 日本\n\u1100a\u0308!", "..."]), "characters").to_pylist() == [
        ["s", "ü", "ß", "日", "本", "\u1100", "ä", "!"],
        [""],
    ]


def test_characters_tokenizer_builds_a_vocabulary():
    table, vocabulary = encode(reviews(["ab b", "bc"]), vocabulary_size=9, max_tokens=2, tokenizer="characters")
    assert vocabulary["word"].tolist() == ["b", "a", "c"]
    assert table["tokens"].to_pylist() == [[2, 2], [2, 4]]


def test_vocabulary_contains_training_words_with_alphabetical_ties():
    table, vocabulary = encode(
        reviews(["b a c c", "test test test a"], ["train", "test"]), vocabulary_size=5, max_tokens=9
    )
    assert vocabulary.to_dict("list") == {"word": ["c", "a", "b"], "count": [2, 1, 1], "index": [2, 3, 4]}
    assert table["tokens"].to_pylist() == [[4, 3, 2, 2], [1, 1, 1, 3]]
    assert table["length"].to_pylist() == [4, 4]


def test_vocabulary_size_includes_padding_and_unknown():
    assert list(vocabulary_of("a b c d e", size=5)["word"]) == ["a", "b", "c"]


@pytest.mark.parametrize("size", [2, 65_537])
def test_vocabulary_size_out_of_range_is_rejected(size):
    with pytest.raises(ValueError, match="3 to 65536"):
        vocabulary_of("a", size=size)


@given(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=30), st.integers(1, 9))
def test_last_tokens_are_kept(words, max_tokens):
    index = dict(zip(SMALL_VOCABULARY["word"], SMALL_VOCABULARY["index"], strict=True))
    tokens = tokenize(text_array(["x", " ".join(words)]), SMALL_VOCABULARY, max_tokens=max_tokens)
    assert tokens.to_pylist() == [[1], [index.get(word, 1) for word in words][-max_tokens:]]


@pytest.mark.failure_mode("unusual-text")
@settings(max_examples=200)
@given(st.lists(st.text(st.characters(exclude_categories=())), min_size=1, max_size=5))
def test_any_text_is_encoded_equally_alone_and_in_a_batch(texts):
    batch = tokenize(text_array(texts), SMALL_VOCABULARY, max_tokens=7).to_pylist()
    assert all(1 <= len(tokens) <= 7 for tokens in batch)
    assert batch == [tokenize(text_array([text]), SMALL_VOCABULARY, max_tokens=7)[0].as_py() for text in texts]


@pytest.mark.failure_mode("unusual-text")
def test_word_of_five_million_letters_is_encoded():
    assert tokenize(text_array(["good " + "x" * 5_000_000]), vocabulary_of("good"), max_tokens=3).to_pylist() == [
        [2, 1]
    ]


def test_empty_frame_is_encoded():
    assert tokenize(text_array([]), vocabulary_of("a"), max_tokens=3).to_pylist() == []
    assert len(encode(reviews([]), vocabulary_size=5, max_tokens=3)[0]) == 0


def test_texts_with_equal_words_normalize_equally():
    same, other = text_array(["A  film,<br />good!", "a film good !"]), text_array(["a film good"])
    assert len(set(normalize_text(same).to_pylist())) == 1
    assert normalize_text(other)[0] != normalize_text(same)[0]


def test_parquet_file_is_encoded_like_its_frame(tmp_path):
    frame = reviews(
        [f"word{n % 7} word{n % 3} {n}" for n in range(9_001)], ["train", "test", "validation"] * 3_000 + ["train"]
    )
    frame.to_parquet(tmp_path / "reviews.parquet")
    table, vocabulary = encode(frame, vocabulary_size=50, max_tokens=2)
    again, same = encode(tmp_path / "reviews.parquet", vocabulary_size=50, max_tokens=2, threads=1)
    assert table.equals(again)
    pd.testing.assert_frame_equal(vocabulary, same)
    pq.write_table(table, tmp_path / "encoded.parquet")
    assert fingerprint(pq.read_table(tmp_path / "encoded.parquet")) == fingerprint(table)


def test_table_fingerprint_depends_on_content_only():
    table = pa.table({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1)]).cast(
        pa.schema([("a", pa.int64()), ("b", pa.large_string())])
    )
    assert fingerprint(table) == fingerprint(chunked) == fingerprint(table.to_pandas())
    others = [table.slice(1), table.take([1, 0, 2]), table.rename_columns(["a", "c"]), table.select(["b", "a"])]
    assert len({fingerprint(other) for other in [table, *others]}) == 5


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_reviews(tmp_path):
    """Four times the text takes little more memory, once chunks are worked on at once: of each review 50 words stay."""
    rng = np.random.default_rng(0)
    words = np.array([f"word{number}" for number in range(20_000)])
    peaks = []
    for copies in (12, 48):
        path = tmp_path / f"{copies}.parquet"
        texts = [" ".join(rng.choice(words, 400)) for _ in range(1_000)]
        numbers = [str(number) for number in range(1_000)]
        labels = pa.array([0] * 1_000, pa.int8())
        part = pa.table({"review_id": numbers, "split": ["train"] * 1_000, "label": labels, "text": texts})
        with pq.ParquetWriter(path, part.schema, compression="zstd") as writer:
            for _ in range(copies):
                writer.write_table(part)
        peaks.append(peak_of_encoding(path))
    assert peaks[1] - peaks[0] < 150_000  # kilobytes; the text grows by 120 MB, its words by several times that


def peak_of_encoding(path):
    """Encode a file in a process of its own, and return that process's peak memory in kilobytes."""
    code = (
        "import sys; from pathlib import Path; from tasks.data.tokenization import encode;"
        "table, _ = encode(Path(sys.argv[1]), vocabulary_size=5_000, max_tokens=50);"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code, path], cwd=root, capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_concatenated_frame_is_encoded_like_a_whole_one():
    whole = pd.DataFrame(
        {
            "review_id": [f"id{row}" for row in range(10)],
            "split": ["train"] * 8 + ["test"] * 2,
            "label": [0, 1] * 5,
            "text": [f"word{row} good bad" for row in range(10)],
        }
    )
    pieces = pd.concat([whole.iloc[:5], whole.iloc[5:]])
    one, other = (encode(frame, vocabulary_size=10, max_tokens=3)[0] for frame in (whole, pieces))
    assert fingerprint(one) == fingerprint(other)

"""Words, the vocabulary, and the last tokens of each review."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.tokenization import build_vocabulary, encode, normalize_text, split_tokens, text_array, tokenize
from tasks.storage.table_fingerprint import fingerprint
from tests.helpers.examples import examples


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


def words_of(text, tokenizer="words"):
    return split_tokens(text_array([text]), tokenizer).to_pylist()[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("great😍😍", ["great", "😍", "😍"]),
        ("👍 👍🏽 👍🏿", ["👍", "👍", "👍"]),  # skin tones are one token
        ("❤ ❤️ ❤︎", ["❤", "❤", "❤"]),  # so are variants of text and emoji
        ("👩🏽‍💻 and ❤️‍🔥", ["👩\u200d💻", "and", "❤\u200d🔥"]),  # joined emoji
        ("🇩🇪🇫🇷", ["🇩🇪", "🇫🇷"]),
        (
            "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f!",
            ["🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "!"],
        ),
        ("1️⃣ #️⃣ 10", ["1⃣", "#⃣", "10"]),
        ("★★☆ ♥ ♫ ☹️", ["★", "★", "☆", "♥", "♫", "☹"]),
        ("‼️ ⁉️", ["!", "!", "!", "?"]),
        ("映画😍が", ["映", "画", "😍", "が"]),
        ("رائع😍", ["رائع", "😍"]),
        ("© 2005 → “film”…", ["2005", "→", "film"]),
    ],
)
def test_emoji_are_tokens(text, words):
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (":) :-) :-))) =)", [":)", ":)", ":)", "=)"]),
        ("bad.:( :-(( >:(", ["bad", ":(", ":(", ":("]),
        ("sad:'( :'-(", ["sad", ":'(", ":'("]),
        (";) ;-D :D :P :-o", [";)", ";d", ":d", ":p", ":o"]),
        ("<3 </3 i <3 this > that", ["<3", "</3", "i", "<3", "this", "that"]),
        ("^^ ^_^ -_- >_< ;_; \\o/ (^o^) T_T", ["^^", "^_^", "-_-", ">_<", ";_;", "\\o/", "^o^", "t_t"]),
        (":/ :-\\ :| :* :]", [":/", ":\\", ":|", ":*", ":]"]),
        ("：） (:", [":)", "(:"]),
        ("'great' :) 'film':(", ["great", ":)", "film", ":("]),
        ("http://x.y/:)", ["http", "x", "y", ":)"]),
        ("1:30, cast:drama, C:\\d, (a): b, <30", ["1", "30", "cast", "drama", "c", "d", "a", "b", "30"]),
        ("http://d.com ratio 3:2 :2", ["http", "d", "com", "ratio", "3", "2", "2"]),
    ],
)  # fmt: skip
def test_emoticons_are_tokens(text, words):
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#film, (#Worst_Film!) @some_one's", ["#film", "#worst_film", "!", "@some_one", "s"]),
        ("＃映画 @имя #2good", ["#映画", "@имя", "#2good"]),
        ("#1 C# @ 5pm a@b.com C++ x#y", ["1", "c", "5pm", "a", "b", "com", "c", "x", "y"]),
        ("don't rock'n'roll", ["don't", "rock'n'roll"]),
    ],
)
def test_hashtags_and_handles_are_tokens(text, words):
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("don&#39;t &hellip; it&quot;s <b>bad</b>&nbsp;film", ["don't", "it", "s", "bad", "film"]),
        ("&amp;quot;R&amp;D&amp;quot; AT&T &notaname; & co;", ["r", "d", "at", "t", "notaname", "co"]),
        ("caf&eacute; &Eacute;t&#xE9; &#128525;", ["café", "été", "😍"]),
        ("&lt;3 &lt;i&gt;so&lt;/i&gt;", ["<3", "so"]),
        (f"&#{'9' * 5000}; &#xD800; &#0;", ["9" * 5000]),
    ],
)
def test_character_references_are_unescaped(text, words):
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<p class='x'>a<BR/>b<hr>c</P ><a href=\"http://x.y/?a=1\" id=z>d</a><h1>e</h1>", list("abcde")),
        ("x<!-- y\nz -->w", ["x", "w"]),
        ("a < b > c", ["a", "b", "c"]),
        ("if a <b and c> d", ["if", "a", "b", "and", "c", "d"]),
        ("<sigh> <3>", ["sigh", "<3"]),
    ],
)
def test_tags_are_removed(text, words):
    assert words_of(text) == words


def test_characters_tokenizer_keeps_symbols_whole():
    assert words_of("Go 👩🏽‍💻 :-) #a don&#39;t <3", "characters") == [*"go", "👩\u200d💻", ":)", *"#adont", "<3"]


ODD_PIECES = [
    "a",
    "'",
    " ",
    "<",
    "b",
    ">",
    "!",
    ":",
    "-",
    ")",
    "(",
    "d",
    "&lt;",
    "&amp;",
    "#",
    "@",
    "_",
    "^",
    "3",
    "/",
    "=",
]
ODD_PIECES += ["é", "日", "😍", "\u200d", "\ufe0f", "🏽", "🇩", "\u20e3", "\u0301", ";", "’", ".", "\n", "<br />"]


@pytest.mark.parametrize("tokenizer", ["words", "characters"])
@examples(40)
@given(pieces=st.lists(st.sampled_from(ODD_PIECES), max_size=12))
def test_normalizing_twice_is_normalizing_once(tokenizer, pieces):
    once = normalize_text(text_array(["".join(pieces)]), tokenizer)
    assert normalize_text(once, tokenizer).to_pylist() == once.to_pylist()
    assert "  " not in once[0].as_py()


@examples(40)
@given(pieces=st.lists(st.sampled_from(ODD_PIECES), max_size=12))
def test_text_next_to_a_symbol_has_the_same_tokens(pieces):
    """Texts with symbols are normalized by another expression than texts without."""
    text = "".join(pieces)
    assert words_of(f"{text} \n 😍") == [word for word in [*words_of(text), "😍"] if word]


@pytest.mark.parametrize("text", ["བོད་སྐད།", "ရုပ်ရှင်။", "រឿង។ល្អ៕", "๏หนังดี๛", "映画・良い。"])
def test_punctuation_of_a_script_without_spaces_separates_tokens_beside_emoji_as_well(text):
    plain, with_emoji = split_tokens(text_array([text, f"{text} 😍"])).to_pylist()
    assert with_emoji == [*plain, "😍"]
    assert not set(plain) & set("་།။។៕๏๛・。")


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
@examples(50, thorough=200)
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

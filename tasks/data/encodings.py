"""Find the encoding of a text file by its first bytes.

UTF-8 and byte order marks are certain. Older encodings can only be guessed: the text is decoded in each of them, and
the one that results in the most ordinary characters is taken. charset-normalizer, which knows some ninety encodings,
decides where none of them fits. It is not asked first, because it takes short texts in KOI8-R, Shift-JIS, EUC-JP and
windows-1254 for others.
"""

import codecs
import unicodedata
from dataclasses import dataclass

BYTE_ORDER_MARKS = {
    # The longer one first: that of UTF-32 begins like that of UTF-16.
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
CYRILLIC = "абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґў"
# Letters of ordinary texts in encodings with one byte a character. The first of equals is taken.
LETTERS = {
    "cp1252": "àáâãäåæçèéêëìíîïñòóôõöøœùúûüß",
    "cp1250": "áâăäąçćčďéęěëíîĺľłńňóôőöŕřśšşťţúůűüýźžżß",
    "cp1254": "âçğıiîöşûü",
    "cp1255": "אבגדהוזחטיךכלםמןנסעףפץצקרשת",
    "cp1251": CYRILLIC,
    "koi8_r": CYRILLIC,
    "cp1253": "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ",
    "cp1256": "ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىيپچژگ،؟",
}
LATIN = ("cp1252", "cp1250", "cp1254")
PUNCTUATION = "‘’‚“”„–—…«»¿¡°€£§№\xa0"
# First bytes of the frequent characters in encodings with two bytes a character, and of their punctuation.
LEAD_BYTES = {
    "cp949": {0xA1, *range(0xB0, 0xC9)},
    "euc_jp": {0xA1, 0xA4, 0xA5, *range(0xB0, 0xD0)},
    "gb18030": {0xA1, 0xA3, *range(0xB0, 0xD8)},
    "cp932": {0x81, 0x82, 0x83, *range(0x88, 0x98)},
    "big5": {0xA1, *range(0xA4, 0xC7)},
}
# Share of ordinary characters below which the library is asked.
MIN_SHARE = 0.6
EVIDENCE = 20_000  # bytes


@dataclass(frozen=True)
class Encoding:
    """The encoding of a file.

    Attributes:
        name: Name of the codec in Python.
        mark: Number of bytes of the byte order mark.
        is_guess: Whether another encoding is possible.
    """

    name: str
    mark: int = 0
    is_guess: bool = False

    @property
    def shown(self) -> str:
        """Return the name for a reader."""
        return self.name.upper().removesuffix("-LE").removesuffix("-BE") if self.name.startswith("utf") else self.name


def find_encoding(sample: bytes, given: str | None, *, is_cut: bool = False) -> Encoding:
    """Return the encoding of a file.

    Args:
        sample: Its first bytes.
        given: The encoding that the user names; None if it is to be found.
        is_cut: Whether the file goes on, so that the sample may end within a character.

    Returns:
        UTF-8 also where no encoding fits, so that reading reports the first wrong byte.
    """
    mark = next((mark for mark in BYTE_ORDER_MARKS if sample.startswith(mark)), b"")
    marked = BYTE_ORDER_MARKS.get(mark, "utf-8")
    if given is not None and not (mark and marked.startswith(given.removesuffix("-sig"))):
        return Encoding(given)
    if mark or _is_utf_8(sample, is_cut):
        return Encoding(marked, len(mark))
    guess = _find_utf_16(sample) or _find_old_encoding(sample)
    return Encoding(guess, is_guess=True) if guess else Encoding("utf-8")


def _is_utf_8(sample: bytes, is_cut: bool) -> bool:
    """Return whether bytes are UTF-8, perhaps with damages: other encodings rarely look like it by chance."""
    if b"\0" in sample and _find_utf_16(sample):
        return False
    decoded = codecs.getincrementaldecoder("utf-8")("replace").decode(sample, not is_cut)
    wrong = decoded.count("\ufffd")
    return wrong == 0 or sum(not letter.isascii() for letter in decoded) >= 2 * wrong


def _find_utf_16(sample: bytes) -> str | None:
    """Return the encoding of UTF-16 or UTF-32 without a byte order mark; None if it is none of them."""
    for encoding in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(sample)
        except UnicodeDecodeError:
            continue
        strange = any(unicodedata.category(letter) in ("Cc", "Cn", "Co") for letter in set(text) - set("\t\r\n"))
        if b"\0" in sample and not strange and set(text) & set("\r\n"):
            return encoding
    return None


def _find_old_encoding(sample: bytes) -> str | None:
    *lines, last = sample.splitlines(keepends=True)
    # The last line may end within a character.
    evidence = b"".join(line for line in lines if not line.isascii())[:EVIDENCE] or last
    shares = {name: _ordinary_share(evidence, name) for name in [*LETTERS, *LEAD_BYTES]}
    best = max(shares, key=lambda name: shares[name])
    if shares[best] >= MIN_SHARE:
        return best
    from charset_normalizer import from_bytes

    found = from_bytes(evidence).best()
    return None if found is None or found.encoding in ("ascii", "utf_8") else found.encoding


def _ordinary_share(evidence: bytes, encoding: str) -> float:
    """Return the share of ordinary characters among those that are not ASCII, in [0, 1]; 0 if it is not decodable."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(evidence)
    except UnicodeDecodeError:
        return 0.0
    before = [" ", *text]
    scores = [_ordinary(letter, last, encoding) for last, letter in zip(before, text, strict=False) if letter > "\x7f"]
    return sum(scores) / max(len(scores), 1)


def _ordinary(letter: str, before: str, encoding: str) -> float:
    if encoding in LEAD_BYTES:
        raw = letter.encode(encoding)
        return float(len(raw) == 2 and raw[0] in LEAD_BYTES[encoding])
    if letter in PUNCTUATION:
        return 1.0
    if letter.lower() not in LETTERS[encoding] or (encoding not in LATIN and before.isascii() and before.isalpha()):
        return 0.0
    # Letters of KOI8-R are those of windows-1251 in the other case; Latin letters with accents rarely stand together.
    is_rare = before.isalpha() if letter not in LETTERS[encoding] else before > "\x7f" and encoding in LATIN
    return 0.6 if is_rare else 1.0

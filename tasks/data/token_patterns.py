"""Regular expressions of the tokenizers, in the syntax of RE2. docs/data.md lists the rules in their order."""

# A character reference of HTML. A longer number would not be a character.
REFERENCE = r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});"

# Soft hyphens, variation selectors of text and emoji, and skin tones: they change how a character looks.
MODIFIERS = r"[\x{AD}\x{FE0E}\x{FE0F}\x{1F3FB}-\x{1F3FF}]"

# Elements of HTML, in lower case. Other words in angle brackets, such as <sigh>, are read as words.
_ELEMENTS = (
    "a|abbr|b|big|blockquote|body|br|center|cite|code|dd|del|div|dl|dt|em|embed|font|footer|form|h[1-6]|head|header|hr"
    "|html|i|iframe|img|input|ins|kbd|label|li|link|mark|meta|object|ol|option|p|param|pre|q|s|samp|script|section"
    "|select|small|span|strike|strong|style|sub|sup|table|tbody|td|tfoot|th|thead|title|tr|tt|u|ul|var|video|wbr"
)
_ATTRIBUTE = r"""\s+[a-z][a-z0-9:_-]*\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s"'<>=]+)"""
TAG = rf"</?(?:{_ELEMENTS})(?:{_ATTRIBUTE})*\s*/?>|<!--[\s\S]*?-->"

# Blocks of emoji, arrows, shapes, stars, hearts and notes. Later versions of Unicode add emoji to the last one only.
_PICTURES = (
    r"\x{2190}-\x{21FF}\x{2300}-\x{23FF}\x{25A0}-\x{27BF}\x{2900}-\x{297F}\x{2B00}-\x{2BFF}\x{3030}\x{303D}"
    r"\x{1F000}-\x{1FAFF}"
)
_JOINER, _TAGS = r"\x{200D}", r"\x{E0020}-\x{E007F}"
EMOJI = (
    rf"[\x{{1F1E6}}-\x{{1F1FF}}]{{2}}"  # the flag of a country
    rf"|[0-9#*]\x{{20E3}}"  # a keycap
    rf"|[{_PICTURES}](?:{_JOINER}[{_PICTURES}])*[{_TAGS}]*"  # a picture or several joined ones, or the flag of a region
)

# Emoticons in lower case. Each group is a part that is kept: :-))) becomes :) and ;-D becomes ;d. Those whose mouth can
# also be part of a word or path must not follow a word.
_SMILES = r"(:'|[:;=])-?([()])[()]*|\B([:;=])-?([dpo]\b|[*|/\\\[\]])"
_OTHER_EMOTICONS = r"\(-?:|</?3\b|\^[_o-]?\^|-_+-|>_<|;_;|\\o/"
# As in social networks, a hashtag or handle has a letter and does not follow a word: not #1, C#, 5 @ 3 or a@b.com.
_HASHTAG = r"\B[#@][\p{N}_]*\p{L}[\p{L}\p{M}\p{N}_]*"
_UNSPACED_SCRIPTS = "".join(
    rf"\p{{{script}}}" for script in ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan")
)

# Characters that separate tokens where they are not part of one; quotes around words are separators as well.
_SEPARATOR = r"[^\p{L}\p{M}\p{N}_'!?]"
# Runs of them except a single space, which most runs are and which needs no replacement.
SEPARATORS = r"(?:[ ']*[^\p{L}\p{M}\p{N}_'!? ])+[ ']*|'+ [ ']*| [ ']+"
# What a tokenizer makes a token of its own: characters, and symbols that have separators in them.
CHARACTERS = {"words": rf"[!?]|[{_UNSPACED_SCRIPTS}]\p{{M}}*", "characters": r"[\p{L}\p{N}_!?#@]\p{M}*|\p{M}+"}
# Where each letter is a token, one space behind it is enough.
SPACED = {"words": r" \0 ", "characters": r"\0 "}
_SYMBOLS = {
    "words": rf"{EMOJI}|{_OTHER_EMOTICONS}|{_HASHTAG}",
    "characters": rf"{EMOJI}|{_OTHER_EMOTICONS}|[#@]",
}
SYMBOLS = {name: f"{symbols}|{_SMILES}" for name, symbols in _SYMBOLS.items()}
# Matches are replaced by the groups. The result is that of `CHARACTERS` and `SEPARATORS` in a text without symbols.
# Separators come before characters, because the scripts without spaces have punctuation of their own.
TOKENS = {
    name: rf"'*(?:({symbols})|{_SMILES}|{_SEPARATOR}|({CHARACTERS[name]}))'*" for name, symbols in _SYMBOLS.items()
}
GROUPS = r" \1\2\3\4\5\6 "

"""The steps from a text to its tokens, in words and as data, for programs that do not use this project.

The regular expressions are those of `tasks.data.token_patterns`, in the syntax of ECMAScript instead of RE2.
"""

import json
import re
from html.entities import html5

from tasks.data import token_patterns
from tasks.inference.model_card import TOKENIZATION_FILE

UNICODE_VERSION = 15  # of RE2's classes of characters in the locked pyarrow; a test checks it
# RE2 syntax that ECMAScript writes otherwise. `\s` has fewer characters in RE2.
ECMASCRIPT = (
    (r"\[\\s\\S\]", r"[\\d\\D]"),
    (r"\\x\{(\w+)\}", r"\\u{\1}"),
    (r"\\p\{(\w{3,})\}", r"\\p{Script=\1}"),
    (r"(\[[^\[\]]*)\\s", r"\1\\t\\n\\f\\r "),
    (r"\\s", r"[\\t\\n\\f\\r ]"),
)
NUMBERS = (
    "For a number, it is the character of this number, with these exceptions: 128 to 159 are bytes of Windows-1252 as "
    "web browsers decode them; 0, 55296 to 57343 (surrogates) and numbers above 1114111 become U+FFFD; 1 to 8, 11, 14 "
    "to 31, 127, 64976 to 65007 and numbers that end with FFFE or FFFF in hexadecimal are removed."
)
NAMES = f"For a name, it is the value of the name in `names` in `{TOKENIZATION_FILE}`; keep a match that is not there."
STEPS = (
    "Character references: Replace each match of\n{reference}\nby the character that it stands for. "
    f"{NUMBERS} {NAMES} Then do the same once more.",
    "Modifiers: Remove each match of\n{modifiers}",
    "Characters: Apply Unicode normalization form NFKC. Then replace U+2019 by the apostrophe `'`.",
    "Lower case: Replace each character by its lower-case character, alone: Σ always becomes σ, never ς, and İ "
    "(U+0130) becomes i.",
    "Tags: Replace each match of\n{tags}\nby one space.",
    "Tokens: Replace each match of\n{tokens}\nby a space, the contents of its groups, and a space. A group that "
    "takes no part in the match is empty.",
    "Ends: Remove spaces and apostrophes from both ends of the text. Split it at spaces; the parts, without empty "
    "ones, are its tokens.",
)


def tokenization_patterns(tokenizer: str) -> dict[str, str]:
    """Return the regular expressions of a tokenizer by name, in the syntax of ECMAScript with the flag u."""
    patterns = {
        "reference": token_patterns.REFERENCE,
        "modifiers": token_patterns.MODIFIERS,
        "tags": token_patterns.TAG,
        "tokens": token_patterns.TOKENS[tokenizer],
    }
    return {name: to_ecmascript(pattern) for name, pattern in patterns.items()}


def to_ecmascript(pattern: str) -> str:
    """Return a regular expression of RE2 in the syntax of ECMAScript with the flag u."""
    for syntax, replacement in ECMASCRIPT:
        pattern = re.sub(syntax, replacement, pattern)
    return pattern


def format_tokenization(tokenizer: str) -> str:
    """Format the regular expressions and the names of character references as JSON, in ASCII."""
    names = {f"&{name}": character for name, character in html5.items() if name.endswith(";")}
    content = {"tokenizer": tokenizer, "patterns": tokenization_patterns(tokenizer), "names": names}
    return json.dumps(content, indent=1)


def describe_tokenization(tokenizer: str) -> list[str]:
    """Describe the steps as Markdown, each expression in a code block that is indented as a part of a list item."""
    blocks = {
        name: f"\n    ```\n    {pattern}\n    ```\n    " for name, pattern in tokenization_patterns(tokenizer).items()
    }
    return [re.sub(r"\n\{(\w+)\}\n?", lambda found: blocks[found[1]], step).rstrip() for step in STEPS]

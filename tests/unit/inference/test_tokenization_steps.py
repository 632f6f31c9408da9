"""Tokenization as described in an exported model."""

import json
import re

import pyarrow.compute as pc
import pytest

from tasks.data import token_patterns
from tasks.data.tokenization import text_array
from tasks.inference.tokenization_steps import (
    UNICODE_VERSION,
    describe_tokenization,
    format_tokenization,
    to_ecmascript,
    tokenization_patterns,
)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"[\x{AD}\x{1F3FB}-\x{1F3FF}]", r"[\u{AD}\u{1F3FB}-\u{1F3FF}]"),
        (r"[\p{L}\p{Han}]\p{M}*", r"[\p{L}\p{Script=Han}]\p{M}*"),
        (r"a\s+[^\s>]", r"a[\t\n\f\r ]+[^\t\n\f\r >]"),
        (r"<!--[\s\S]*?-->", r"<!--[\d\D]*?-->"),
    ],
)
def test_expressions_are_written_in_the_syntax_of_ecmascript(pattern: str, expected: str) -> None:
    assert to_ecmascript(pattern) == expected


@pytest.mark.parametrize("tokenizer", list(token_patterns.TOKENS))
def test_steps_contain_every_expression_of_the_tokenizer(tokenizer: str) -> None:
    patterns = tokenization_patterns(tokenizer)
    found = re.findall(r"```\n +(.*)\n +```", "\n".join(describe_tokenization(tokenizer)))
    assert found == list(patterns.values())
    assert json.loads(format_tokenization(tokenizer))["patterns"] == patterns
    assert not [each for each in found if re.search(r"\(\?[a-z]|\\[xsSwWAz]", each)]


def test_groups_of_the_expression_for_tokens_are_the_ones_that_are_kept() -> None:
    assert re.findall(r"\d", token_patterns.GROUPS) == ["1", "2", "3", "4", "5", "6"]
    for tokenizer in token_patterns.TOKENS:
        plain = re.sub(r"\\.|\[(?:\\.|[^\]])*\]", "", tokenization_patterns(tokenizer)["tokens"])
        assert len(re.findall(r"\((?!\?)", plain)) == 6


def test_documented_unicode_version_is_that_of_the_expressions() -> None:
    letters = text_array(["\U00031350", "\u1c89"])  # the first letters of versions 15 and 16
    assert UNICODE_VERSION == 15
    assert pc.match_substring_regex(letters, r"\p{L}").to_pylist() == [True, False]

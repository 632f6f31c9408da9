"""The steps from a text to its probability, in words, for programs that do not use this project."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tasks.config.escape import escape_markdown
from tasks.evaluation.metrics import CLIP
from tasks.inference.model_card import (
    CARD_FILE,
    EXAMPLES_FILE,
    ONNX_FILE,
    TOKENIZATION_FILE,
    TOKENS_FILE,
    WEIGHTS_FILE,
    ModelCard,
)
from tasks.inference.onnx import INPUT, LOGIT, OUTPUT
from tasks.inference.tokenization_steps import UNICODE_VERSION, describe_tokenization
from tasks.inference.worked_examples import THRESHOLD, TOLERANCE, WorkedExample

# Of two classes, the log-odds are limited; of more, the logarithms of the probabilities.
SMALLEST_LOGIT = math.log(CLIP)
LARGEST_LOGIT = math.log1p(-CLIP) - math.log(CLIP)
# Probabilities before calibration have single precision, so that larger logits are known to fewer digits.
LOGIT_DIGITS, LARGEST_PRECISE_LOGIT = 3, 8
EXPRESSIONS = (
    "Regular expressions have the syntax of ECMAScript with the flag `u`, and replace all matches from left to right. "
    f"`{TOKENIZATION_FILE}` contains them as well. `\\b` and `\\B` regard ASCII letters, ASCII digits and `_` as parts "
    f"of words. `\\p{{L}}`, `\\p{{M}}`, `\\p{{N}}` and scripts are those of Unicode {UNICODE_VERSION}: characters that "
    "were added later separate tokens. A newer engine may regard them as letters, so that texts with them can get "
    "other tokens."
)
TERMS = (
    "Terms: The terms of a text are its tokens and the pairs of neighboring tokens, with one space between them. "
    f"`{WEIGHTS_FILE}` contains the terms that the model knows, in the array `vocabulary`: UTF-8 text, one term per "
    "line. Other terms have no effect. The n-th line belongs to the n-th element of the other arrays. The ids in "
    f"`{EXAMPLES_FILE}` are positions of terms, counted from 0, each once."
)
VALUES = {
    "averaged_embeddings": "Values: The value of a term that occurs n times is n, divided by the sum of n over all "
    "terms of the text.",
    "nb_svm": "Values: The value of a term is 1 if it occurs in the text, otherwise 0.",
    "tfidf_logistic": "Values: The value of a term that occurs n times is (1 + ln n) · `idf` of the term. All "
    "values of a text are divided by their Euclidean norm, the square root of the sum of their squares.",
}
LINEAR = "Logit: Sum value · `coefficients` over all terms of the text, then add `intercept`."
CLASS_LINEAR = (
    "Scores: `coefficients` has one row for each term and one column for each class, stored row by row. For each "
    "class, sum value · its coefficient over all terms of the text, then add its element of `intercept`."
)
MAJORITY = "Logit: It is ln(p / (1 - p)) for every text, where p is the only element of the array `share`."
CLASS_MAJORITY = (
    "Logits: They are ln(p) for every text, where the elements p of the array `share` belong to the classes."
)
ONNX = (
    f"Run `{ONNX_FILE}`. Input: `{INPUT}`, int64 (texts, width). Outputs, float32 (texts,): `{LOGIT}`, and "
    f"`{OUTPUT}`, which is the result of the step Calibration."
)
CLASS_ONNX = ONNX.replace("(texts,)", "(texts, classes)")
WITHOUT_ONNX = (
    f"`{WEIGHTS_FILE}` contains the weights of the Keras layers. `imdb-compare export --onnx` also writes the network "
    f"as `{ONNX_FILE}`, which computes the logit in any ONNX runtime."
)
SOFTMAX = "Logits: Subtract from each score the logarithm of the sum of exp(score) over all classes."
SAFETENSORS = (
    f"Arrays: `{WEIGHTS_FILE}` starts with the length of its header as an integer of 8 bytes. The header is a JSON "
    "object with `dtype`, `shape` and `data_offsets` of each array: the position of its first byte and that after its "
    "last byte, counted from the end of the header. `U8` are bytes, `F32` and `F64` floating-point numbers. All "
    "numbers are little-endian."
)


def format_steps(card: ModelCard, examples: Sequence[WorkedExample], onnx: bool) -> list[str]:
    """Format the section of the README, as Markdown paragraphs.

    Args:
        card: Card of the model.
        examples: Worked examples; the first one is shown.
        onnx: Whether the folder contains an ONNX model.
    """
    model_steps = _network_steps(card, onnx) if card.is_network else _baseline_steps(card)
    steps = [*describe_tokenization(card.recipe.tokenizer), *model_steps, *_last_steps(card)]
    return [
        "## From text to probability",
        f"The steps need no code of imdb-compare. `{EXAMPLES_FILE}` contains {len(examples)} texts with their results: "
        "an implementation is correct if its tokens and ids are equal and its probabilities differ by at most "
        f"{TOLERANCE:.5f}.",
        EXPRESSIONS,
        "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1)),
        f"The first text of `{EXAMPLES_FILE}`:",
        _format_example(examples[0], card),
    ]


def _network_steps(card: ModelCard, onnx: bool) -> list[str]:
    return [
        f"Ids: The id of a token is its position in the JSON array in `{TOKENS_FILE}`, counted from 0. The first "
        "two positions are taken: id 0 is padding, and id 1 is every token that is not in the array.",
        f"Truncation: Keep the last {card.recipe.max_tokens} ids (`max_tokens` in `{CARD_FILE}`). A text without "
        "tokens becomes one id, 1.",
        "Padding: If texts of different lengths are predicted in one call, put 0 on the right of the shorter ones. "
        "The number of zeros does not change a probability.",
        f"Logit: {(ONNX if len(card.classes) == 2 else CLASS_ONNX) if onnx else WITHOUT_ONNX}",
    ]


def _baseline_steps(card: ModelCard) -> list[str]:
    if card.architecture not in VALUES:
        return [SAFETENSORS, MAJORITY if len(card.classes) == 2 else CLASS_MAJORITY]
    linear = [LINEAR] if len(card.classes) == 2 else [CLASS_LINEAR, SOFTMAX]
    return [SAFETENSORS, TERMS, VALUES[card.architecture], *linear]


def _last_steps(card: ModelCard) -> list[str]:
    if len(card.classes) > 2:
        return _last_class_steps(card)
    negative, positive = map(escape_markdown, card.classes)
    return [
        f"Calibration: Limit the logit to the range from -{LARGEST_LOGIT:.6f} to {LARGEST_LOGIT:.6f} and divide it "
        f"by the temperature, {card.temperature!r} (`temperature` in `{CARD_FILE}`). The probability of {positive} is "
        "1 / (1 + exp(-x)) of the result x.",
        f"Label: {positive} if the probability is above {THRESHOLD}, otherwise {negative}.",
    ]


def _last_class_steps(card: ModelCard) -> list[str]:
    """Return the last steps of a model with more than two classes."""
    names = ", ".join(f"{number} = {escape_markdown(name)}" for number, name in enumerate(card.classes))
    return [
        f"Calibration: Raise logits below {SMALLEST_LOGIT:.6f} to this value, and divide all by the temperature, "
        f"{card.temperature!r} (`temperature` in `{CARD_FILE}`). The probability of a class is exp(x) of its result x, "
        "divided by the sum of exp(x) over all classes.",
        f"Label: The class with the highest probability; of equal ones the first. The classes are {names}.",
    ]


def _format_example(example: WorkedExample, card: ModelCard) -> str:
    """Format an example as a code block in which every line starts with the name of a step."""
    ids = "ids" if card.is_network else "rows of terms"
    lines = {
        "text": example.text,
        "normalized": example.normalized,
        "tokens": example.tokens,
        ids: example.ids,
        "logit": _rounded_logits(example.logit),
        "probability": np.round(example.probability, 6).tolist(),
        "label": example.label,
    }
    return "\n".join(["```", *(f"{name:<14}{_quote(value)}" for name, value in lines.items()), "```"])


def _rounded_logits(logit: float | list[float]) -> Any:
    if isinstance(logit, list):
        return [_rounded_logits(each) for each in logit]
    return round(logit, LOGIT_DIGITS if abs(logit) < LARGEST_PRECISE_LOGIT else 0)


def _quote(value: object) -> str:
    r"""Return a value as JSON in which invisible characters are escapes such as `\u200b`."""
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in quoted)

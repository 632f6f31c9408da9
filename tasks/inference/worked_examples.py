"""Worked examples of an exported model: texts with the result of each step from the text to the probability.

They are computed by the functions that `imdb-compare predict` uses. Another implementation of the steps can be tested
with them.
"""

import json
from collections.abc import Sequence
from itertools import cycle, islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from tasks.data.tokenization import normalize_text, split_tokens, text_array, tokenize
from tasks.evaluation.calibration import logits
from tasks.inference.model_card import VOCABULARY_FILE, WEIGHTS_FILE, ModelCard
from tasks.inference.predictor import CalibratedModel, Predictor
from tasks.training.trained_models import read_vocabulary, read_weights

TOLERANCE = 1e-5  # largest difference of probabilities between implementations
THRESHOLD = 0.5  # of the calibrated probability
# A logit is not written: that of a probability near 0 or 1 is known to few digits.
WRITTEN = ("text", "normalized", "tokens", "ids", "probability", "label")
KNOWN_TOKENS = 6  # of the first example
# Each text is a case that implementations may treat differently.
TEXTS = (
    "",
    " \t\n ",
    "... — “” {} ~ %",
    "A wonderful film, with a plot that holds!",
    "It's 'great'!! I don’t regret it ... or do I?",
    "It was <br /><BR/>awful.<br >Really <i>awful</i> & 1 < 2 > 0",
    "don&#39;t &#x27;miss&#x27; it&quot;s <b>bad</b>&nbsp;film &amp;amp; &copy &eacute;t&eacute; &nosuch;",
    "😍😍 🎬🍿 👍🏽 👨‍👩‍👧 🇫🇷🇩🇪 ❤️ 1️⃣ ☺ ™",
    ":-) :) :( ;-D <3 :'( xD =) :P a:b",
    "#mustsee @somebody #2024 a#b # @ ＃wide",
    "naïve café CAFE\u0301 Süß STRASSE ﬁlm ① ² Å",
    "İstanbul IĞDIR ı ΟΔΟΣ ὈΔΥΣΣΕΎΣ ẞ ǅ Ωmega",
    "这部电影很好看。とても良い映画！한국 영화 ｶﾅ",
    "หนังดีมาก ရုပ်ရှင် រឿងល្អ བོད་སྐད",
    "Отличный фильм, סרט מצוין, فيلم رائع, बहुत अच्छी फ़िल्म",
    "10/10 3.5 ½ snake_case a-b-c e.g. U.S.A. 100% $5",
    "one\ntwo\tthree\vfour\x85five\u2028six\u00a0seven\u3000eight\x1cnine",
    "zero\u200bwidth soft\u00adhyphen \u202eright to left\u202c join\u200der \0null \ufefffirst",
    "''quoted'' ' ' o'clock 'tis rock'n'roll",
    "zzqqzz xxyyxx",
    "https://example.org/a?b=c www.example.org someone@example.org",
)


class WorkedExample(NamedTuple):
    """A text with the result of each step.

    Attributes:
        text: The text.
        normalized: Its tokens, with one space between them.
        tokens: Its tokens, all of them.
        ids: Token ids that a network reads, or rows of the terms that a baseline counts, each term once.
        logit: Log-odds of the positive class before calibration, from a probability in single precision. Of more than
            two classes, the logarithm of each probability.
        probability: Calibrated probability of the positive class, or of each of more than two classes.
        label: Name of the predicted class.
    """

    text: str
    normalized: str
    tokens: list[str]
    ids: list[int]
    logit: float | list[float]
    probability: float | list[float]
    label: str


def work_examples(folder: Path, card: ModelCard, model: CalibratedModel) -> list[WorkedExample]:
    """Compute the examples of an exported model. The first two consist of tokens that the model knows.

    Args:
        folder: Folder of the exported model, with weights and vocabulary.
        card: Its card.
        model: The model.
    """
    known = vocabulary_tokens(folder, card) if card.is_network else _heaviest_tokens(folder)
    texts = [*_known_texts(known, card.recipe.max_tokens), *TEXTS]
    array = text_array(texts)
    tokens = [[token for token in each if token] for each in split_tokens(array, card.recipe.tokenizer).to_pylist()]
    ids = _token_ids(array, folder, card) if card.is_network else _term_rows(tokens, baseline_terms(folder))
    raw = logits(model.predict(texts).probability)
    predicted = Predictor([model], card.classes, card.recipe.tokenizer).predict(texts)
    normalized = normalize_text(array, card.recipe.tokenizer).to_pylist()
    columns = (texts, normalized, tokens, ids, raw.tolist(), _probabilities(predicted), predicted["label"])
    return [WorkedExample(*row) for row in zip(*columns, strict=True)]


def _probabilities(predicted: pd.DataFrame) -> list[Any]:
    """Return the probability of class 1 of each text, or those of more than two classes."""
    of_classes = predicted.filter(like="probability_")
    values: list[Any] = (predicted["probability"] if of_classes.empty else of_classes).to_numpy().tolist()
    return values


def format_examples(examples: Sequence[WorkedExample], card: ModelCard) -> str:
    r"""Format the examples as JSON, one per line, in ASCII: other characters are escapes such as `\u200b`."""
    rule = {"threshold": THRESHOLD} if len(card.classes) == 2 else {"classes": card.classes}
    constants = {"tokenizer": card.recipe.tokenizer, **rule, "tolerance": TOLERANCE}
    if card.is_network:
        constants["max_tokens"] = card.recipe.max_tokens
    head = "".join(f'"{name}": {json.dumps(value)},\n' for name, value in constants.items())
    rows = ",\n".join(json.dumps({name: getattr(example, name) for name in WRITTEN}) for example in examples)
    return f'{{{head}"examples": [\n{rows}\n]}}\n'


def vocabulary_tokens(folder: Path, card: ModelCard) -> list[str]:
    """Return the tokens of a network's vocabulary, in the order of their token ids."""
    tokens: list[str] = read_vocabulary(folder / VOCABULARY_FILE, card.recipe)["word"].tolist()
    return tokens


def baseline_terms(folder: Path) -> list[str]:
    """Return the terms of a baseline, in the order of their coefficients; the majority class has none."""
    terms = read_weights(folder / WEIGHTS_FILE).get("vocabulary", np.empty(0, np.uint8))
    return terms.tobytes().decode().split("\n")


def _heaviest_tokens(folder: Path) -> list[str]:
    """Return the tokens of a baseline, those with the largest absolute coefficient first."""
    weights, terms = read_weights(folder / WEIGHTS_FILE), baseline_terms(folder)
    coefficients = np.abs(weights.get("coefficients", np.zeros(len(terms))))
    order = np.argsort(-coefficients.reshape(len(terms), -1).max(axis=1), kind="stable")
    return [terms[row] for row in order if terms[row] and " " not in terms[row]]


def _known_texts(known: Sequence[str], max_tokens: int) -> list[str]:
    """Return a text with markup, and a text that is longer than a network reads."""
    first = " ".join(known[:KNOWN_TOKENS])
    length = max_tokens + KNOWN_TOKENS
    return [f"<p>{first.capitalize()},&nbsp;zzqqzz!</p>", " ".join(islice(cycle(known or ["zzqqzz"]), length))]


def _token_ids(texts: pa.Array, folder: Path, card: ModelCard) -> list[list[int]]:
    vocabulary = read_vocabulary(folder / VOCABULARY_FILE, card.recipe)
    ids = tokenize(texts, vocabulary, max_tokens=card.recipe.max_tokens, tokenizer=card.recipe.tokenizer)
    return list(ids.to_pylist())


def _term_rows(texts: Sequence[Sequence[str]], terms: Sequence[str]) -> list[list[int]]:
    """Return the rows of the tokens, and of the pairs of neighboring tokens, that are terms; each row once."""
    rows = {term: row for row, term in enumerate(terms)}
    found = ([*tokens, *map(" ".join, pairwise(tokens))] for tokens in texts)
    return [sorted({rows[term] for term in each if term in rows}) for each in found]

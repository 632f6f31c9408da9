"""Trained models put to use: texts in, calibrated probabilities out, and the words that moved an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.config.labels import BASELINE_NAMES, label
from tasks.config.recipe import Recipe
from tasks.data.tokenization import UNKNOWN, normalise, text_array, tokenize
from tasks.evaluation.calibration import scaled
from tasks.inference.exported_model import VOCABULARY, WEIGHTS, read_card
from tasks.inference.selection import Wanted, chosen
from tasks.models.baselines import Baseline
from tasks.storage.runs import open_run
from tasks.storage.s3 import results_place
from tasks.training.batches import Split
from tasks.training.loop import answers, compiled
from tasks.training.runtime import load_tensorflow
from tasks.training.trained_models import baseline, load_baseline, load_network, network, read_vocabulary

if TYPE_CHECKING:
    import keras

# Each word that is left out is one more text to answer: of a longer text the last ones are tried.
MOST_WORDS_TRIED = 1_000


class Reading(NamedTuple):
    """What a model makes of texts: raw probabilities of the positive class, and the share of words it did not know."""

    probability: np.ndarray  # (texts,) float in [0, 1]
    unknown: np.ndarray  # (texts,) float in [0, 1]; 1 for a text without words


Read = Callable[[Sequence[str]], Reading]


class Member(NamedTuple):
    """A trained trial: how it reads texts, and the temperature that validation gave it."""

    name: str
    read: Read
    temperature: float


class Predictor(NamedTuple):
    """One trained trial, or several of one architecture, whose calibrated probabilities are averaged."""

    members: list[Member]
    classes: tuple[str, str]  # what 0 and 1 are called
    tokenizer: str = "words"
    threshold: float = 0.5  # above it, the class is 1

    def predict(self, texts: Sequence[str]) -> pd.DataFrame:
        """Answer texts, any strings.

        Returns:
            A row a text: label (a name in `classes`), probability (of the positive class, calibrated, float64) and
            unknown (share of the words read that the model does not know).
        """
        readings = [member.read(texts) for member in self.members]
        calibrated = [
            scaled(reading.probability, member.temperature)
            for reading, member in zip(readings, self.members, strict=True)
        ]
        probability = np.mean(calibrated, axis=0)
        classes = np.where(probability > self.threshold, self.classes[1], self.classes[0])
        return pd.DataFrame({"label": classes, "probability": probability, "unknown": readings[0].unknown})

    def moved(self, text: str, most: int) -> list[tuple[str, float]]:
        """Find the words without which the answer would differ most, by answering the text without each of them.

        Args:
            text: Any string. Of more than `MOST_WORDS_TRIED` words the last ones are tried.
            most: How many to return, at most.

        Returns:
            Word, and probability with it less probability without it; the largest change first. A word that stands
            twice is left out once each time.
        """
        words = words_of(text, self.tokenizer)
        first = max(len(words) - MOST_WORDS_TRIED, 0)
        without = [" ".join(words[:place] + words[place + 1 :]) for place in range(first, len(words))]
        found = self.predict([" ".join(words), *without])["probability"].to_numpy()
        moves = found[0] - found[1:]
        order = np.argsort(-np.abs(moves), kind="stable")[:most]
        return [(words[first + place], float(moves[place])) for place in order if moves[place] != 0]


def words_of(text: str, tokenizer: str) -> list[str]:
    """Split a text into the words that models read."""
    return str(normalise(text_array([text]), tokenizer)[0].as_py()).split()


def load_predictor(wanted: Wanted, say: Callable[[str], None]) -> Predictor:
    """Load the trained models that are wanted, and TensorFlow before them if they are networks.

    Args:
        wanted: Which.
        say: Told which they are.

    Raises:
        UserError: If the run has none such.
        FileNotFoundError, DamagedFileError: If a file is gone, or is not what was written.
    """
    if wanted.model is not None:
        return load_carried(wanted, say)
    run = open_run(results_place(wanted.results), wanted.run)
    trials = chosen(run, wanted)
    architecture, accuracy = str(trials["architecture"].iloc[0]), 100 * trials["accuracy"].mean()
    network = architecture not in BASELINE_NAMES
    seeds = f", seed{'s' * (len(trials) > 1)} {', '.join(trials['seed'].astype(str))}" if network else ""
    of = f"Model: {label(architecture)}{seeds} of run {run.name}, {accuracy:.2f}% right on validation reviews."
    say(escape_terminal(of))
    if network:
        load_tensorflow()
        vocabulary = read_vocabulary(run.cache / "encoded" / run.facts["vocabulary"], run.recipe)
        models = (load_network(run.cache, name, run.recipe) for name in trials["name"])
        reads = [read_by_network(model, run.recipe, vocabulary) for model in models]
    else:
        reads = [read_by_baseline(load_baseline(run.cache, name), run.recipe) for name in trials["name"]]
    members = [Member(*of) for of in zip(trials["name"], reads, trials["temperature"], strict=True)]
    negative, positive = run.facts["classes"]
    return Predictor(members, (negative, positive), run.recipe.tokenizer, wanted.threshold)


def load_carried(wanted: Wanted, say: Callable[[str], None]) -> Predictor:
    """Load an exported model; arguments and errors as of `load_predictor`."""
    chooses = {name: getattr(wanted, name) for name in ("run", "architecture", "seed", "ensemble")}
    given = [name for name, value in chooses.items() if value is not None and value is not False]
    if wanted.model is None or given:
        raise UserError(f"model: received {str(wanted.model)!r:.300} beside {', '.join(given)}. Leave these out.")
    card = read_card(wanted.model)
    of = f"Model: {label(card.architecture)} of {wanted.model}, {100 * card.accuracy:.2f}% right on validation reviews."
    say(escape_terminal(of))
    weights = wanted.model / WEIGHTS
    if card.architecture in BASELINE_NAMES:
        read = read_by_baseline(baseline(card.architecture, weights), card.recipe)
    else:
        load_tensorflow()
        vocabulary = read_vocabulary(wanted.model / VOCABULARY, card.recipe)
        read = read_by_network(network(card.architecture, card.recipe, weights), card.recipe, vocabulary)
    members = [Member(card.name, read, card.temperature)]
    return Predictor(members, card.classes, card.recipe.tokenizer, wanted.threshold)


def read_by_network(model: keras.Model, recipe: Recipe, vocabulary: pd.DataFrame) -> Read:
    """Make of a trained network a function from texts to what it makes of them."""
    forward = compiled(model)

    def read(texts: Sequence[str]) -> Reading:
        tokens = tokenize(text_array(texts), vocabulary, max_tokens=recipe.max_tokens, tokenizer=recipe.tokenizer)
        labels = pa.array(np.zeros(len(texts), np.int8))
        split = Split.from_table(pa.table({"tokens": tokens, "label": labels}))
        unknown = np.add.reduceat(split.tokens == UNKNOWN, split.offsets[:-1]) / np.diff(split.offsets)
        return Reading(answers(forward, split, max_tokens=recipe.max_tokens), unknown)

    return read


def read_by_baseline(baseline: Baseline, recipe: Recipe) -> Read:
    """Make of a trained baseline a function from texts to what it makes of them."""
    known = set(baseline.weights["vocabulary"].tobytes().decode().split("\n")) if len(baseline.weights) > 1 else set()

    def read(texts: Sequence[str]) -> Reading:
        normal = normalise(text_array(texts), recipe.tokenizer).to_pylist()
        words = [text.split() for text in normal]
        unknown = [np.mean([word not in known for word in each]) if each else 1.0 for each in words]
        return Reading(baseline.predict(normal), np.array(unknown))

    return read

"""Predictions of trained models: labels, calibrated probabilities and the influence of words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.config.labels import BASELINE_NAMES, label, label_in_sentence
from tasks.config.recipe import Recipe
from tasks.data.tokenization import UNKNOWN, normalize_text, text_array, tokenize
from tasks.evaluation.calibration import apply_temperature
from tasks.evaluation.metrics import THRESHOLD
from tasks.inference.model_card import VOCABULARY_FILE, WEIGHTS_FILE, ModelCard, read_model_card
from tasks.inference.selection import ModelSelection, SelectedModel, select_models
from tasks.models.baselines import Baseline
from tasks.reporting.verdict_format import format_score
from tasks.storage.runs import RunRecord, open_run
from tasks.storage.s3 import results_place
from tasks.training.batches import Split
from tasks.training.prediction import compile_forward, predict_with
from tasks.training.runtime import load_tensorflow
from tasks.training.trained_models import build_baseline, build_network, load_baseline, load_network, read_vocabulary

if TYPE_CHECKING:
    import keras

# The influence of a word needs one more prediction, so only the last words of a longer text are examined.
MAX_EXAMINED_WORDS = 1_000


@dataclass(frozen=True)
class RawPrediction:
    """Predictions of one model before calibration.

    Attributes:
        probability: Float in [0, 1]: (texts,) of class 1 for two classes, (texts, classes) for more.
        unknown: Share of unknown tokens, (texts,) float in [0, 1]; 1 for a text without tokens.
    """

    probability: np.ndarray
    unknown: np.ndarray


PredictFunction = Callable[[Sequence[str]], RawPrediction]


@dataclass(frozen=True)
class CalibratedModel:
    """A trained model.

    Attributes:
        name: Name of the trial.
        predict: Function from texts to predictions before calibration.
        temperature: Divisor of the log-odds, fitted on the validation split; see `apply_temperature`.
    """

    name: str
    predict: PredictFunction
    temperature: float


@dataclass(frozen=True)
class Predictor:
    """One trained model, or the models of several seeds, whose calibrated probabilities are averaged.

    Attributes:
        models: The models.
        classes: Names of the classes.
        tokenizer: Tokenizer of the models.
        threshold: A text is of class 1 if its probability is above this value. With more than two classes, the most
            probable one is predicted.
        description: Sentence that names the models, without control characters.
    """

    models: Sequence[CalibratedModel]
    classes: tuple[str, ...]
    tokenizer: str = "words"
    threshold: float = 0.5
    description: str = ""

    def predict(self, texts: Sequence[str]) -> pd.DataFrame:
        """Predict texts.

        Args:
            texts: Any strings.

        Returns:
            One row per text, with the columns `prediction_columns`: label (name of the predicted class), probability
            (calibrated, float64, of class 1; with more than two classes that of the label, followed by those of all
            classes) and unknown (share of the tokens that the model does not know).
        """
        predictions = [model.predict(texts) for model in self.models]
        calibrated = [
            apply_temperature(prediction.probability, model.temperature)
            for prediction, model in zip(predictions, self.models, strict=True)
        ]
        probability = np.mean(calibrated, axis=0)
        if probability.ndim == 1:
            labels = np.where(probability > self.threshold, self.classes[1], self.classes[0])
            columns = (labels, probability)
        else:
            columns = (np.array(self.classes)[probability.argmax(axis=1)], probability.max(axis=1), *probability.T)
        return pd.DataFrame(
            dict(zip(prediction_columns(self.classes), (*columns, predictions[0].unknown), strict=True))
        )

    def word_influence(self, text: str, count: int) -> list[tuple[str, float]]:
        """Compute how much each word changes the probability, by predicting the text once without each word.

        Args:
            text: Any string. Of a text with more than `MAX_EXAMINED_WORDS` words, the last ones are examined.
            count: Largest number of words to return.

        Returns:
            Words with their influence, the probability (of class 1, or of the label of the text with more than two
            classes) with the word minus the probability without it; the largest absolute influence first. Each
            occurrence of a word is examined on its own.
        """
        words = split_text(text, self.tokenizer)
        first = max(len(words) - MAX_EXAMINED_WORDS, 0)
        shortened = [" ".join(words[:position] + words[position + 1 :]) for position in range(first, len(words))]
        predicted = self.predict([" ".join(words), *shortened])
        column = "probability" if len(self.classes) == 2 else f"probability_{predicted['label'].iloc[0]}"
        probability = predicted[column].to_numpy()
        influence = probability[0] - probability[1:]
        order = np.argsort(-np.abs(influence), kind="stable")[:count]
        return [(words[first + index], float(influence[index])) for index in order if influence[index] != 0]


def prediction_columns(classes: Sequence[str]) -> list[str]:
    """Return the columns of predictions; more than two classes have one probability each, after that of the label."""
    each = [] if len(classes) == 2 else [f"probability_{name}" for name in classes]
    return ["label", "probability", *each, "unknown"]


def split_text(text: str, tokenizer: str) -> list[str]:
    """Split a text into the words that models read."""
    return str(normalize_text(text_array([text]), tokenizer)[0].as_py()).split()


def load_predictor(selection: ModelSelection) -> Predictor:
    """Load trained models. For networks, TensorFlow is loaded first.

    Args:
        selection: Models of a run, or an exported model.

    Raises:
        UserError: If there is no such model.
        MissingFileError: If a file of the model is missing.
        DamagedFileError: If a file of the model is damaged.
    """
    if selection.model is not None:
        return load_exported_model(selection)
    run = open_run(results_place(selection.results), selection.run)
    check_threshold(selection, run.info.classes)
    selected, classes = select_models(run, selection), len(run.info.classes)
    if selected[0].architecture in BASELINE_NAMES:
        baselines = (load_baseline(run.cache_dir, each.name, classes) for each in selected)
        functions = [baseline_function(baseline, run.recipe) for baseline in baselines]
    else:
        load_tensorflow()
        vocabulary = read_vocabulary(run.vocabulary_path, run.recipe)
        networks = (
            load_network(run.cache_dir, each.name, run.recipe_of(each.architecture), classes) for each in selected
        )
        functions = [network_function(model, run.recipe, vocabulary) for model in networks]
    models = [
        CalibratedModel(each.name, function, each.temperature)
        for each, function in zip(selected, functions, strict=True)
    ]
    description = describe_models(run, selected)
    return Predictor(models, run.info.classes, run.recipe.tokenizer, selection.threshold, description)


def check_threshold(selection: ModelSelection, classes: Sequence[str]) -> None:
    """Check that a threshold is given only for two classes.

    Raises:
        UserError: If it is given for more.
    """
    if len(classes) > 2 and "threshold" in selection.model_fields_set and selection.threshold != THRESHOLD:
        raise UserError(
            f"threshold: received {selection.threshold}, but the model has {len(classes)} classes, and the most "
            "probable one is predicted. Leave it out."
        )


def describe_models(run: RunRecord, models: Sequence[SelectedModel]) -> str:
    """Return a sentence with architecture, seeds, run and validation score of models."""
    architecture = models[0].architecture
    mean = float(np.mean([model.score for model in models]))
    score = format_validation_score(mean, run.info.metric, len(run.info.classes))
    numbers = ", ".join(str(model.seed) for model in models)
    seeds = "" if architecture in BASELINE_NAMES else f", seed{'s' * (len(models) > 1)} {numbers}"
    return escape_terminal(f"Model: {label(architecture)}{seeds} of run {run.name}, {score}.")


def format_validation_score(score: float, metric: str, classes: int) -> str:
    """Format a validation score with the name of its metric, such as `validation accuracy 89.40%`."""
    return f"validation {label_in_sentence(metric, classes)} {format_score(score, metric)}"


def load_exported_model(selection: ModelSelection) -> Predictor:
    """Load an exported model; for arguments and errors see `load_predictor`."""
    options = {name: getattr(selection, name) for name in ("run", "architecture", "seed", "ensemble")}
    given = [name for name, value in options.items() if value is not None and value is not False]
    if selection.model is None or given:
        raise UserError(f"model: received {str(selection.model)!r:.300} with {', '.join(given)}. Leave these out.")
    card = read_model_card(selection.model)
    check_threshold(selection, card.classes)
    model = load_model_folder(selection.model, card)
    score = format_validation_score(card.validation_score, card.metric, len(card.classes))
    description = escape_terminal(f"Model: {label(card.architecture)} of {selection.model}, {score}.")
    return Predictor([model], card.classes, card.recipe.tokenizer, selection.threshold, description)


def load_model_folder(folder: Path, card: ModelCard) -> CalibratedModel:
    """Load the model in the folder of an exported model; for errors see `load_predictor`."""
    weights = folder / WEIGHTS_FILE
    if not card.is_network:
        function = baseline_function(build_baseline(card.architecture, weights, len(card.classes)), card.recipe)
        return CalibratedModel(card.name, function, card.temperature)
    load_tensorflow()
    vocabulary = read_vocabulary(folder / VOCABULARY_FILE, card.recipe)
    network = build_network(card.architecture, card.recipe, weights, len(card.classes))
    return CalibratedModel(card.name, network_function(network, card.recipe, vocabulary), card.temperature)


def network_function(model: keras.Model, recipe: Recipe, vocabulary: pd.DataFrame) -> PredictFunction:
    """Return the prediction function of a trained network."""
    forward = compile_forward(model)

    def predict(texts: Sequence[str]) -> RawPrediction:
        tokens = tokenize(text_array(texts), vocabulary, max_tokens=recipe.max_tokens, tokenizer=recipe.tokenizer)
        labels = pa.array(np.zeros(len(texts), np.int8))  # `Split` has labels, which predictions do not need
        split = Split.from_table(pa.table({"tokens": tokens, "label": labels}))
        unknown = np.add.reduceat(split.tokens == UNKNOWN, split.offsets[:-1]) / np.diff(split.offsets)
        return RawPrediction(predict_with(forward, split, max_tokens=recipe.max_tokens), unknown)

    return predict


def baseline_function(baseline: Baseline, recipe: Recipe) -> PredictFunction:
    """Return the prediction function of a trained baseline."""
    known = set(baseline.weights["vocabulary"].tobytes().decode().split("\n")) if len(baseline.weights) > 1 else set()

    def predict(texts: Sequence[str]) -> RawPrediction:
        normalized = normalize_text(text_array(texts), recipe.tokenizer).to_pylist()
        words = [text.split() for text in normalized]
        unknown = [np.mean([word not in known for word in each]) if each else 1.0 for each in words]
        return RawPrediction(baseline.predict(normalized), np.array(unknown))

    return predict

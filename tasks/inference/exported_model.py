"""Exported models: a trained model in a folder of its own, with weights, vocabulary and model card, but no code.

A network may be written as an ONNX model as well, for programs that have neither Keras nor this project. The README
states how such a program turns a text into a probability, and the test vectors check it.
"""

import json
import math
from pathlib import Path

from pydantic import ValidationError

from tasks.config.errors import MissingFileError, UserError
from tasks.config.escape import escape_terminal
from tasks.config.labels import BASELINE_NAMES
from tasks.data.tokenization import FIRST_TOKEN_ID
from tasks.inference.model_card import (  # fmt: skip
    CARD_FILE,
    EXAMPLES_FILE,
    ONNX_FILE,
    README_FILE,
    TOKENIZATION_FILE,
    TOKENS_FILE,
    VOCABULARY_FILE,
    WEIGHTS_FILE,
    ModelCard,
)
from tasks.inference.onnx import check_onnx_installed, onnx_model
from tasks.inference.predictor import load_model_folder
from tasks.inference.readme import format_readme
from tasks.inference.selection import SelectedModel
from tasks.inference.tokenization_steps import format_tokenization
from tasks.inference.worked_examples import format_examples, work_examples
from tasks.models.registry import ARCHITECTURES
from tasks.storage import atomic_files, store
from tasks.storage.layout import weights_file
from tasks.storage.runs import RunRecord
from tasks.storage.safe_files import reasons
from tasks.training.runtime import load_tensorflow
from tasks.training.trained_models import load_network, read_vocabulary


def export_model(run: RunRecord, model: SelectedModel, folder: Path, onnx: bool = False) -> Path:
    """Write a trained model to a new folder.

    Args:
        run: Run of the model.
        model: The model.
        folder: Folder to create.
        onnx: Whether to write the network as an ONNX model as well, which loads TensorFlow.

    Returns:
        The folder.

    Raises:
        UserError: If the folder exists or cannot be written, or if the model cannot be exported.
        MissingFileError: If a file of the trial is missing.
        DamagedFileError: If a file of the trial is damaged.
    """
    check_export(model.architecture, folder, onnx)
    path = weights_file(run.cache_dir, model.name)
    weights = store.read_bytes(path)
    if weights is None:
        raise MissingFileError(f"{escape_terminal(path)} is missing")
    card = _make_card(run, model)
    with atomic_files.create_dir(folder):
        store.write(folder / WEIGHTS_FILE, weights)
        if card.is_network:
            _write_vocabulary(run, folder)
        if onnx:
            load_tensorflow()
            network = load_network(run.cache_dir, card.name, card.recipe, len(card.classes))
            store.write(folder / ONNX_FILE, onnx_model(network, card.temperature))
        examples = work_examples(folder, card, load_model_folder(folder, card))
        store.write(folder / TOKENIZATION_FILE, format_tokenization(card.recipe.tokenizer).encode())
        store.write(folder / EXAMPLES_FILE, format_examples(examples, card).encode())
        store.write(folder / README_FILE, format_readme(run, card, examples, onnx).encode())
        store.write(folder / CARD_FILE, card.model_dump_json(indent=2).encode())
    return folder


def _write_vocabulary(run: RunRecord, folder: Path) -> None:
    """Write the vocabulary as a table, and as an array in which the position of a token is its token id."""
    vocabulary = read_vocabulary(run.vocabulary_path, run.recipe)
    store.write(folder / VOCABULARY_FILE, vocabulary)
    tokens = [None] * FIRST_TOKEN_ID + vocabulary["word"].tolist()
    store.write(folder / TOKENS_FILE, json.dumps(tokens).encode())


def _make_card(run: RunRecord, model: SelectedModel) -> ModelCard:
    threshold = None if math.isnan(model.threshold) else model.threshold  # only two classes have one
    try:
        return ModelCard(
            name=model.name, architecture=model.architecture, recipe=run.recipe_of(model.architecture),
            classes=run.info.classes, temperature=model.temperature, threshold=threshold, accuracy=model.accuracy,
            metric=run.info.metric, score=model.score,
        )  # fmt: skip
    except ValidationError as error:
        raise UserError(f"This model cannot be exported: {reasons(error)}") from None


def check_export(architecture: str, folder: Path, onnx: bool) -> None:
    """Check that a model can be exported, before any work; for arguments and errors see `export_model`."""
    if folder.exists():
        raise UserError(f"output: {str(folder)!r:.300} already exists. Name a new folder.")
    name = escape_terminal(architecture)
    if onnx and architecture not in ARCHITECTURES:
        networks = ", ".join(ARCHITECTURES)
        raise UserError(f"onnx: received {name}. Only these networks can be written as ONNX models: {networks}.")
    if architecture not in ARCHITECTURES and architecture not in BASELINE_NAMES:
        raise UserError(
            f"architecture: {name} is user-defined. An exported model contains no code, so it would not run."
        )
    if onnx:
        check_onnx_installed()

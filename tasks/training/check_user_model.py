"""Checks of user-defined architectures such as `my_models:attention_lstm`, before a run uses them."""

import ast
import sys
import traceback
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import numpy as np
from loky.process_executor import ProcessPoolExecutor

from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.config.labels import USER_ARCHITECTURE
from tasks.config.recipe import Recipe
from tasks.models.registry import ARCHITECTURES, builder, output_width
from tasks.models.word_vectors import embeddings

REQUIREMENT = (
    "Required is a function (recipe) -> keras.Model whose model reads (reviews, width) integers of any width, "
    "0 = padding on the right, and returns one logit per review, (reviews, 1). For more than two classes, required is "
    "(recipe, classes) -> keras.Model with one logit per class, (reviews, classes)."
)


def check_user_architectures(
    architectures: Sequence[str], recipe: Recipe, classes: int = 2, *, vectors: bool = False
) -> None:
    """Build each user-defined architecture, predict with it, and train it for one step, in a separate process.

    Args:
        architectures: Names of architectures. The project's own are not checked.
        recipe: Hyperparameters.
        classes: Number of classes.
        vectors: Whether the embeddings start from word vectors, so that each model needs an embedding.

    Raises:
        UserError: If a check fails; it names all problems, and the lines in the user's files.
    """
    names = [name for name in architectures if name not in ARCHITECTURES]
    if not names:
        return
    files = {name: user_module_file(name) for name in names}
    with ProcessPoolExecutor(1) as pool:  # loky does not import the main module again, so a script needs no guard
        try:
            problems = pool.submit(find_problems, files, recipe, classes, vectors).result()
        except BrokenProcessPool:
            problems = [f"{', '.join(names)}: the process that checked them died."]
    if problems:
        raise UserError("\n".join([*problems, REQUIREMENT]))


def user_module_file(name: str) -> Path:
    """Return the file of `module:function` in the current folder, without running it or the packages that contain it.

    Raises:
        UserError: If it does not exist, is outside of the current folder, is hidden by another module of its name, or
            does not define the function.
    """
    if not USER_ARCHITECTURE.fullmatch(name):
        raise UserError(f"architectures: received {name[:100]!r}, which is no module:function.")
    module, _, function = name.partition(":")
    path = _module_path(Path.cwd().resolve(), name, module.split("."))
    functions = _defined_functions(path)
    if function not in functions:
        raise UserError(
            f"architectures: received {name!r}, but {path.name} has no function {function}. "
            f"Its functions: {', '.join(functions) or 'none'}."
        )
    return path


def _defined_functions(path: Path) -> list[str]:
    """Return the names of the functions that a Python file defines at its top level."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise UserError(f"architectures: {path.name}, line {error.lineno}: {escape_terminal(error.msg)}.") from None
    except (OSError, ValueError) as error:  # unreadable, not UTF-8, or with a NUL character
        raise UserError(f"architectures: {path.name} cannot be read as Python: {escape_terminal(error)}.") from None
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


def _module_path(folder: Path, name: str, parts: list[str]) -> Path:
    """Return the file of a module below `folder`, from its path alone: an import would run the packages around it."""
    file = folder.joinpath(*parts).with_suffix(".py")
    path = file.resolve()
    package = folder.joinpath(*parts, "__init__.py")
    if package.is_file() or not path.is_file():
        raise UserError(f"architectures: received {name!r}, but there is no file {file}.")
    if not path.is_relative_to(folder) or "site-packages" in path.parts:
        raise UserError(
            f"architectures: received {name!r}, but {file} leads out of {folder}. Put the file itself there."
        )
    # An import uses the first module that Python finds: a built-in or installed module may hide the file.
    first = PathFinder.find_spec(parts[0]) if parts[0] not in sys.builtin_module_names else None
    places = [*(first.submodule_search_locations or []), first.origin] if first else []
    if not any(place and path.is_relative_to(Path(place).resolve()) for place in places):
        raise UserError(f"architectures: received {name!r}, but another module is called {parts[0]}. Rename {file}.")
    return path


def find_problems(files: dict[str, Path], recipe: Recipe, classes: int = 2, vectors: bool = False) -> list[str]:
    """Check architectures in this process, and return one sentence for each problem.

    Args:
        files: File of each architecture by its name.
        recipe: Hyperparameters.
        classes: Number of classes.
        vectors: Whether the embeddings start from word vectors.
    """
    from tasks.training.runtime import load_tensorflow

    load_tensorflow()
    problems = []
    for name, file in files.items():
        try:
            problems += [f"{name}: {problem}" for problem in _check_model(name, recipe, classes, vectors)]
        except Exception as error:  # the user's code may raise anything
            lines = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
            where = f" ({file.name}, line {lines[-1].lineno}: {lines[-1].line})" if lines else ""
            problems.append(f"{name}: {type(error).__name__}: {str(error).strip():.300}{where}")
    return problems


def _check_model(name: str, recipe: Recipe, classes: int, vectors: bool) -> list[str]:
    """Return the problems of the predictions of a model, or else those of its training."""
    import keras

    model: Any = builder(name)(recipe, classes)
    width = output_width(classes)
    if not isinstance(model, keras.Model):
        return [f"returns a {type(model).__name__} instead of a keras.Model."]
    if vectors and not list(embeddings(model, recipe)):
        sizes = f"(recipe.vocabulary_size, recipe.embedding_size), here {recipe.vocabulary_size, recipe.embedding_size}"
        return [f"has no keras.layers.Embedding{sizes}, which starts from the word vectors."]
    rng = np.random.default_rng(0)
    for reviews, tokens in ((3, 7), (2, 11)):
        token_ids = rng.integers(1, recipe.vocabulary_size, (reviews, tokens), dtype=np.int32)
        logits = np.asarray(model(token_ids))
        if logits.shape != (reviews, width):
            return [f"returns {logits.shape} for {reviews} reviews instead of ({reviews}, {width})."]
        if not np.isfinite(logits).all():
            return ["returns logits that are NaN or infinite."]
    untrained = _untrained_weights(model, recipe, rng, classes)
    return [f"does not train {', '.join(untrained)}: a training step does not change it."] if untrained else []


def _untrained_weights(model: Any, recipe: Recipe, rng: np.random.Generator, classes: int) -> list[str]:
    """Return the names of the trainable weights that one training step does not change."""
    from tasks.training.loop import training_step

    before = [weight.numpy() for weight in model.trainable_weights]
    step = training_step(model, recipe, np.ones(classes, np.float32), updates=1)
    labels = np.tile(np.arange(classes, dtype=np.float32), 4)
    step.update(rng.integers(1, recipe.vocabulary_size, (len(labels), 9), dtype=np.int32), labels)
    pairs = zip(model.trainable_weights, before, strict=True)
    return [weight.path for weight, old in pairs if np.array_equal(weight.numpy(), old)]

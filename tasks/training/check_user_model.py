"""Architectures of the user's own, `my_models:attention_lstm`: found, and tried before a run relies on them."""

import ast
import sys
import traceback
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.machinery import PathFinder
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.config.labels import USER_ARCHITECTURE
from tasks.config.recipe import Recipe
from tasks.models.registry import ARCHITECTURES, builder

WANTED = (
    "Wanted is a function (recipe) -> keras.Model that reads (reviews, width) integers of any width, 0 = padding on "
    "the left, and gives one logit a review, (reviews, 1)."
)


def check_own(architectures: Sequence[str], recipe: Recipe) -> None:
    """Find the user's own architectures and try each: build it, answer with it, train it for one step.

    It happens in a process of its own, which loads TensorFlow; without own architectures nothing happens.

    Raises:
        UserError: With what is wrong with each of them, and the line in the user's file.
    """
    own = [name for name in architectures if name not in ARCHITECTURES]
    if not own:
        return
    files = {name: own_file(name) for name in own}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            problems = pool.submit(problems_of, files, recipe).result()
        except BrokenProcessPool:
            problems = [f"{', '.join(own)}: the process died in which they were tried."]
    if problems:
        raise UserError("\n".join([*problems, WANTED]))


def own_file(name: str) -> Path:
    """Find the file of `module:function`, without running it, or the packages that it is in.

    Raises:
        UserError: If it is not in the folder in which the run was started, is not what would be imported under that
            name, or has no such function.
    """
    if not USER_ARCHITECTURE.fullmatch(name):
        raise UserError(f"architectures: received {name[:100]!r}, which is no module:function.")
    module, _, function = name.partition(":")
    path = _file_below(Path.cwd().resolve(), name, module.split("."))
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise UserError(f"architectures: {path.name}, line {error.lineno}: {escape_terminal(error.msg)}.") from None
    except (OSError, ValueError) as error:  # not to be read, not UTF-8, a NUL
        raise UserError(f"architectures: {path.name} cannot be read as Python: {escape_terminal(error)}.") from None
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    if function not in functions:
        there = ", ".join(functions) or "none"
        raise UserError(
            f"architectures: received {name!r}, but {path.name} has no function {function}. It has: {there}."
        )
    return path


def _file_below(here: Path, name: str, parts: list[str]) -> Path:
    """Follow a module's name from `here` down, as an import would, but by paths alone: an import runs packages."""
    wanted = here.joinpath(*parts).with_suffix(".py")
    path = wanted.resolve()
    package = here.joinpath(*parts, "__init__.py")
    if package.is_file() or not path.is_file():
        raise UserError(f"architectures: received {name!r}, but there is no file {wanted}.")
    if not path.is_relative_to(here) or "site-packages" in path.parts:
        raise UserError(
            f"architectures: received {name!r}, but {wanted} leads out of {here}. Put the file itself there."
        )
    # An import takes what Python finds first: a built-in or installed module may hide the file.
    first = PathFinder.find_spec(parts[0]) if parts[0] not in sys.builtin_module_names else None
    places = [*(first.submodule_search_locations or []), first.origin] if first else []
    if not any(place and path.is_relative_to(Path(place).resolve()) for place in places):
        raise UserError(f"architectures: received {name!r}, but another module is called {parts[0]}. Rename {wanted}.")
    return path


def problems_of(files: dict[str, Path], recipe: Recipe) -> list[str]:
    """Try architectures in this process, and say of each that does not do what it must."""
    from tasks.training.runtime import load_tensorflow

    load_tensorflow()
    found = []
    for name, file in files.items():
        try:
            found += [f"{name}: {problem}" for problem in _tried(name, recipe)]
        except Exception as error:  # whatever the user's code raises
            lines = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
            where = f" ({file.name}, line {lines[-1].lineno}: {lines[-1].line})" if lines else ""
            found.append(f"{name}: {type(error).__name__}: {str(error).strip():.300}{where}")
    return found


def _tried(name: str, recipe: Recipe) -> list[str]:
    """Build a model, answer with it and train it for one step; say what is wrong."""
    import keras

    from tasks.training.loop import training_step

    model: Any = builder(name)(recipe)
    if not isinstance(model, keras.Model):
        return [f"gives a {type(model).__name__}, and no keras.Model."]
    rng = np.random.default_rng(0)
    for reviews, width in ((3, 7), (2, 11)):
        words = rng.integers(1, recipe.vocabulary_size, (reviews, width), dtype=np.int32)
        answers = np.asarray(model(words))
        if answers.shape != (reviews, 1):
            return [f"gives {answers.shape} for {reviews} reviews, and not ({reviews}, 1)."]
        if not np.isfinite(answers).all():
            return ["gives answers that are no numbers."]
    before = [weight.numpy() for weight in model.trainable_weights]
    step, _, _ = training_step(model, recipe, np.ones(2, np.float32))
    step(rng.integers(1, recipe.vocabulary_size, (8, 9), dtype=np.int32), np.tile([0.0, 1.0], 4).astype(np.float32))
    pairs = zip(model.trainable_weights, before, strict=True)
    still = [weight.path for weight, old in pairs if np.array_equal(weight.numpy(), old)]
    return [f"does not train {', '.join(still)}: a step leaves it as it is."] if still else []

"""Architectures of the user's own, `my_models:attention_lstm`: found, and tried before a run relies on them."""

import ast
import traceback
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from tasks.architectures import ARCHITECTURES, OWN, builder
from tasks.errors import UserError
from tasks.escape import escape_terminal
from tasks.settings import Recipe

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
    """Find the file of `module:function`, without running it.

    Raises:
        UserError: If it is not in the folder in which the run was started, or has no such function.
    """
    if not OWN.fullmatch(name):
        raise UserError(f"architectures: received {name[:100]!r}, which is no module:function.")
    module, _, function = name.partition(":")
    here = Path.cwd().resolve()
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        spec = None
    path = Path(spec.origin).resolve() if spec and spec.origin and spec.origin.endswith(".py") else None
    if path is None or not path.is_relative_to(here) or "site-packages" in path.parts:
        wanted = here.joinpath(*module.split(".")).with_suffix(".py")
        raise UserError(f"architectures: received {name!r}, but there is no file {wanted}.")
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise UserError(f"architectures: {path.name}, line {error.lineno}: {escape_terminal(error.msg)}.") from None
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    if function not in functions:
        there = ", ".join(functions) or "none"
        raise UserError(
            f"architectures: received {name!r}, but {path.name} has no function {function}. It has: {there}."
        )
    return path


def problems_of(files: dict[str, Path], recipe: Recipe) -> list[str]:
    """Try architectures in this process, and say of each that does not do what it must."""
    from tasks.tensorflow_loading import load_tensorflow

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

    from tasks.training import training_step

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

"""A trained network as an ONNX model, which many runtimes answer with and which needs neither Keras nor this project.

The graph is written operator by operator from the model's layers and weights: what converts TensorFlow's graphs does
not know the compiled loops. Padding moves behind the words first, for ONNX counts a review's words from its first step.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.config.errors import UserError
from tasks.evaluation.metrics import CLIP

if TYPE_CHECKING:
    import keras

OPSET, IR_VERSION = 18, 8  # of 2022, for runtimes of the last years
PACKAGE = "onnx>=1.23"
INPUT, OUTPUT = "words", "probability"
# Operator, Keras' gates in the order in which ONNX has them (i, o, f, g of the LSTM; z, r, g of the GRU), attributes.
TRIALS: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "Recurrent": ("RNN", (0,), {}),
    "LongShortTermMemory": ("LSTM", (0, 3, 1, 2), {}),
    "GatedRecurrentUnit": ("GRU", (0, 1, 2), {"linear_before_reset": 1}),
}
NOTES = """A network of imdb-compare.
words: (reviews, width) numbers of words in vocabulary.parquet; 1 = unknown, 0 = padding, on the left alone.
probability: (reviews,) of the positive class, calibrated."""


def check_onnx() -> None:
    """Make sure that the package is there.

    Raises:
        UserError: If it is not.
    """
    if not find_spec("onnx"):
        raise UserError(f'onnx: an ONNX model needs a package that is not installed: pip install "{PACKAGE}"')


def onnx_model(model: keras.Model, temperature: float) -> bytes:
    """Write a network as an ONNX model.

    Args:
        model: One that is built of the layers of `tasks.models.registry`.
        temperature: Divides the log-odds.

    Returns:
        The file. Its input is `words`, (reviews, width) int64, 0 = padding on the left, both sizes any above 0; its
        output `probability`, (reviews,) float32, calibrated: what `flows.predict` says.

    Raises:
        ValueError: If the model has a layer that is not known here.
    """
    from onnx import TensorProto, helper

    graph = Graph()
    _move_padding(graph)
    logit = _layers(graph, model)
    _calibrate(graph, logit, temperature)
    made = helper.make_graph(
        graph.nodes,
        "imdb-compare",
        [helper.make_tensor_value_info(INPUT, TensorProto.INT64, ["reviews", "width"])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["reviews"])],
        graph.weights,
    )
    versions = {"opset_imports": [helper.make_opsetid("", OPSET)], "ir_version": IR_VERSION}
    return bytes(
        helper.make_model(made, producer_name="imdb-compare", doc_string=NOTES, **versions).SerializeToString()
    )


class Graph:
    """Operators and numbers of an ONNX graph, each result under a name of its own."""

    def __init__(self) -> None:
        """Begin without any."""
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add an operator with one result, and return the result's name."""
        from onnx import helper

        output = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def number(self, value: Any, kind: type = np.int64) -> str:
        """Add numbers that do not change, and return their name."""
        from onnx import numpy_helper

        name = f"number_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name


def _move_padding(graph: Graph) -> None:
    """Turn each review until its words stand first.

    Results: `moved`, (width, reviews) int64; `present`, (width, reviews, 1), 1 at a word and 0 at padding; `lengths`,
    (reviews,) int32, which counts the words.
    """
    from onnx import TensorProto

    zero, one = graph.number(0), graph.number([1])
    words = graph.add("Cast", graph.add("Greater", INPUT, zero), to=TensorProto.INT64)
    length = graph.add("ReduceSum", words, one)
    width = graph.add("Gather", graph.add("Shape", INPUT), graph.number(1))
    steps = graph.add("Range", zero, width, graph.number(1))
    places = graph.add("Mod", graph.add("Add", steps, graph.add("Sub", width, length)), width)
    graph.add("Transpose", graph.add("GatherElements", INPUT, places, axis=1), output="moved", perm=[1, 0])
    there = graph.add("Cast", graph.add("Greater", "moved", zero), to=TensorProto.FLOAT)
    graph.add("Unsqueeze", there, graph.number([2]), output="present")
    graph.add("Cast", graph.add("Squeeze", length, one), output="lengths", to=TensorProto.INT32)


def _layers(graph: Graph, model: keras.Model) -> str:
    """Write the layers in the order in which they read each other; return the name of the last one's result.

    What is no layer's result (the words, and where they are) stands in the graph already.
    """
    results: dict[int, str] = {}
    name = ""
    for layer in model.layers:
        read = layer.input if isinstance(layer.input, list) else [layer.input]
        known = [results.get(id(tensor), "") for tensor in read]
        name = _writer(layer)(graph, layer, known)
        results[id(layer.output)] = name
    return name


def _writer(layer: keras.Layer) -> Callable[[Graph, Any, list[str]], str]:
    """Find what writes a layer: a function of graph, layer and the names of what it reads."""
    kind = type(layer).__name__
    if kind not in WRITERS:
        raise ValueError(f"{layer.name} is a {kind}. Known are: {', '.join(WRITERS)}")
    return WRITERS[kind]


def _calibrate(graph: Graph, logit: str, temperature: float) -> None:
    """Write the output: what `calibration.scaled` computes, with the same clipping."""
    furthest = np.log1p(-CLIP) - np.log(CLIP)
    low, high, divisor = (graph.number(each, np.float32) for each in (-furthest, furthest, temperature))
    bounded = graph.add("Clip", graph.add("Squeeze", logit, graph.number([1])), low, high)
    graph.add("Sigmoid", graph.add("Div", bounded, divisor), output=OUTPUT)


def _embedding(graph: Graph, layer: Any, _: list[str]) -> str:
    return graph.add("Gather", graph.number(layer.embeddings.numpy(), np.float32), "moved")


def _recurrent(graph: Graph, layer: Any, read: list[str]) -> str:
    """Write a recurrent layer; its states are zero at padding."""
    operator, order, attributes = TRIALS[type(layer).__name__]
    kernel, recurrent, bias = (np.split(weight.numpy(), layer.gates, axis=-1) for weight in layer.weights)
    # Where Keras has one bias, it is the input's; ONNX always has the recurrence's as well.
    biases = [np.stack([each, np.zeros_like(each)]) if each.ndim == 1 else each for each in bias]
    numbers = [np.concatenate([part[gate].T for gate in order])[None] for part in (kernel, recurrent)]
    numbers.append(np.concatenate([biases[gate] for gate in order], axis=-1).reshape(1, -1))
    given = [graph.number(each, np.float32) for each in numbers]
    direction = "reverse" if layer.backwards else "forward"
    attributes = {"hidden_size": layer.units, "direction": direction, **attributes}
    states = graph.add(operator, read[0], *given, "lengths", **attributes)
    return graph.add("Squeeze", states, graph.number([1]))  # the axis of directions


def _pooling(graph: Graph, _: Any, read: list[str]) -> str:
    """Write mean and maximum over the words, 0 and -1 without any, as of `loops.pool_forward`."""
    time, one = graph.number([0]), graph.number(1, np.float32)
    states = graph.add("Mul", read[0], "present")
    count = graph.add("Max", graph.add("ReduceSum", "present", time, keepdims=0), one)
    mean = graph.add("Div", graph.add("ReduceSum", states, time, keepdims=0), count)
    below = graph.add("Sub", states, graph.add("Sub", one, "present"))
    return graph.add("Concat", mean, graph.add("ReduceMax", below, time, keepdims=0), axis=-1)


def _dense(graph: Graph, layer: Any, read: list[str]) -> str:
    kernel, bias = (graph.number(weight.numpy(), np.float32) for weight in (layer.kernel, layer.bias))
    return graph.add("Add", graph.add("MatMul", read[0], kernel), bias)


WRITERS: dict[str, Callable[[Graph, Any, list[str]], str]] = {
    "InputLayer": lambda *_: "moved",
    "Embedding": _embedding,
    "Dropout": lambda _, __, read: read[0],  # drops in training alone
    **dict.fromkeys(TRIALS, _recurrent),
    "Concatenate": lambda graph, _, read: graph.add("Concat", *read, axis=-1),
    "MeanAndMaximum": _pooling,
    "Dense": _dense,
}

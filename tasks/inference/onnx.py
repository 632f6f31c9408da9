"""Networks as ONNX models, which many runtimes can run without Keras and without this project.

The graph is written operator by operator from the layers and weights of a model, because converters of TensorFlow
graphs do not support the compiled kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.config.errors import UserError
from tasks.evaluation.metrics import CLIP

if TYPE_CHECKING:
    import keras

OPSET, IR_VERSION = 18, 8  # of 2022, so that runtimes of the last years can read the model
PACKAGE = "onnx>=1.23"
INPUT, LOGIT, OUTPUT = "token_ids", "logit", "probability"
# Tensors in the graph that several layers read: tokens, (width, reviews) int64; mask, (width, reviews, 1) float32, 1 at
# tokens and 0 at padding; and lengths, (reviews,) int32, the number of tokens.
TOKENS, MASK, LENGTHS = "tokens", "mask", "lengths"
DESCRIPTION = """A network of imdb-compare.
token_ids: (reviews, width), ids of the tokens in vocabulary.parquet; 1 = unknown, 0 = padding, only on the right.
logit: (reviews,), log-odds of the positive class before calibration.
probability: (reviews,), calibrated probability of the positive class.
With more than two classes, both are (reviews, classes), and logit is the logarithm of the probabilities."""


@dataclass(frozen=True)
class RecurrentOperator:
    """The ONNX operator of a recurrent layer.

    Attributes:
        name: Name of the operator.
        gates: Position of each gate in Keras' weights, in the order of ONNX (i, o, f, g of an LSTM; z, r, g of a GRU).
        attributes: Further attributes of the operator.
    """

    name: str
    gates: tuple[int, ...]
    attributes: dict[str, int] = field(default_factory=dict)


OPERATORS = {
    "SimpleRNN": RecurrentOperator("RNN", (0,)),
    "LSTM": RecurrentOperator("LSTM", (0, 3, 1, 2)),
    "GRU": RecurrentOperator("GRU", (0, 1, 2), {"linear_before_reset": 1}),
}
VARIANTS = ("Fast", "Keras")  # layers of `tasks.models.layers` and `tasks.models.keras_layers`
RECURRENT_OPERATORS = {f"{variant}{name}": operator for variant in VARIANTS for name, operator in OPERATORS.items()}


def check_onnx_installed() -> None:
    """Check that the package onnx is installed.

    Raises:
        UserError: If it is not.
    """
    if not find_spec("onnx"):
        raise UserError(f'onnx: an ONNX model needs a package that is not installed: pip install "{PACKAGE}"')


def onnx_model(model: keras.Model, temperature: float) -> bytes:
    """Return a network as an ONNX model.

    Args:
        model: Network built from the layers of `tasks.models.registry`.
        temperature: Divisor of the log-odds.

    Returns:
        Content of the file. The input `token_ids` is (reviews, width) int64 with padding 0 on the right, of any size
        above 0. The output `probability` is (reviews,) float32, calibrated as in `imdb-compare predict`; `logit` are
        the log-odds before calibration, (reviews,) float32. With more than two classes, both are (reviews, classes),
        and `logit` are the logarithms of the probabilities.

    Raises:
        ValueError: If the model has a layer that is not supported.
    """
    from onnx import TensorProto, helper

    graph = OnnxGraph()
    _write_inputs(graph)
    logit = _write_layers(graph, model)
    width = model.output_shape[-1]
    (_write_output if width == 1 else _write_class_outputs)(graph, logit, temperature)
    shape = ["reviews"] if width == 1 else ["reviews", width]
    proto = helper.make_graph(
        graph.nodes,
        "imdb-compare",
        [helper.make_tensor_value_info(INPUT, TensorProto.INT64, ["reviews", "width"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in (OUTPUT, LOGIT)],
        graph.constants,
    )
    versions = {"opset_imports": [helper.make_opsetid("", OPSET)], "ir_version": IR_VERSION}
    written = helper.make_model(proto, producer_name="imdb-compare", doc_string=DESCRIPTION, **versions)
    return bytes(written.SerializeToString())


class OnnxGraph:
    """Operators and constants of an ONNX graph. Every result has a name of its own."""

    def __init__(self) -> None:
        """Create an empty graph."""
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add an operator with one result; return the name of the result."""
        from onnx import helper

        output = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, value: Any, dtype: type = np.int64) -> str:
        """Add a constant; return its name."""
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name


def _write_inputs(graph: OnnxGraph) -> None:
    """Write the tensors that several layers read."""
    from onnx import TensorProto

    graph.add("Transpose", INPUT, output=TOKENS, perm=[1, 0])
    is_token = graph.add("Cast", graph.add("Greater", TOKENS, graph.constant(0)), to=TensorProto.FLOAT)
    graph.add("Unsqueeze", is_token, graph.constant([2]), output=MASK)
    length = graph.add("ReduceSum", is_token, graph.constant([0]), keepdims=0)
    graph.add("Cast", length, output=LENGTHS, to=TensorProto.INT32)


def _write_layers(graph: OnnxGraph, model: keras.Model) -> str:
    """Write all layers in the order of their inputs; return the name of the last result.

    Inputs that are not the result of a layer (token ids and mask) are already in the graph.
    """
    results: dict[int, str] = {}
    name = ""
    for layer in model.layers:
        tensors = layer.input if isinstance(layer.input, list) else [layer.input]
        name = _layer_writer(layer)(graph, layer, [results.get(id(tensor), "") for tensor in tensors])
        results[id(layer.output)] = name
    return name


def _layer_writer(layer: keras.Layer) -> LayerWriter:
    """Return the function that writes a layer."""
    kind = type(layer).__name__
    if kind not in LAYER_WRITERS:
        raise ValueError(f"Layer {layer.name} is a {kind}. Supported layers: {', '.join(LAYER_WRITERS)}")
    return LAYER_WRITERS[kind]


def _write_output(graph: OnnxGraph, logit: str, temperature: float) -> None:
    """Write the outputs as `calibration.apply_temperature` computes it, with the same clipping."""
    largest = np.log1p(-CLIP) - np.log(CLIP)
    low, high, divisor = (graph.constant(each, np.float32) for each in (-largest, largest, temperature))
    clipped = graph.add("Clip", graph.add("Squeeze", logit, graph.constant([1])), low, high, output=LOGIT)
    graph.add("Sigmoid", graph.add("Div", clipped, divisor), output=OUTPUT)


def _write_class_outputs(graph: OnnxGraph, logits: str, temperature: float) -> None:
    """Write the outputs of more than two classes as `calibration.apply_temperature` computes them."""
    low, divisor = (graph.constant(each, np.float32) for each in (np.log(CLIP), temperature))
    clipped = graph.add("Max", graph.add("LogSoftmax", logits, axis=-1), low, output=LOGIT)
    graph.add("Softmax", graph.add("Div", clipped, divisor), output=OUTPUT, axis=-1)


def _write_embedding(graph: OnnxGraph, layer: Any, _: list[str]) -> str:
    return graph.add("Gather", graph.constant(layer.embeddings.numpy(), np.float32), TOKENS)


def _write_recurrent(graph: OnnxGraph, layer: Any, inputs: list[str]) -> str:
    """Write a recurrent layer; its states are zero at padding."""
    operator = RECURRENT_OPERATORS[type(layer).__name__]
    kernel, recurrent, bias = (np.split(weight.numpy(), len(operator.gates), axis=-1) for weight in layer.weights)
    # Keras may have one bias, that of the input; ONNX always has the bias of the recurrence as well.
    biases = [np.stack([each, np.zeros_like(each)]) if each.ndim == 1 else each for each in bias]
    arrays = [np.concatenate([part[gate].T for gate in operator.gates])[None] for part in (kernel, recurrent)]
    arrays.append(np.concatenate([biases[gate] for gate in operator.gates], axis=-1).reshape(1, -1))
    weights = [graph.constant(each, np.float32) for each in arrays]
    direction = "reverse" if layer.go_backwards else "forward"
    attributes = {"hidden_size": layer.units, "direction": direction, **operator.attributes}
    states = graph.add(operator.name, inputs[0], *weights, LENGTHS, **attributes)
    return graph.add("Squeeze", states, graph.constant([1]))  # the axis of directions


def _write_pooling(graph: OnnxGraph, _: Any, inputs: list[str]) -> str:
    """Write mean and maximum over the tokens, which are 0 and -1 for a review without tokens."""
    time, one = graph.constant([0]), graph.constant(1, np.float32)
    states = graph.add("Mul", inputs[0], MASK)
    count = graph.add("Max", graph.add("ReduceSum", MASK, time, keepdims=0), one)
    mean = graph.add("Div", graph.add("ReduceSum", states, time, keepdims=0), count)
    lowered = graph.add("Sub", states, graph.add("Sub", one, MASK))  # states at padding become -1
    return graph.add("Concat", mean, graph.add("ReduceMax", lowered, time, keepdims=0), axis=-1)


def _write_attention(graph: OnnxGraph, layer: Any, inputs: list[str]) -> str:
    """Write the mean of the states with learned weights; see `portable_layers.AttentionPooling`."""
    names = (layer.kernel, layer.bias, layer.context)
    kernel, bias, context = (graph.constant(weight.numpy(), np.float32) for weight in names)
    hidden = graph.add("Tanh", graph.add("Add", graph.add("MatMul", inputs[0], kernel), bias))
    zero, padding = (graph.constant(value, np.float32) for value in (0, layer.padding_score))
    scores = graph.add("Where", graph.add("Greater", MASK, zero), graph.add("MatMul", hidden, context), padding)
    weights = graph.add("Mul", graph.add("Softmax", scores, axis=0), MASK)
    return graph.add("ReduceSum", graph.add("Mul", inputs[0], weights), graph.constant([0]), keepdims=0)


def _write_convolution(graph: OnnxGraph, layer: Any, inputs: list[str]) -> str:
    """Write a convolution and its maxima over time; ONNX has the order (reviews, features, time)."""
    kernel = graph.constant(layer.kernel.numpy().transpose(2, 1, 0), np.float32)
    bias = graph.constant(layer.bias.numpy(), np.float32)
    tokens = graph.add("Transpose", graph.add("Mul", inputs[0], MASK), perm=[1, 2, 0])
    found = graph.add("Conv", tokens, kernel, bias, auto_pad="SAME_UPPER")
    masked = graph.add("Mul", found, graph.add("Transpose", MASK, perm=[1, 2, 0]))
    return graph.add("Relu", graph.add("ReduceMax", masked, graph.constant([2]), keepdims=0))


def _write_dense(graph: OnnxGraph, layer: Any, inputs: list[str]) -> str:
    kernel, bias = (graph.constant(weight.numpy(), np.float32) for weight in (layer.kernel, layer.bias))
    return graph.add("Add", graph.add("MatMul", inputs[0], kernel), bias)


# Functions of graph, layer and the names of its inputs, which return the name of the result.
LayerWriter = Callable[[OnnxGraph, Any, list[str]], str]
LAYER_WRITERS: dict[str, LayerWriter] = {
    "InputLayer": lambda *_: TOKENS,
    "Embedding": _write_embedding,
    "Dropout": lambda _, __, inputs: inputs[0],  # has no effect on predictions
    **dict.fromkeys(RECURRENT_OPERATORS, _write_recurrent),
    "Concatenate": lambda graph, _, inputs: graph.add("Concat", *inputs, axis=-1),
    **dict.fromkeys((f"{variant}MeanMaxPooling" for variant in VARIANTS), _write_pooling),
    "AttentionPooling": _write_attention,
    "MaxConvolution": _write_convolution,
    "Dense": _write_dense,
}

"""A predictor whose predictions can be computed by hand, and predictions of ONNX models."""

from collections.abc import Sequence

import numpy as np

from tasks.inference.predictor import CalibratedModel, Predictor, RawPrediction


def predict_by_counting(texts: Sequence[str]) -> RawPrediction:
    """Predict 0.3, plus 0.1 for each `good` and 0.2 for each `fine`."""
    points = {"good": 0.1, "fine": 0.2}
    probabilities = [0.3 + sum(points.get(word, 0) for word in text.split()) for text in texts]
    return RawPrediction(np.array(probabilities), np.zeros(len(texts)))


COUNTING_PREDICTOR = Predictor([CalibratedModel("counting", predict_by_counting, 1.0)], ("bad", "good"))


def run_onnx_model(content: bytes | str, token_ids: np.ndarray) -> np.ndarray:
    """Return the probabilities of an ONNX model."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probability"], {"token_ids": token_ids.astype(np.int64)})
    return probabilities

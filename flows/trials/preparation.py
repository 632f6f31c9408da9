"""What a comparison needs and what can be done before its data and a server are there."""

from collections.abc import Sequence

from tasks.config.labels import ARCHITECTURE_NAMES
from tasks.evaluate import load_libraries
from tasks.figures.registry import FIGURES
from tasks.figures.render import render_files
from tasks.models.baselines import BASELINES
from tasks.statistics.evaluation_tables import parse_frames
from tasks.statistics.frames import compute_frames
from tasks.storage.fingerprint import reached
from tasks.training.trial import code_roots


def prepare_comparison(architectures: Sequence[str]) -> None:
    """Load the libraries of the statistics, and parse the code whose fingerprints are part of cache keys.

    Args:
        architectures: Names of the architectures. Those of the user are parsed later, with their errors.
    """
    load_libraries()
    trained = [*BASELINES, *(name for name in architectures if name in ARCHITECTURE_NAMES)]
    reached(*(root for name in trained for root in code_roots(name)))
    reached(*FIGURES.values(), render_files, compute_frames, parse_frames)

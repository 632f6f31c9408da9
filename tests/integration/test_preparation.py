"""What is prepared while a server starts is not done again by the run."""

from flows.trials.preparation import prepare_comparison
from tasks.figures.registry import FIGURES
from tasks.figures.render import render_files
from tasks.models.baselines import BASELINES
from tasks.statistics.evaluation_tables import parse_frames
from tasks.statistics.frames import compute_frames
from tasks.storage import fingerprint
from tasks.training.trial import code_roots


def test_code_of_a_comparison_is_parsed_while_the_server_starts():
    prepare_comparison(["lstm", "my_models:network"])  # that of the user is parsed later
    parsed = fingerprint._code.cache_info().misses
    for name in ["lstm", *BASELINES]:
        fingerprint.code_version(*code_roots(name))
    for plot in FIGURES.values():
        fingerprint.code_version(plot, render_files)
    fingerprint.code_version(compute_frames, parse_frames)
    assert fingerprint._code.cache_info().misses == parsed

"""`imdb-compare plan`: seeds, test reviews and time that a comparison needs, before any training."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from flows.cli.console import print_output
from flows.cli.options import PlanOptions
from tasks.config.errors import MissingFileError, UserError
from tasks.config.escape import escape_terminal
from tasks.config.file_options import file_options
from tasks.config.labels import BASELINE_NAMES, in_display_order
from tasks.config.metric_names import AUTO_METRIC, DEFAULT_METRIC
from tasks.data.datasets import DATASETS, check_source, find_official_reviews, load_reviews
from tasks.data.stored_reviews import load_dataset
from tasks.evaluation.metrics import METRICS
from tasks.evaluation.predictions import predictions_of_split
from tasks.reporting.plan_text import Plan, format_plan
from tasks.statistics.durations import DEFAULT_WORKERS, TrainingTimes, measured_times, published_times
from tasks.statistics.planned_resamples import TrainingVariance
from tasks.statistics.planning import Goal, PairVariance, failed_architectures, measure_pairs, planned_level
from tasks.statistics.published_variances import PUBLISHED_PAIRS, PUBLISHED_SOURCE
from tasks.storage.backends import storage_of
from tasks.storage.environment import is_same_hardware
from tasks.storage.layout import cache_dir, runs_dir
from tasks.storage.run_info import RunInfo
from tasks.storage.runs import RunRecord, find_runs, open_run
from tasks.storage.s3 import results_place
from tasks.training.probe import sgemm_seconds

LATEST = "latest"
# Reviews of the named data sets: for training and for test.
KNOWN_SIZES = {"bundled": (15_993, 5_003), "imdb": (19_986, 25_000)}


@dataclass(frozen=True)
class PlannedData:
    """The reviews that a plan is for.

    Attributes:
        source: Their description.
        train_reviews: Number of training reviews.
        test_reviews: Number of test reviews.
        fingerprint: Their fingerprint; empty if it is unknown, because no run can be on them.
    """

    source: str
    train_reviews: int
    test_reviews: int
    fingerprint: str


def execute(options: PlanOptions) -> None:
    """Print the plan.

    Raises:
        UserError: If the data or the run cannot be used.
    """
    check_source(options.data, **file_options(options))
    results = results_place(options.results)
    print_output(format_plan(make_plan(options, results)))


def make_plan(options: PlanOptions, results: Path) -> Plan:
    """Return what the planned comparison needs.

    Args:
        options: Options of the subcommand.
        results: The results folder.

    Raises:
        UserError: If the data or the run cannot be used.
    """
    run = None if options.run is None else open_run(results, None if options.run == LATEST else options.run)
    if run is None or "data" in options.model_fields_set:
        data = find_data(options, results)
        run = run or find_run(results, data.fingerprint)
    else:
        rows = run.info.rows
        data = PlannedData(run.info.source, rows["train"], rows["test"], run.info.fingerprint)
    architectures = planned_architectures(options, run)
    metric = find_metric(options, run)
    pairs, source, failed = find_variances(run, metric, chosen=options.run is not None)
    training, training_source = find_training_variances(results, run, metric)
    level, tests = planned_level(pairs, architectures)
    return Plan(
        goal=Goal(options.difference / 100, options.power / 100, level, options.test_reviews or data.test_reviews),
        tests=tests,
        architectures=architectures,
        seeds=options.seeds,
        tune=options.tune,
        workers=options.workers or DEFAULT_WORKERS,
        pairs=pairs,
        failed=failed,
        variances_source=source,
        data_source=data.source,
        times=find_times(run, data.train_reviews),
        training=training,
        training_source=training_source,
        metric=METRICS[metric],
    )


def find_metric(options: PlanOptions, run: RunRecord | None) -> str:
    """Return the metric to plan for: the one that was chosen, else that of the run, else that of published variances.

    Raises:
        UserError: If there is no run, and the published variances are of another metric.
    """
    if run is not None:
        return run.info.metric if options.metric == AUTO_METRIC else options.metric
    if options.metric not in (AUTO_METRIC, DEFAULT_METRIC):
        raise UserError(
            f"metric: received {options.metric}, but published variances are those of {DEFAULT_METRIC}, and there is "
            "no earlier run on these reviews with two seeds or more. Run one first, or leave `metric` out."
        )
    return DEFAULT_METRIC


def find_data(options: PlanOptions, results: Path) -> PlannedData:
    """Return the sizes of the reviews. A data set of the project is loaded only if a run may be on it.

    Raises:
        UserError: If the reviews cannot be loaded.
    """
    columns = file_options(options)
    if options.data not in DATASETS:
        dataset = load_reviews(options.data, **columns).dataset
    else:
        official = find_official_reviews(options.data_folder)
        name = "imdb" if options.data == "imdb" or (options.data == "auto" and official) else "bundled"
        has_runs = bool(storage_of(results).entries(runs_dir(results)))
        if not has_runs or (name == "imdb" and official is None):
            source = "official IMDB reviews" if name == "imdb" else "bundled IMDB reviews"
            return PlannedData(source, *KNOWN_SIZES[name], "")
        dataset, _ = load_dataset(name, **columns, data_folder=options.data_folder, cache=cache_dir(results))
    return PlannedData(dataset.source, dataset.rows["train"], dataset.rows["test"], dataset.fingerprint)


def find_run(results: Path, fingerprint: str) -> RunRecord | None:
    """Return the last run on a data set, if there is one with several seeds rather than another; None without any."""
    runs = find_runs(results, fingerprint) if fingerprint else []
    several = [name for name, info in runs if _count(info.settings.get("seeds")) > 1]
    for name in [*several, *(name for name, _ in runs)]:
        try:
            return open_run(results, name)
        except UserError:  # a run of an earlier version
            continue
    return None


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def planned_architectures(options: PlanOptions, run: RunRecord | None) -> list[str]:
    """Return the networks to plan for: those that were named, else those of the run, else the default ones."""
    if run is not None and "architectures" not in options.model_fields_set:
        names = set(run.trials["architecture"]) - set(BASELINE_NAMES)
        if names:
            return in_display_order(names)
    return list(options.architectures)


def find_variances(run: RunRecord | None, metric: str, *, chosen: bool) -> tuple[list[PairVariance], str, list[str]]:
    """Return the variances of pairs, their source in words, and the architectures with failed seeds.

    Args:
        run: An earlier run; None if there is none.
        metric: Metric of the differences.
        chosen: Whether the user has named it.

    Raises:
        UserError: If the user has named a run with one seed of each network.
    """
    if run is None:
        return list(PUBLISHED_PAIRS), PUBLISHED_SOURCE, []
    predictions = predictions_of_split(run.table("predictions"), "test")
    pairs, name = measure_pairs(predictions, metric), escape_terminal(run.name)
    if pairs:
        seeds = int(max(pair.df for pair in pairs)) + 1
        vectors = f", word vectors {escape_terminal(run.info.vectors.source)}" if run.info.vectors else ""
        source = f"run {name} ({seeds} seeds, {len(predictions.labels):,} test reviews{vectors})"
        return pairs, source, failed_architectures(predictions, metric)
    problem = f"Run {name} has fewer than two seeds of each network, so its seed variance is unknown"
    if chosen:
        raise UserError(f"run: {problem}. Choose a run with more seeds, or leave `run` out.")
    return list(PUBLISHED_PAIRS), f"{PUBLISHED_SOURCE}. {problem}", []


def find_training_variances(
    results: Path, run: RunRecord | None, metric: str
) -> tuple[dict[frozenset[str], TrainingVariance], str]:
    """Return the variances of pairs between samples of training reviews, and their source or why there are none.

    They come from the run or, if it has no resamples, from the last run on the same reviews that has.

    Args:
        results: The results folder.
        run: An earlier run; None if there is none.
        metric: Metric of the differences.
    """
    if run is None:
        return {}, "there is no earlier run on these reviews with resamples, and published measurements have none"
    others = [name for name, info in find_runs(results, run.info.fingerprint) if _has_resamples(info)]
    for name in [*([run.run_dir.name] if _has_resamples(run.info) else []), *others]:
        with suppress(UserError, MissingFileError):  # a run of an earlier version, or the table was removed
            if variances := read_training_variances(open_run(results, name).table("training_pairs"), metric):
                return variances, f"run {escape_terminal(name)}"
    return {}, "no earlier run on these reviews has resamples"


def _has_resamples(info: RunInfo) -> bool:
    return _count(info.settings.get("resample_training")) > 1


def read_training_variances(table: pd.DataFrame, metric: str) -> dict[frozenset[str], TrainingVariance]:
    """Return the variances in a metric by pair, from the table training_pairs."""
    rows = table[(table["metric"] == metric) & (table["resamples"] > 1) & (table["training_variance"] >= 0)]
    columns = (rows[name] for name in ("first", "second", "training_variance", "resamples"))
    return {
        frozenset((str(first), str(second))): TrainingVariance(float(variance), int(count))
        for first, second, variance, count in zip(*columns, strict=True)
    }


def find_times(run: RunRecord | None, train_reviews: int) -> TrainingTimes:
    """Return the training times of a run on this machine, of one on another machine, or the published ones.

    Args:
        run: An earlier run; None if there is none.
        train_reviews: Number of training reviews of the planned run.
    """
    if run is not None:
        name, trials = escape_terminal(run.name), run.table("trials")
        if is_same_hardware(run.info.hardware):
            return measured_times(trials, train_reviews, f"run {name}, on this machine if it is as busy as then")
        source = f"run {name} on another machine, scaled by the speed of this machine now"
        times = measured_times(trials, train_reviews, source, sgemm_seconds())
        if times.seconds:
            return times
    return published_times(train_reviews, sgemm_seconds(), "published, scaled by the speed of this machine now")

"""The comparison flow: load, encode, train each trial, evaluate, check nightly runs, report."""

if __name__ == "__main__":  # like `imdb-compare run`, and before the imports below: `--help` needs no Prefect
    import sys
    from pathlib import Path

    # As a script, this file has its own folder on the path instead of that of the project.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

    from flows.cli.main import main

    sys.exit(main(["run", *sys.argv[1:]]))

from datetime import UTC, datetime
from pathlib import Path

from prefect import runtime
from prefect.logging import get_run_logger

from flows.server.served_flow import served_flow
from flows.trials.search import search_configurations
from flows.trials.submission import submit_trials
from tasks.check_nightly import check_nightly
from tasks.clean import clean
from tasks.config import file_options as f
from tasks.config import parameters as p
from tasks.config import recipe as s
from tasks.config.errors import NightlyRunIncompleteError, TrialsFailedError
from tasks.config.labels import BASELINE_NAMES
from tasks.config.parameters import Parameters
from tasks.data.datasets import check_source
from tasks.data.word_vectors import VectorSource
from tasks.encode import encode
from tasks.evaluate import evaluate_trials, load_libraries
from tasks.execution.check_engine import check_engine
from tasks.execution.executor import open_executor
from tasks.execution.outcomes import collect_trials
from tasks.execution.plan import (
    find_cached_trials,
    plan_baselines,
    plan_resampled_trials,
    plan_trials,
)
from tasks.execution.progress import TrialsPlanned, report_event
from tasks.execution.run_logging import configure_run_logging
from tasks.execution.schedule import due_date, superseded_state
from tasks.figures import style
from tasks.figures.render import plan_figures, slowest_first
from tasks.load import load
from tasks.nightly.history import was_compared
from tasks.nightly.selection import NightlySelection
from tasks.plot import plot
from tasks.report import publish
from tasks.reporting.comparison_result import ComparisonResult
from tasks.storage import store
from tasks.storage.layout import cache_dir, history_files
from tasks.storage.s3 import results_place
from tasks.storage.trial_records import select_compared, select_largest_fraction
from tasks.training.check_user_model import check_user_architectures
from tasks.tuning.search_space import check_validation_reviews
from tasks.tuning.table import describe_selected, selected_recipes
from tasks.vectors import read_vectors

DEFAULTS = Parameters()


def run_name() -> str:
    """Return the name of the run: the given name, the date of a nightly run, or the start time."""
    parameters = runtime.flow_run.parameters
    nightly = f"{parameters.get('nightly_date') or due_date()}-nightly" if parameters.get("new_seeds") else None
    return parameters.get("run_name") or nightly or datetime.now().strftime("%Y-%m-%d-%H%M%S")


@served_flow(Parameters, name="imdb-compare", flow_run_name=run_name)
@p.with_field_descriptions(Parameters)
def imdb_compare(
    data: p.Data = DEFAULTS.data,
    text_column: f.TextColumn = DEFAULTS.text_column,
    label_column: f.LabelColumn = DEFAULTS.label_column,
    positive: f.Positive = DEFAULTS.positive,
    classes: f.Classes = DEFAULTS.classes,
    group: f.Group = DEFAULTS.group,
    test_data: f.TestData = DEFAULTS.test_data,
    validation_data: f.ValidationData = DEFAULTS.validation_data,
    separator: f.Separator = DEFAULTS.separator,
    encoding: f.Encoding = DEFAULTS.encoding,
    header: f.Header = DEFAULTS.header,
    architectures: p.Architectures = DEFAULTS.architectures,
    seeds: p.Seeds = DEFAULTS.seeds,
    new_seeds: p.NewSeeds = DEFAULTS.new_seeds,
    nightly_date: p.NightlyDate = DEFAULTS.nightly_date,
    keep_runs: p.KeepRuns = DEFAULTS.keep_runs,
    metric: p.MetricName = DEFAULTS.metric,
    train_fractions: p.TrainFractions = DEFAULTS.train_fractions,
    resample_training: p.ResampleTraining = DEFAULTS.resample_training,
    tune: p.Tune = DEFAULTS.tune,
    retune: p.Retune = DEFAULTS.retune,
    engine: p.Engine = DEFAULTS.engine,
    dask_address: p.DaskAddress = DEFAULTS.dask_address,
    workers: p.Workers = DEFAULTS.workers,
    trial_timeout_minutes: p.TrialTimeoutMinutes = DEFAULTS.trial_timeout_minutes,
    run_name: p.RunName = DEFAULTS.run_name,
    results: p.Results = DEFAULTS.results,
    data_folder: p.DataFolder = DEFAULTS.data_folder,
    vectors: p.Vectors = DEFAULTS.vectors,
    vectors_frozen: p.VectorsFrozen = DEFAULTS.vectors_frozen,
    vocabulary_size: s.VocabularySize = DEFAULTS.vocabulary_size,
    max_tokens: s.MaxTokens = DEFAULTS.max_tokens,
    tokenizer: s.Tokenizer = DEFAULTS.tokenizer,
    class_weights: s.ClassWeights = DEFAULTS.class_weights,
    embedding_size: s.EmbeddingSize = DEFAULTS.embedding_size,
    units: s.Units = DEFAULTS.units,
    dropout: s.Dropout = DEFAULTS.dropout,
    layer_dropout: s.LayerDropout = DEFAULTS.layer_dropout,
    learning_rate: s.LearningRate = DEFAULTS.learning_rate,
    batch_size: s.BatchSize = DEFAULTS.batch_size,
    warmup: s.Warmup = DEFAULTS.warmup,
    epochs: s.Epochs = DEFAULTS.epochs,
    patience: s.Patience = DEFAULTS.patience,
) -> ComparisonResult:
    """Compare recurrent architectures over several seeds: scores with confidence intervals, tests, and costs."""
    parameters = Parameters.from_user(**locals())
    if (superseded := superseded_state()) is not None:
        return superseded
    started = datetime.now(UTC)  # the scheduled time may be long before the start
    configure_run_logging()
    check_source(data, **f.file_options(parameters))
    check_engine(engine, dask_address)
    given_size = None if embedding_size == DEFAULTS.embedding_size else embedding_size
    source = VectorSource.open(parameters.vectors, frozen=vectors_frozen, embedding_size=given_size)
    if source:
        parameters = parameters.model_copy(update={"embedding_size": source.size})
    recipe, settings = parameters.recipe(), parameters.model_dump(mode="json")
    results_folder = results_place(results)
    cache = cache_dir(results_folder)
    store.sweep(results_folder)
    # Without an earlier run there is something to train, so the workers load libraries while the reviews are loaded.
    with open_executor(parameters, warm_up=not history_files(results_folder)) as (executor, in_workers):
        loading = load.submit(data, f.file_options(parameters), Path(data_folder), cache)
        dataset = loading.result()  # a user error in the data ends the run before any training
        check_validation_reviews(tune, dataset.rows["validation"])
        check_user_architectures(parameters.architectures, recipe, len(dataset.classes), vectors=bool(source))
        if not was_compared(results_folder, dataset.fingerprint):
            executor.warm_up()
        encodings = [
            encode.submit(
                dataset, fraction, vocabulary_size, max_tokens, tokenizer, cache, wait_for=[loading], return_state=False
            )
            for fraction in parameters.train_fractions
        ]
        if source:
            encodings = [read_vectors.submit(each, source, cache, return_state=False) for each in encodings]
            _ = [each.result() for each in encodings]  # a user error in the file ends the run before any training
        # The baselines read texts: they are trained while the reviews are encoded.
        specs = plan_baselines(dataset, parameters.train_fractions, recipe, cache)
        cached = find_cached_trials(specs)
        trainings = submit_trials(specs, cached, executor, in_workers, loading)
        encoded = [encoding.result() for encoding in encodings]
        search = search_configurations(parameters, encoded, results_folder, executor, in_workers, encodings)
        for sentence in describe_selected(search.table):
            get_run_logger().info("%s", sentence)
        recipes = selected_recipes(search.table, recipe) if tune else dict.fromkeys(parameters.architectures, recipe)
        selection = NightlySelection.read(
            parameters,
            dataset.fingerprint,
            results_folder,
            nightly_date or due_date(),
            recipes,
            vectors=source.key if source else "",
        )
        specs = selection.select_trials(lambda seeds: plan_trials(recipes, seeds, recipe, encoded, cache))
        specs += plan_resampled_trials(recipes, resample_training, recipe, encoded, cache)
        waiting = [spec for spec in specs if spec.name not in trainings]
        cached |= find_cached_trials(waiting)
        report_event(TrialsPlanned(len({spec.name for spec in specs}) + search.trials, len(cached) + search.cached))
        trainings |= submit_trials(waiting, cached, executor, in_workers, *encodings)
        if len(cached) < len(trainings):
            load_libraries()  # while the trials are trained
        trained = collect_trials(specs, trainings)
        failures = search.failures | trained.failures
        if all(trial.architecture in BASELINE_NAMES for trial in select_compared(trained.results)):
            check_nightly(selection, specs, [], {}, settings, started, results_folder)
            raise TrialsFailedError(failures)
        if len(cached) < len(trainings):
            executor.warm_up(style.load_libraries)  # while the trials are evaluated
        evaluation = evaluate_trials.submit(
            trained.results, dataset.file, cache, metric, wait_for=trained.succeeded, return_state=False
        )
        frames = evaluation.result() | {"tuning": search.table}
        frames |= check_nightly(selection, specs, trained.results, frames, settings, started, results_folder)
        planned = plan_figures(frames, cache, dataset.classes)
        plots = {
            spec.name: in_workers.submit(plot, {"spec": spec, "executor": executor}, wait_for=[evaluation])
            for spec in slowest_first(planned)
        }
        figures = [figure for spec in planned for figure in plots[spec.name].result()]
    (compared_data,) = select_largest_fraction(encoded)  # its vocabulary is that of the compared models
    result = publish(frames, figures, compared_data, settings, failures, started, results_folder)
    if keep_runs is not None:
        clean(results_folder, keep_runs)
    if failures:
        raise TrialsFailedError(failures, str(result))
    if missing := selection.find_missing_trials(specs, frames["scores"]):
        raise NightlyRunIncompleteError(selection.night, missing, str(result))
    return result

"""The comparison flow: load, encode, train each trial, evaluate, check nightly runs, report."""

if __name__ == "__main__":  # like `imdb-compare run`, and before the imports below: `--help` needs no Prefect
    import sys
    from pathlib import Path

    # As a script, this file has its own folder on the path instead of that of the project.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

    from flows.cli.main import main

    sys.exit(main(["run", *sys.argv[1:]]))

from datetime import datetime

from prefect import runtime

from flows.server.served_flow import served_flow
from flows.trials.encoding import submit_encodings
from flows.trials.experiment import check_dataset, open_experiment
from flows.trials.figures import draw_figures
from flows.trials.plan import plan_comparison
from flows.trials.search import search_configurations
from flows.trials.submission import submit_baselines, submit_remaining
from tasks.check_nightly import check_nightly
from tasks.clean import clean
from tasks.config import file_options as f
from tasks.config import parameters as p
from tasks.config import recipe as s
from tasks.config.errors import NightlyRunIncompleteError, TrialsFailedError
from tasks.config.parameters import Parameters
from tasks.evaluate import evaluate_trials
from tasks.execution.executor import open_workers
from tasks.execution.outcomes import collect_trials
from tasks.execution.run_logging import configure_run_logging
from tasks.execution.schedule import due_date, superseded_state
from tasks.figures import style
from tasks.load import load
from tasks.nightly.history import was_compared
from tasks.report import publish
from tasks.reporting.comparison_result import ComparisonResult
from tasks.storage.layout import history_files
from tasks.storage.trial_records import select_largest_fraction

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
    configure_run_logging()
    experiment = open_experiment(parameters)
    cache, results_folder = experiment.cache, experiment.results
    settings, started = experiment.settings, experiment.started
    # Without an earlier run there is something to train, so the workers load libraries while the reviews are loaded.
    with open_workers(parameters, warm_up=not history_files(results_folder)) as pool:
        loading = load.submit(parameters.data, f.file_options(parameters), parameters.data_folder, cache)
        dataset = loading.result()  # a user error in the data ends the run before any training
        check_dataset(experiment, dataset)
        if not was_compared(results_folder, dataset.fingerprint):
            pool.executor.warm_up()  # while the reviews are encoded
        encodings = submit_encodings(experiment, dataset, loading)
        baselines = submit_baselines(experiment, dataset, pool, loading)  # trained while the reviews are encoded
        encoded = [encoding.result() for encoding in encodings]
        search = search_configurations(experiment, encoded, pool, encodings)
        plan = plan_comparison(experiment, encoded, search)
        trials = submit_remaining(plan.specs, baselines, search, pool, encodings)
        trained = collect_trials(plan.specs, trials.futures)
        failures = search.failures | trained.failures
        if not trained.has_networks:
            check_nightly(plan.selection, plan.specs, [], {}, settings, started, results_folder)
            raise TrialsFailedError(failures)
        if trials.has_training:
            pool.executor.warm_up(style.load_libraries)  # while the trials are evaluated
        evaluation = evaluate_trials.submit(
            trained.results, dataset.file, cache, parameters.metric, wait_for=trained.succeeded, return_state=False
        )
        frames = evaluation.result() | {"tuning": search.table}
        frames |= check_nightly(plan.selection, plan.specs, trained.results, frames, settings, started, results_folder)
        figures = draw_figures(frames, dataset.classes, cache, pool, evaluation)
    (compared_data,) = select_largest_fraction(encoded)  # its vocabulary is that of the compared models
    result = publish(frames, figures, compared_data, settings, failures, started, results_folder)
    if parameters.keep_runs is not None:
        clean(results_folder, parameters.keep_runs)
    if failures:
        raise TrialsFailedError(failures, str(result))
    if missing := plan.selection.find_missing_trials(plan.specs, frames["scores"]):
        raise NightlyRunIncompleteError(plan.selection.night, missing, str(result))
    return result

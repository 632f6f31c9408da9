"""The experiment: load reviews, encode them, train every architecture with every seed, evaluate, compare, report."""
# PYTHON_ARGCOMPLETE_OK

if __name__ == "__main__":  # before the imports below: `--help` and a user's mistake need no Prefect
    import sys

    from flows.cli.run import main

    sys.exit(main(sys.argv[1:]))

if __name__ == "__mp_main__":  # a process that is to train: from its first moment on it must not outlive the run
    from tasks.execution.process import end_with_parent

    end_with_parent()

from datetime import UTC, datetime
from pathlib import Path

from prefect import flow, runtime

from tasks.check_nightly import check_night
from tasks.config import parameters as p
from tasks.config import recipe as s
from tasks.config.errors import NightFailedError, TrialsFailedError, without_tracebacks_for_mistakes
from tasks.config.labels import BASELINE_NAMES
from tasks.config.parameters import Parameters
from tasks.encode import encode
from tasks.evaluate import evaluate_trials
from tasks.execution.executor import Power, check_engine, train_all
from tasks.execution.plan import plan
from tasks.load import load
from tasks.nightly.due import due_date, passed_over
from tasks.nightly.selection import Night
from tasks.report import publish
from tasks.storage import store
from tasks.storage.s3 import results_place
from tasks.train import train
from tasks.training.check_user_model import check_own

DEFAULTS = Parameters()


def run_name() -> str:
    """Name the run as asked, or by its night, or by the time at which it started, so that names sort."""
    given = runtime.flow_run.parameters
    nightly = f"{given.get('night') or due_date()}-nightly" if given.get("new_seeds") else None
    return given.get("run_name") or nightly or datetime.now().strftime("%Y-%m-%d-%H%M%S")


@flow(name="imdb-compare", flow_run_name=run_name)
@p.described(Parameters)
def imdb_compare(
    data: p.Data = DEFAULTS.data,
    text_column: p.TextColumn = DEFAULTS.text_column,
    label_column: p.LabelColumn = DEFAULTS.label_column,
    positive: p.Positive = DEFAULTS.positive,
    group: p.Group = DEFAULTS.group,
    architectures: p.Architectures = DEFAULTS.architectures,
    seeds: p.Seeds = DEFAULTS.seeds,
    new_seeds: p.NewSeeds = DEFAULTS.new_seeds,
    night: p.Night = DEFAULTS.night,
    train_fractions: p.TrainFractions = DEFAULTS.train_fractions,
    engine: p.Engine = DEFAULTS.engine,
    dask_address: p.DaskAddress = DEFAULTS.dask_address,
    workers: p.Workers = DEFAULTS.workers,
    trial_timeout_minutes: p.TrialTimeoutMinutes = DEFAULTS.trial_timeout_minutes,
    run_name: p.RunName = DEFAULTS.run_name,
    results: p.Results = DEFAULTS.results,
    data_folder: p.DataFolder = DEFAULTS.data_folder,
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
    ema_momentum: s.EmaMomentum = DEFAULTS.ema_momentum,
    epochs: s.Epochs = DEFAULTS.epochs,
    patience: s.Patience = DEFAULTS.patience,
) -> str:
    """Train architectures side by side with several seeds; report which to use, how sure that is, and what it costs."""
    parameters = Parameters.checked(**locals())
    if (skipped := passed_over()) is not None:
        return skipped
    started = datetime.now(UTC)  # not the scheduled time: a late run has not worked since then
    without_tracebacks_for_mistakes()
    check_engine(engine, dask_address)
    check_own(parameters.architectures, parameters.recipe())
    place = results_place(results)
    cache = place / "cache"
    store.sweep(place)
    reviews = load.submit(data, text_column, label_column, positive, group, Path(data_folder), cache)
    facts = reviews.result()  # a mistake in the reviews ends the run here, before any training
    encoded = [
        encode.submit(
            facts, fraction, vocabulary_size, max_tokens, tokenizer, cache, wait_for=[reviews], return_state=False
        )
        for fraction in parameters.train_fractions
    ]
    recipe, notes = parameters.recipe(), [each.result() for each in encoded]
    tonight = Night.of(parameters, facts["fingerprint"], place)
    calls = tonight.calls(lambda seeds: plan(parameters.architectures, seeds, recipe, notes, cache))
    power = Power(engine, dask_address, workers, trial_timeout_minutes)
    trials, failures, trained = train_all(train, calls, after=encoded, folder=cache, power=power)
    asked = parameters.model_dump(mode="json")
    if all(trial["architecture"] in BASELINE_NAMES for trial in trials):
        check_night(tonight, calls, [], None, asked, started, place)
        raise TrialsFailedError(failures)
    evaluated = evaluate_trials.submit(trials, facts["file"], cache, wait_for=trained, return_state=False)
    frames = evaluated.result()
    frames |= check_night(tonight, calls, trials, frames["scores"], asked, started, place)
    of_largest = {"vocabulary": notes[-1]["vocabulary"]}  # by which the models are used
    summary = publish(frames, facts | of_largest, asked, failures, started, place)
    if failures:
        raise TrialsFailedError(failures, summary)
    if missing := tonight.missing(calls, frames["scores"]):
        raise NightFailedError(tonight.date, missing, summary)
    return summary

"""The flow `imdb-predict`: write the predictions of a trained model for a file of texts."""

from prefect import flow

from tasks.config import file_options as f
from tasks.config import parameters as p
from tasks.config.user_values import validate_user_values
from tasks.data.files import check_file
from tasks.execution.run_logging import configure_run_logging
from tasks.inference import selection
from tasks.inference.score_files import check_output
from tasks.score import score


@flow(name="imdb-predict")
@p.with_field_descriptions(selection.ScoringOptions)
def imdb_predict(
    file: selection.File,
    output: selection.Output,
    text_column: f.TextColumn = "text",
    separator: f.Separator = None,
    encoding: f.Encoding = None,
    header: f.Header = True,
    keep: selection.Keep = (),
    results: p.Results = "results",
    model: selection.Model = None,
    run: selection.Run = None,
    architecture: selection.Architecture = None,
    seed: selection.Seed = None,
    ensemble: selection.Ensemble = False,
    threshold: selection.Threshold = 0.5,
) -> str:
    """Predict every text of a file with a trained model: one row with label and calibrated probability per text."""
    given = locals()
    configure_run_logging()
    options = validate_user_values(selection.ScoringOptions, given)
    check_file(options.file)
    check_output(options.file, options.output, (options.text_column, *options.keep))
    return score(options)

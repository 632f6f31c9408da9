"""Put a trained model to use: `python -m flows.predict "a wonderful film"`; a file of texts also from Prefect."""
# PYTHON_ARGCOMPLETE_OK

if __name__ == "__main__":  # before the imports below: the command line needs no Prefect
    import sys

    from flows.cli.predict import main

    sys.exit(main(sys.argv[1:]))

from collections.abc import Callable

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from tasks.config import parameters as p
from tasks.config.errors import without_tracebacks_for_mistakes
from tasks.config.escape import escape_markdown
from tasks.execution.prefect_api import doing_without_server
from tasks.inference import selection
from tasks.inference.predictor import load_predictor
from tasks.inference.score_files import check_output, said, score_file

SAID_EVERY = 50_000  # rows


@flow(name="imdb-predict")
@p.described(selection.Scoring)
def imdb_predict(
    file: selection.File,
    output: selection.Output,
    text_column: p.TextColumn = "text",
    keep: selection.Keep = (),
    results: p.Results = "results",
    model: selection.Model = None,
    run: selection.Run = None,
    architecture: selection.Architecture = None,
    seed: selection.Seed = None,
    ensemble: selection.Ensemble = False,
    threshold: selection.Threshold = 0.5,
) -> str:
    """Answer every text of a file by a trained model: its label and calibrated probability, a row for each."""
    asked = p.checked(selection.Scoring, locals())
    without_tracebacks_for_mistakes()
    check_output(asked.file, asked.output, (asked.text_column, *asked.keep))
    return score(asked)


@task(name="score", task_run_name="score-file")
def score(asked: selection.Scoring) -> str:
    """Load the model, answer the file, and put what came out on Prefect's page."""
    logger = get_run_logger()
    models: list[str] = []
    predictor = load_predictor(asked, models.append)
    logger.info(models[0])
    counts = score_file(
        predictor,
        asked.file,
        asked.output,
        text_column=asked.text_column,
        keep=asked.keep,
        on_rows=said_now_and_then(logger.info),
    )
    summary = said(counts, asked.output)
    logger.info(summary)
    with doing_without_server(logger.warning, retries=2):
        shown = "\n\n".join(escape_markdown(line) for line in (str(asked.file), *models, summary))
        create_markdown_artifact(shown, key="answers", description="What was answered, and by which model")
    return summary


def said_now_and_then(say: Callable[..., None]) -> Callable[[int], None]:
    """Make a callback that tells the log of every `SAID_EVERY` rows."""
    told = 0

    def on_rows(rows: int) -> None:
        nonlocal told
        if rows // SAID_EVERY > told:
            told = rows // SAID_EVERY
            say("%s rows answered", f"{rows:,}")

    return on_rows

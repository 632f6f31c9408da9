"""Put a trained model to use: `python -m flows.predict "a wonderful film"`; a file of texts also from Prefect."""
# PYTHON_ARGCOMPLETE_OK

if __name__ == "__main__":  # before the imports below: the command line needs no Prefect
    import sys

    from flows.predict_command import main

    sys.exit(main(sys.argv[1:]))

from collections.abc import Callable

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from tasks import parameters as p
from tasks import saved_runs as s
from tasks.errors import without_tracebacks_for_mistakes
from tasks.escape import escape_markdown
from tasks.prediction import load_predictor
from tasks.preparation import doing_without_server
from tasks.scoring import check_output, said, score_file

SAID_EVERY = 50_000  # rows


@flow(name="imdb-predict")
@p.described(s.Scoring)
def imdb_predict(
    file: s.File,
    output: s.Output,
    text_column: p.TextColumn = "text",
    keep: s.Keep = (),
    results: p.Results = "results",
    model: s.Model = None,
    run: s.Run = None,
    architecture: s.Architecture = None,
    seed: s.Seed = None,
    ensemble: s.Ensemble = False,
    threshold: s.Threshold = 0.5,
) -> str:
    """Answer every text of a file by a trained model: its label and calibrated probability, a row for each."""
    asked = p.checked(s.Scoring, locals())
    without_tracebacks_for_mistakes()
    check_output(asked.file, asked.output, (asked.text_column, *asked.keep))
    return score(asked)


@task(name="score", task_run_name="score-file")
def score(asked: s.Scoring) -> str:
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

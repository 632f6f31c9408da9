"""The task that scores a file with a trained model."""

from collections.abc import Callable

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from tasks.config.escape import escape_markdown
from tasks.config.file_options import file_format
from tasks.execution.prefect_api import ignore_api_errors
from tasks.inference.predictor import load_predictor
from tasks.inference.score_files import format_counts, score_file
from tasks.inference.selection import ScoringOptions

LOGGED_ROWS = 50_000  # rows from one log message to the next


@task(name="score", task_run_name="score-file")
def score(options: ScoringOptions) -> str:
    """Write the predictions for a file and create an artifact; return a summary."""
    logger = get_run_logger()
    predictor = load_predictor(options)
    logger.info(predictor.description)
    counts = score_file(
        predictor,
        options.file,
        options.output,
        text_column=options.text_column,
        keep=options.keep,
        file_format=file_format(options),
        on_rows=_progress_logger(logger.info),
    )
    summary = format_counts(counts, options.output)
    logger.info(summary)
    with ignore_api_errors(retries=2):
        lines = (str(options.file), predictor.description, summary)
        markdown = "\n\n".join(escape_markdown(line) for line in lines)
        create_markdown_artifact(markdown, key="answers", description="Predicted file, model and number of rows")
    return summary


def _progress_logger(log: Callable[..., None]) -> Callable[[int], None]:
    """Return a callback that logs every `LOGGED_ROWS` rows."""
    logged = 0

    def on_rows(rows: int) -> None:
        nonlocal logged
        if rows // LOGGED_ROWS > logged:
            logged = rows // LOGGED_ROWS
            log("%s rows done", f"{rows:,}")

    return on_rows

"""Write a trained model into a folder to be carried elsewhere: `python -m flows.cli.export --output my_model`."""
# PYTHON_ARGCOMPLETE_OK

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field
from pydantic_settings import CliImplicitFlag

from flows.cli.arguments import parse
from flows.cli.run import complain, say
from tasks.config import parameters as p
from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.inference import selection
from tasks.storage import runs


class Asked(BaseModel):
    """Write a trained model of a run, its weights, words, calibration and model card, into a folder of its own."""

    output: Annotated[Path, Field(description="Folder to make.")]
    results: p.Results = "results"
    run: selection.Run = None
    architecture: selection.Architecture = None
    seed: selection.Seed = None
    onnx: Annotated[CliImplicitFlag[bool], Field(description="Write model.onnx, too, for other programs.")] = False


def main(arguments: Sequence[str]) -> int:
    """Write the model that the command line asks for.

    Returns:
        The exit code: 0 written, 1 a stored file is gone or damaged, 2 a mistake of the user's.
    """
    from tasks.inference.exported_model import write_model
    from tasks.storage.s3 import results_place
    from tasks.storage.store import DamagedFileError

    try:
        asked = parse(Asked, arguments, "flows.cli.export")
        run = runs.open_run(results_place(asked.results), asked.run)
        wanted = selection.Wanted(**asked.model_dump(exclude={"output", "onnx"}))
        (trial,) = selection.chosen(run, wanted).to_dict("records")
        known = {str(name): value for name, value in trial.items()}
        say(escape_terminal(f"Written: {write_model(run, known, asked.output, asked.onnx)}"))
    except UserError as mistake:
        complain(mistake)
        return 2
    except (DamagedFileError, FileNotFoundError) as error:
        complain(f"{escape_terminal(error)}. The command that made the run makes it again.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

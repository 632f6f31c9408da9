"""`imdb-compare export`: write a trained model to a folder."""

from flows.cli.console import print_output
from flows.cli.options import ExportOptions
from tasks.inference import selection
from tasks.inference.exported_model import export_model
from tasks.storage.runs import open_run
from tasks.storage.s3 import results_place


def execute(options: ExportOptions) -> None:
    """Write the selected model of a run.

    Raises:
        UserError: If there is no such model, or the folder cannot be created.
    """
    run = open_run(results_place(options.results), options.run)
    wanted = selection.ModelSelection(**options.model_dump(exclude={"output", "onnx"}))
    (model,) = selection.select_models(run, wanted)
    print_output(f"Written: {export_model(run, model, options.output, options.onnx)}")

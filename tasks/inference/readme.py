"""README of an exported model: a model card for people.

Source of its parts: Mitchell et al. 2019, "Model Cards for Model Reporting".
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.config.escape import escape_markdown
from tasks.config.labels import label, label_in_sentence
from tasks.config.metric_names import METRIC_NAMES
from tasks.evaluation.metrics import METRICS
from tasks.inference.model_card import ModelCard
from tasks.inference.prediction_steps import format_steps
from tasks.inference.worked_examples import WorkedExample
from tasks.reporting.verdict_format import format_score, pluralize
from tasks.storage.runs import RunRecord
from tasks.storage.trials import read_result


def format_readme(run: RunRecord, card: ModelCard, examples: Sequence[WorkedExample], onnx: bool = False) -> str:
    """Format the model card as Markdown.

    Names of files, classes and processors are escaped, so that they are neither Markdown nor HTML.

    Args:
        run: Run of the model.
        card: Card of the model.
        examples: Worked examples of the model.
        onnx: Whether the folder contains an ONNX model.

    Raises:
        MissingFileError: If the result of the trial is missing from the cache.
        DamagedFileError: If the result of the trial is damaged.
    """
    sections = [
        *_format_title(run, card), *_format_data(run), *_format_scores(run, card), *_format_cost(run, card),
        "## Limitations", "\n".join(f"- {limitation}" for limitation in _limitations(run, card)),
        *_format_usage(run), *format_steps(card, examples, onnx),
        "## License", "The code of imdb-compare is under the MIT license. The texts of the "
        "training data are not included; their license is that of their source.",
    ]  # fmt: skip
    return "\n\n".join(sections) + "\n"


def _format_title(run: RunRecord, card: ModelCard) -> list[str]:
    classes = " or ".join(card.classes) if len(card.classes) == 2 else f"{len(card.classes)} classes"
    title = escape_markdown(f"{label(card.architecture)}: {classes}")
    origin = f"Trained by imdb-compare: trial {card.name} of run {run.name}, {run.info.started}."
    return [f"# {title}", escape_markdown(origin)]


def _format_data(run: RunRecord) -> list[str]:
    rows = ", ".join(f"{number:,} {split}" for split, number in run.info.rows.items())
    return ["## Data", escape_markdown(f"{run.info.source}: {rows}. Fingerprint {run.info.fingerprint}.")]


def _format_scores(run: RunRecord, card: ModelCard) -> list[str]:
    summary = run.table("summary")
    rows = summary[(summary["architecture"] == card.architecture) & (summary["split"] == "test")]
    shown = [name for name in METRIC_NAMES if name == run.info.metric or not METRICS[name].is_for_imbalance]
    scores = [_format_score(row, len(card.classes)) for row in rows.to_dict("records") if row["metric"] in shown]
    return [
        "## Scores on the test split",
        "Mean of the architecture over its seeds, with the 95% confidence interval.",
        "\n".join(scores),
        f"{_describe_validation(card)} {_describe_temperature(card)} {_describe_label(card)}",
    ]


def _describe_validation(card: ModelCard) -> str:
    score = format_score(card.validation_score, card.metric)
    return f"This trial has a validation {label_in_sentence(card.metric, len(card.classes))} of {score}."


def _describe_label(card: ModelCard) -> str:
    if card.threshold is None:
        names = ", ".join(map(escape_markdown, card.classes))
        return f"The label of a text is the most probable of the classes: {names}."
    return (
        f"A text is {escape_markdown(card.classes[1])} if the probability of this class is above 0.5. The threshold "
        f"with the highest validation accuracy, {card.threshold:.3f} before calibration, is not used."
    )


def _describe_temperature(card: ModelCard) -> str:
    if card.temperature == 1:
        return (
            "Its probabilities are not calibrated (temperature 1), because the validation texts do not show that "
            "another temperature improves them."
        )
    return f"Its probabilities are calibrated with the temperature {card.temperature:.3f}."


def _format_score(row: Mapping[Any, Any], classes: int) -> str:
    mean, low, high = (format_score(row[name], row["metric"]) for name in ("mean", "low", "high"))
    return f"- {label(row['metric'], classes)}: {mean} [{low}, {high}], {pluralize(int(row['seeds']), 'seed')}"


def _format_cost(run: RunRecord, card: ModelCard) -> list[str]:
    result = read_result(run.cache_dir, card.name)
    processor = escape_markdown(run.info.hardware.get("processor"))
    return [
        "## Cost",
        f"{result.parameters:,} parameters. Trained in {result.train_seconds:.0f} s with one thread on {processor}, "
        "compiling the network included.",
    ]


def _limitations(run: RunRecord, card: ModelCard) -> list[str]:
    tokens = f"the last {card.recipe.max_tokens} tokens" if card.is_network else "all tokens"
    return [
        *map(escape_markdown, run.info.caveats),
        f"The model reads {tokens} of a text, in lower case, and knows only words of its training split.",
        "The scores do not hold for other kinds of text, other languages or other times.",
        "The model learned which words occur with which class. It does not explain its predictions.",
    ]


def _format_usage(run: RunRecord) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in run.info.versions.items())
    return [
        "## Usage",
        '`imdb-compare predict --model <folder> "a text"`',
        escape_markdown(f"Versions: {versions}."),
    ]

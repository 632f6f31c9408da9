"""Table below the verdict: how each architecture compares with the recommended one, and what it costs."""

from collections.abc import Mapping

from tasks.config.labels import label
from tasks.evaluation.metrics import METRICS
from tasks.reporting.formatting import Cell, FormattedNumber, TextTable, combine, format_number
from tasks.reporting.summary_tables import class_count
from tasks.reporting.tuning_tables import tuning_costs
from tasks.reporting.verdict_format import clip_limits, format_size
from tasks.reporting.verdict_record import Cost, Verdict, read_cost
from tasks.statistics.evaluation_tables import Frames
from tasks.statistics.significance import EQUIVALENT, INCONCLUSIVE, NOT_SIGNIFICANT

WORDS = {
    "best": "recommended",
    "better": "better",
    "worse": "worse",
    EQUIVALENT: "equivalent",
    NOT_SIGNIFICANT: "not significant",
    INCONCLUSIVE: "inconclusive",
}
FAILED = "failed"
TRAINING = "Training (s)"
FAILED_SEEDS = "Failed seeds"  # column that exists only if there are any


def verdict_table(frames: Frames, verdict: Verdict) -> TextTable:
    """Tabulate the difference of each architecture to the recommended one, a word on it, and the costs.

    Args:
        frames: Frames of `tasks.statistics.comparison.compare`, and trials and tuning if they exist.
        verdict: Record of the run.

    Returns:
        The table, the recommended architecture first. Architectures of which every trial diverged are last.
    """
    metric, unit, classes = verdict.metric, METRICS[verdict.metric].unit, class_count(frames)
    failed = failed_seeds(frames, verdict)
    rows: list[list[Cell]] = []
    for row in frames["groups"].to_dict("records"):
        cost = read_cost(row)
        scores = [format_number(row[name], unit.digits, unit.factor) for name in ("validation_mean", "test_mean")]
        name, result = str(row["architecture"]), [_difference(row, metric), _word(row, verdict)]
        rows.append([label(name), *scores, *result, *_failed_cell(failed, name), *_costs(cost)])
    for name in verdict.without_scores:
        unknown, cost = format_number(None), Cost(parameters=_parameters(frames, name))
        rows.append([label(name), unknown, unknown, unknown, FAILED, *_failed_cell(failed, name), *_costs(cost)])
    difference = f"Difference to {label(verdict.recommended)} ({unit.difference}) [95% interval]"
    header = [
        "Architecture",
        METRICS[metric].header("Validation", classes),
        METRICS[metric].header("Test", classes),
        difference,
        "Verdict",
        *([FAILED_SEEDS] if failed else []),
        "Parameters",
        TRAINING,
        "Prediction (ms)",
    ]
    names = [*frames["groups"]["architecture"], *verdict.without_scores]
    tuning = tuning_costs(frames, names)
    if tuning is None:
        return TextTable(header, rows)
    costs = [[*row, tuning[name]] for row, name in zip(rows, names, strict=True)]
    return TextTable([*header, "Tuning (CPU s)"], costs)


def failed_seeds(frames: Frames, verdict: Verdict) -> dict[str, tuple[int, int]]:
    """Return the numbers of failed and of all seeds of each architecture with failed ones; diverged ones are failed."""
    failed = {each.architecture: (each.diverged + each.failed, each.trials) for each in verdict.failures}
    diverged = {name: int((frames["trials"]["architecture"] == name).sum()) for name in verdict.without_scores}
    return failed | {name: (count, count) for name, count in diverged.items()}


def _failed_cell(failed: Mapping[str, tuple[int, int]], name: str) -> list[Cell]:
    """Return the cell of an architecture in the column `FAILED_SEEDS`; nothing if there is no such column."""
    if not failed:
        return []
    count, seeds = failed.get(name, (0, 0))
    text = f"{count} of {seeds}" if count else "0"
    return [FormattedNumber(text, text, count)]


def verdict_table_note(verdict: Verdict) -> str:
    """Return the unit of the differences, and the definitions of the words that are in the table."""
    metric = METRICS[verdict.metric]
    definitions = {
        "Better, worse: significantly different on the test reviews.": verdict.better + verdict.worse,
        f"Equivalent: within ±{format_size(verdict.margin, verdict.metric)}.": verdict.equivalent,
        "Not significant: tested, but not significantly different.": verdict.not_significant,
        f"Inconclusive: not tested, with fewer than {verdict.min_seeds} shared seeds.": verdict.inconclusive,
        "Failed: no seed has a score.": verdict.without_scores,
        "Failed seeds: diverged, at the level of chance, or far below the other seeds.": (
            verdict.failures or verdict.without_scores
        ),
        f"Significant: p ≤ {verdict.alpha:g} after Holm’s correction over all pairs.": (
            verdict.better + verdict.worse + verdict.not_significant
        ),
    }
    used = [text for text, names in definitions.items() if names]
    return " ".join(
        [
            f"Differences are in {metric.unit.long_difference}; their intervals are not corrected.{metric.direction}",
            *used,
            "Training time is that of one seed and includes compiling the network, which takes most of it if there are "
            "few reviews; prediction time is that of one review. Both depend on the load of the machine.",
        ]
    )


def _word(row: dict[object, object], verdict: Verdict) -> str:
    word = WORDS[str(row["verdict"])]
    return "reference" if word == "recommended" and not verdict.is_recommended else word


def _difference(row: dict[object, object], metric: str) -> Cell:
    if row["verdict"] == "best":
        return FormattedNumber("–", "–", 0.0)
    unit = METRICS[metric].unit
    difference, low, high = (float(str(row[name])) for name in ("difference", "low", "high"))
    values = (difference, *clip_limits(low, high, metric))
    return combine("{} [{}, {}]", *(format_number(value, unit.digits, unit.factor, sign=True) for value in values))


def _costs(cost: Cost) -> list[Cell]:
    return [
        format_number(cost.parameters, 0), format_number(cost.train_seconds, 1), format_number(cost.latency_ms, 2)
    ]  # fmt: skip


def _parameters(frames: Frames, name: str) -> float | None:
    """Return the number of parameters of an architecture without scores; None if it is not known."""
    trials = frames["trials"]
    if "parameters" not in trials:
        return None
    values = trials.loc[trials["architecture"] == name, "parameters"].dropna()
    return float(values.max()) if len(values) else None

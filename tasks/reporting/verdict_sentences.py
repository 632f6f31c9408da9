"""The verdict in three sentences: which architecture to use, how certain that is, and what it costs."""

import math
from collections.abc import Sequence

from tasks.config.labels import label, label_in_sentence
from tasks.config.metric_names import IMBALANCED_METRIC
from tasks.data.balance import min_class_share
from tasks.evaluation.metrics import METRICS
from tasks.evaluation.scores import class_keys
from tasks.reporting.summary_tables import DEFAULT_CLASSES
from tasks.reporting.verdict_format import format_score, format_size, join_labels, join_texts, pluralize
from tasks.reporting.verdict_record import Cost, Verdict
from tasks.statistics.ranking import MAJORITY_BASELINE
from tasks.statistics.training_sample import MIN_RESAMPLES

MAX_NAMES = 3  # more architectures are counted, not named


def verdict_sentences(verdict: Verdict, classes: Sequence[str] = DEFAULT_CLASSES) -> list[str]:
    """Return the verdict in three sentences.

    Args:
        verdict: Record of the run.
        classes: Names of the classes.
    """
    return [recommendation_sentence(verdict, classes), certainty_sentence(verdict), cost_sentence(verdict)]


def recommendation_sentence(verdict: Verdict, classes: Sequence[str] = DEFAULT_CLASSES) -> str:
    """Format which architecture to use, with its scores."""
    name, metric = label(verdict.recommended), label_in_sentence(verdict.metric, len(classes))
    validation_score, test_score, low, high = (
        format_score(score, verdict.metric)
        for score in (verdict.validation_score, verdict.test_score, verdict.test_low, verdict.test_high)
    )
    validation = f"{METRICS[verdict.metric].best} validation {metric} ({validation_score}{_ties(verdict)})"
    rare = rare_class_clause(verdict, classes)
    if verdict.recommended == MAJORITY_BASELINE:
        return (
            f"No architecture can be recommended by {metric}: always predicting the more frequent class has the "
            f"{validation}{rare}."
        )
    if verdict.better:
        return (
            f"No clear recommendation: {name} has the {validation}, but {_names(verdict.better)} "
            f"{_is(verdict.better)} significantly better on the test reviews{rare}."
        )
    # A metric that a constant model has by definition has no interval.
    interval = "its interval is not defined" if math.isnan(verdict.test_low) else f"95% interval {low} to {high}"
    test = f"test {metric} of {test_score} ({interval})"
    if not verdict.others:
        only = f"the only architecture with scores, with a validation {metric} of {validation_score}"
        return f"Recommended: {name}, {only} and a {test}{rare}."
    return f"Recommended: {name}, with the {validation} and a {test}{rare}."


def _ties(verdict: Verdict) -> str:
    if not verdict.ties:
        return ""
    return f", equal to {_names(verdict.ties)}; ties are broken by cost, then by name"


def rare_class_clause(verdict: Verdict, classes: Sequence[str]) -> str:
    """Format how much of the rarer class is found, and by which architecture most evenly; empty without one."""
    rare = verdict.rare_class
    if rare is None:
        return ""
    name = dict(zip(class_keys(len(classes)), classes, strict=True))[rare.name]
    share, recall = (f"{100 * value:.1f}%" for value in (rare.share, rare.recall))
    rank = "rarer" if len(classes) == 2 else "rarest"
    rarer = f"the {rank} class “{name}” ({share} of the test reviews{_default_clause(verdict, len(classes))})"
    if rare.best in (None, verdict.recommended):
        subject = "it" if verdict.is_recommended else label(verdict.recommended)
        return f"; {subject} finds {recall} of {rarer}"
    return (
        f"; if {rarer} matters, consider {label(str(rare.best))}, which has the highest "
        f"{label_in_sentence(IMBALANCED_METRIC)} on validation ({100 * rare.best_score:.1f}%) and finds "
        f"{100 * rare.best_recall:.1f}% of it on test ({label(verdict.recommended)}: {recall})"
    )


def _default_clause(verdict: Verdict, classes: int) -> str:
    """Format why the metric is not accuracy, if it was not chosen."""
    if not verdict.is_imbalance_default:
        return ""
    return f"; below {100 * min_class_share(classes):.3g}%, the default metric is {label_in_sentence(verdict.metric)}"


def certainty_sentence(verdict: Verdict) -> str:
    """Format how the other architectures compare with the recommended one, and which seeds failed."""
    seeds = seed_clauses(verdict)
    if not verdict.others:
        return f"{'; '.join(['How certain: there is no other architecture to compare it with', *seeds])}."
    clauses = "; ".join([*comparison_clauses(verdict), *training_clauses(verdict), *seeds])
    tested = verdict.others > len(verdict.inconclusive)
    level = f" (level {100 * verdict.alpha:g}% over all pairs)" if tested else ""
    return f"How certain: compared with {label(verdict.recommended)} on the test reviews{level}, {clauses}."


def comparison_clauses(verdict: Verdict) -> list[str]:
    """Format the result of the comparison with each other architecture, one clause for each kind of result.

    Those that a reader could choose instead come first.
    """
    seeds = pluralize(verdict.min_seeds, "shared seed")
    results = {
        "significantly better": verdict.better,
        "not significantly different and may be as good or better": verdict.not_significant,
        f"equivalent within {format_size(verdict.margin, verdict.metric)}": verdict.equivalent,
        "significantly worse": verdict.worse,
        f"not tested, so the comparison is inconclusive (a test takes at least {seeds})": verdict.inconclusive,
    }
    return [f"{_names(names, verdict)} {_is(names)} {result}" for result, names in results.items() if names]


def training_clauses(verdict: Verdict) -> list[str]:
    """Format which results also hold for other training reviews, if there are resamples of them."""
    training = verdict.training
    if training is None:
        return []
    clauses = []
    if training.held:
        hold = "holds" if len(training.held) == 1 else "hold"
        clauses.append(f"{_results_for(training.held)} also {hold} for other training reviews")
    if training.not_held:
        clauses.append(f"{_results_for(training.not_held)} may not hold for other training reviews")
    if training.not_tested:
        few = f"fewer than {pluralize(MIN_RESAMPLES, 'shared resample')}"
        names = training.not_tested
        clauses.append(f"{_results_for(names)} {_is(names)} not tested for other training reviews ({few})")
    if training.compared:
        clauses.append(
            f"on {training.best} of {pluralize(training.compared, 'resample')} of the training reviews, "
            f"{label(verdict.recommended)} has the {METRICS[verdict.metric].best} validation "
            f"{label_in_sentence(verdict.metric)}"
        )
    return clauses


def _results_for(names: Sequence[str]) -> str:
    return f"the result{'s' * (len(names) > 1)} for {_names(names)}"


def seed_clauses(verdict: Verdict) -> list[str]:
    """Format which seeds failed, and whether the seed variance of the recommended architecture is unknown."""
    clauses = []
    if not verdict.seed_variance_known:
        clauses.append(f"the seed variance of {label(verdict.recommended)} is unknown (one seed)")
    if verdict.failures:
        failed = [
            f"{each.diverged + each.failed} of {pluralize(each.trials, 'seed')} of {label(each.architecture)}"
            for each in verdict.failures[:MAX_NAMES]
        ]
        if (more := len(verdict.failures) - MAX_NAMES) > 0:
            failed.append(f"seeds of {pluralize(more, 'other architecture')}")
        clauses.append(f"{join_texts(failed)} failed{_score_without(verdict)}")
    if verdict.without_scores:
        clauses.append(f"all seeds of {_names(verdict.without_scores)} diverged")
    return clauses


def _score_without(verdict: Verdict) -> str:
    """Format the score without the failed seeds if only one architecture has such seeds."""
    score = verdict.failures[0].score_without
    if len(verdict.failures) > 1 or score is None:
        return ""
    return f" (test {label_in_sentence(verdict.metric)} without failed seeds: {format_score(score, verdict.metric)})"


def cost_sentence(verdict: Verdict) -> str:
    """Format the cost of the recommended architecture, and of a cheaper one that is not significantly worse."""
    name, costs = label(verdict.recommended), format_cost(verdict.cost)
    sentence = f"Cost of {name}: {costs}" if costs else f"The cost of {name} is not known"
    if verdict.cheaper is None:
        return f"{sentence}."
    return (
        f"{sentence}; {label(verdict.cheaper)} has fewer parameters and is not significantly worse "
        f"({format_cost(verdict.cheaper_cost)})."
    )


def format_cost(cost: Cost) -> str:
    """Format the known parts of a cost; empty if nothing is known."""
    parts = [
        None if cost.parameters is None else pluralize(round(cost.parameters), "parameter"),
        None if cost.train_seconds is None else f"{cost.train_seconds:,.1f} s of training",
        None if cost.latency_ms is None else f"{cost.latency_ms:,.2f} ms per prediction",
    ]
    return ", ".join(filter(None, parts))


def _names(names: Sequence[str], verdict: Verdict | None = None) -> str:
    """Name up to `MAX_NAMES` architectures; of more, only the number. `verdict` is given if they are compared."""
    if len(names) <= MAX_NAMES:
        return join_labels(names)
    if verdict is not None and len(names) == verdict.others:
        return f"all {len(names)} others"
    is_notable = MAJORITY_BASELINE in names and (verdict is None or names is not verdict.worse)
    return f"{len(names)} architectures{f' (among them {label(MAJORITY_BASELINE)})' if is_notable else ''}"


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"

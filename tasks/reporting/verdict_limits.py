"""What a run could not detect, and what would resolve it."""

from tasks.config.labels import label, label_in_sentence
from tasks.config.metric_names import DEFAULT_METRIC, METRIC_NAMES
from tasks.data.balance import MIN_RELATIVE_SHARE
from tasks.evaluation.metrics import METRICS
from tasks.reporting.verdict_format import format_score, format_size, join_labels, join_texts, pluralize
from tasks.reporting.verdict_record import SeedFailures, Verdict
from tasks.reporting.verdict_resamples import TrainingSamples
from tasks.reporting.verdict_undecided import Undecided
from tasks.statistics.evaluation_tables import Frames
from tasks.statistics.significance import INCONCLUSIVE


def limit_sentences(
    verdict: Verdict, train_reviews: int | None = None, *, class_weights: bool | None = None
) -> list[str]:
    """Return sentences on what the run could not detect, and what would resolve it.

    Args:
        verdict: Record of the run.
        train_reviews: Number of training reviews; None if it is not known.
        class_weights: Whether all classes had the same weight in training; None if it is not known.
    """
    return [
        *inconclusive_sentences(verdict),
        *detectable_sentences(verdict),
        *remedy_sentences(verdict),
        *one_seed_sentences(verdict),
        *failure_sentences(verdict),
        *rare_class_sentences(verdict, class_weights=class_weights),
        *diverged_resample_sentences(verdict),
        condition_sentence(train_reviews, verdict.training),
    ]


def inconclusive_sentences(verdict: Verdict) -> list[str]:
    """Format which architectures were not tested against the recommended one."""
    rows = [each for each in verdict.undecided if each.verdict == INCONCLUSIVE]
    if not rows:
        return []
    names = [f"{label(each.architecture)} ({each.seeds})" for each in rows]
    return [
        f"Inconclusive, because fewer than {verdict.min_seeds} seeds are shared with {label(verdict.recommended)} "
        f"(number in parentheses): {', '.join(names)}. Run more seeds (--seeds), until {verdict.min_seeds} are shared."
    ]


def detectable_sentences(verdict: Verdict) -> list[str]:
    """Format which difference to the recommended architecture would have been detected for each undecided one."""
    rows = [each for each in verdict.undecided if each.verdict != INCONCLUSIVE]
    if not rows:
        return []
    sizes = ("none" if row.detectable is None else format_size(row.detectable, verdict.metric) for row in rows)
    texts = [f"{label(row.architecture)} {size}" for row, size in zip(rows, sizes, strict=True)]
    return [
        f"A true difference to {label(verdict.recommended)} would be detected in 80% of such runs, by estimate, if it "
        f"were at least: {'; '.join(texts)}."
    ]


def remedy_sentences(verdict: Verdict) -> list[str]:
    """Format how many seeds would resolve the undecided architectures, and which of them need more test reviews.

    Architectures with failed seeds are left out: the number of seeds would be that which averages the failures out.
    """
    failed = {failure.architecture for failure in verdict.failures}
    rows = [each for each in verdict.undecided if each.architecture not in failed]
    seeds = [
        f"about {each.seeds_needed:,} for {_target(each, verdict)}" for each in rows if each.seeds_needed is not None
    ]
    reviews = [_target(each, verdict) for each in rows if each.reviews_needed]
    sentences = [f"Seeds needed to detect a difference in 80% of such runs: {'; '.join(seeds)}."] if seeds else []
    if reviews:
        sentences.append(f"More test reviews are needed, because seeds alone do not suffice: {'; '.join(reviews)}.")
    return sentences


def _target(row: Undecided, verdict: Verdict) -> str:
    return f"{label(row.architecture)} (to detect {format_size(row.target, verdict.metric)})"


def one_seed_sentences(verdict: Verdict) -> list[str]:
    """Format the architectures whose seed variance is unknown because they have one seed only."""
    if not verdict.one_seed:
        return []
    return [
        f"Seed variance is unknown for {join_labels(verdict.one_seed)} (one seed with scores). Run more seeds: others "
        "may change the order."
    ]


def failure_sentences(verdict: Verdict) -> list[str]:
    """Format the architectures with seeds that diverged or failed."""
    failed = [f"{label(name)}: training diverged for all seeds. It has no scores." for name in verdict.without_scores]
    sentences = [*failed, *(_failure_sentence(each, verdict.metric) for each in verdict.failures)]
    if verdict.failure_rate is not None:
        sentences.append(
            f"With 95% confidence, at most {100 * verdict.failure_rate:.1f}% of the trainings of "
            f"{label(verdict.recommended)} fail or diverge. More seeds lower this bound if none of them fails."
        )
    return sentences


def _failure_sentence(failure: SeedFailures, metric: str) -> str:
    seeds, clauses, without = pluralize(failure.trials, "seed"), [], ""
    if failure.diverged:
        clauses.append(f"training diverged for {failure.diverged} of {seeds}, which its scores do not include")
    if failure.failed:
        clauses.append(
            f"training failed for {failure.failed} of {seeds} (at the level of chance, or far below the other seeds), "
            "which its scores include"
        )
    if failure.score_without is not None:
        score = format_score(failure.score_without, metric)
        without = f" Without failed seeds its test {label_in_sentence(metric)} is {score}."
    return f"{label(failure.architecture)}: {'; '.join(clauses)}.{without} A smaller learning rate may resolve this."


def rare_class_sentences(verdict: Verdict, *, class_weights: bool | None = None) -> list[str]:
    """Format what accuracy does not show if one class is rare, what to try, and why another metric is the default."""
    sentences, default = [], label_in_sentence(DEFAULT_METRIC)
    if verdict.rare_class is not None:
        shown = [label_in_sentence(name) for name in METRIC_NAMES if METRICS[name].is_for_imbalance]
        remedy = (
            " A run with --class-weights, which gives all classes the same weight in training, may find more of it, "
            "usually with more errors in other classes."
        )
        sentences.append(
            f"{100 * verdict.rare_class.share:.1f}% of the test reviews are of the rarer class, so {default} says "
            f"little about it. Look at {join_texts(shown)} in the summary, and at recall by class."
            f"{remedy if class_weights is False else ''}"
        )
    if verdict.is_imbalance_default:
        sentences.append(
            f"The architectures are compared by {label_in_sentence(verdict.metric)} instead of {default}, because the "
            f"rarest class has less than {100 * MIN_RELATIVE_SHARE:g}% of the reviews that it would have if all "
            "classes were equally frequent. The option --metric chooses another metric."
        )
    return sentences


def diverged_resample_sentences(verdict: Verdict) -> list[str]:
    """Format the architectures whose training diverged on resamples of the training reviews."""
    training = verdict.training
    if training is None:
        return []
    return [
        f"{label(name)}: training diverged on {count} of {pluralize(training.resamples, 'resample')} of the training "
        "reviews. It is therefore not called better or equivalent for other training reviews."
        for name, count in training.diverged
    ]


def condition_sentence(train_reviews: int | None, training: TrainingSamples | None = None) -> str:
    """Format what all results are conditional on.

    Args:
        train_reviews: Number of training reviews; None if it is not known.
        training: What holds for other training reviews; None without resamples.
    """
    trained = "the training reviews" if train_reviews is None else pluralize(train_reviews, "training review")
    results = f"All results hold for models trained on {trained} of this run"
    if training is None:
        return (
            f"{results}. How much other training reviews would change the scores is not estimated; the option "
            "--resample-training estimates it."
        )
    return (
        f"{results}, except those that are said to hold for other training reviews as well: their intervals contain "
        f"the variance between models that were trained on {pluralize(training.resamples, 'bootstrap resample')}."
    )


def train_review_count(frames: Frames) -> int | None:
    """Return the number of training reviews of the compared trials; None if it is not known."""
    trials = frames.get("trials")
    if trials is None or "train_reviews" not in trials or trials["train_reviews"].isna().all():
        return None
    return int(trials["train_reviews"].max())

"""The report's tables, in words: numbers rounded, names spelled out, what is not known said."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral

import pandas as pd

from tasks.config.labels import in_order, label
from tasks.data.balance import imbalanced
from tasks.evaluation.scores import CLASSES, classification_reports, generalisation_gaps, rank_by_validation
from tasks.reporting.tabular import NOT_KNOWN

Frames = Mapping[str, pd.DataFrame]

EXCERPT, LINE = 300, 90  # characters


@dataclass(frozen=True)
class Rounded:
    """One number or more as a table shows them, and as they are.

    Attributes:
        words: Rounded, to read: `89.40 ± 0.86`.
        exact: The same with every digit, to look up: `89.4 ± 0.862458694`.
        value: The first of the numbers, to sort by; None if it is not known.
    """

    words: str
    exact: str
    value: float | None = None

    def __str__(self) -> str:
        """Show it rounded, wherever it is written."""
        return self.words


@dataclass(frozen=True)
class Grid:
    """A table in words: head and rows."""

    head: Sequence[str]
    rows: Sequence[Sequence[str | Rounded]]


def number(value: object, digits: int = 2, factor: float = 1.0) -> Rounded:
    """Write a number with its thousands apart, and a missing one in words."""
    if value is None or not isinstance(value, (int, float)) or not math.isfinite(value):
        return Rounded(NOT_KNOWN, NOT_KNOWN)
    scaled = factor * float(value)
    # Fifteen digits are all that a float holds for sure; more would show the error of the multiplication.
    return Rounded(f"{scaled:,.{digits}f}", f"{scaled:,.15g}", scaled)


def joined(pattern: str, *parts: str | Rounded) -> Rounded:
    """Put numbers and words into a pattern like `{} ± {}`; a table is sorted by the first number."""
    exact = (part.exact if isinstance(part, Rounded) else part for part in parts)
    first = next((part.value for part in parts if isinstance(part, Rounded)), None)
    return Rounded(pattern.format(*parts), pattern.format(*exact), first)


def over_seeds(values: pd.Series, interval: pd.DataFrame | None, digits: int, factor: float) -> Rounded:
    """Write mean ± standard deviation [interval] of one metric over its seeds."""
    known = values.dropna()
    pattern, parts = "{}", [float(known.mean())]
    if len(known) > 1:
        pattern, parts = "{} ± {}", [*parts, float(known.std())]
    if len(known) and interval is not None and len(interval):
        pattern += "\n[{}, {}]"  # a line of its own, or the table would be wider than a page
        parts += [float(interval[end].iloc[0]) for end in ("low", "high")]
    return joined(pattern, *(number(part, digits, factor) for part in parts))


def seeds_in_words(trials: pd.DataFrame) -> Rounded:
    """Say how many seeds finished, and how many diverged."""
    finished, every = int((trials["status"] == "finished").sum()), len(trials)
    words = str(finished) if finished == every else f"{finished} of {every} ({every - finished} diverged)"
    return Rounded(words, words, finished)


def summary_table(frames: Mapping[str, pd.DataFrame]) -> Grid:
    """Summarise each architecture in one row, best validation accuracy first, those without a score last."""
    scores, trials, intervals = frames["scores"], frames["trials"], frames.get("summary")
    ranked = list(rank_by_validation(scores, trials)["architecture"])
    rare = ["balanced_accuracy", "average_precision"] if of_a_rare_class(frames) else []
    metrics = ["accuracy", *rare, "f1", "auc", "log_loss"]
    columns = [*(("test", name, *((3, 1) if name == "log_loss" else (2, 100))) for name in metrics),
               ("validation", "accuracy", 2, 100)]  # fmt: skip
    rows: list[list[str | Rounded]] = []
    for name in [*ranked, *in_order(set(trials["architecture"]) - set(ranked))]:
        own, mine = scores[scores["architecture"] == name], trials[trials["architecture"] == name]
        row: list[str | Rounded] = [label(name), seeds_in_words(mine)]
        for split, metric, digits, factor in columns:
            chosen = own[(own["split"] == split) & (own["metric"] == metric)]["value"]
            interval = None
            if intervals is not None and split == "test":
                interval = intervals.query("architecture == @name and split == @split and metric == @metric")
            row.append(over_seeds(chosen, interval, digits, factor))
        parameters, seconds = float(mine["parameters"].max()), float(mine["train_seconds"].mean())
        rows.append([*row, number(parameters, 0), number(seconds, 1)])
    heads = [
        f"{label(split)} {in_a_sentence(name)}{' (%)' if factor > 1 else ''}" for split, name, _, factor in columns
    ]
    return Grid(["Architecture", "Seeds", *heads, "Parameters", "Training (s)"], rows)


def of_a_rare_class(frames: Frames) -> bool:
    """Tell whether the test reviews are such that accuracy alone misleads; where nothing is known of them, no."""
    predictions = frames.get("predictions", pd.DataFrame({"split": [], "label": []}))
    test = predictions.loc[predictions["split"] == "test", "label"]
    return len(test) > 0 and imbalanced(test)


def in_a_sentence(name: str) -> str:
    """Say a name as it stands behind another word: `Log-loss` is `log-loss`, and `F1` stays."""
    words = label(name)
    return words if words[:2].isupper() or words[1:2].isdigit() else words[:1].lower() + words[1:]


def best_in_words(frames: Mapping[str, pd.DataFrame]) -> str:
    """Say which architecture is best by validation, and by how much; what that is worth is the verdict's to say."""
    ranking = rank_by_validation(frames["scores"], frames["trials"])
    if ranking.empty:
        return "No architecture has a validation score, so none can be called the best."
    first = ranking.iloc[0]
    words = f"Best by validation: {label(first['architecture'])}, mean accuracy {100 * first['mean']:.2f}%"
    if len(ranking) == 1:
        return f"{words}; nothing was there to compare it with."
    second = ranking.iloc[1]
    margin = 100 * (first["mean"] - second["mean"])
    return (
        f"{words}, {margin:.2f} points above the next, {label(second['architecture'])} ({100 * second['mean']:.2f}%)."
    )


def class_table(predictions: pd.DataFrame, classes: Sequence[str] = tuple(CLASSES.values())) -> Grid:
    """Tabulate precision, recall and F1 of each class on the test reviews, the mean over the seeds.

    Args:
        predictions: Of every trial.
        classes: What 0 and 1 are called.
    """
    called = dict(zip(CLASSES.values(), classes, strict=True))
    reports = classification_reports(predictions[predictions["split"] == "test"])
    means = reports.groupby(["architecture", "class"], sort=False)[["precision", "recall", "f1", "support"]].mean()
    rows: list[list[str | Rounded]] = [
        [
            label(name),
            called[str(kind)],
            *(number(100 * float(row[m])) for m in ("precision", "recall", "f1")),
            number(row["support"], 0),
        ]
        for name in in_order(reports["architecture"])
        for kind, row in means.loc[name].iterrows()
    ]
    return Grid(["Architecture", "Class", "Precision (%)", "Recall (%)", "F1 (%)", "Reviews"], rows)


def gap_table(history: pd.DataFrame, trials: pd.DataFrame) -> Grid:
    """Tabulate training against validation at the epoch kept, the mean over the seeds."""
    gaps = generalisation_gaps(history, trials)
    rows: list[list[str | Rounded]] = []
    for name in in_order(gaps["architecture"]):
        own = gaps[gaps["architecture"] == name]
        means = [number(float(own[f"{split}_accuracy"].mean()), 2, 100) for split in ("train", "validation")]
        gap = number(100 * float(own["accuracy_gap"].mean()))
        if gap.value is not None:
            gap = replace(gap, words=f"{round(gap.value, 2) + 0.0:+.2f}")  # + 0.0: no "-0.00"
        kept = ", ".join(f"{epoch:.0f}" for epoch in own["best_epoch"])
        rows.append([label(name), *means, gap, Rounded(kept, kept, float(own["best_epoch"].mean()))])
    return Grid(
        ["Architecture", "Training accuracy (%)", "Validation accuracy (%)", "Gap (points)", "Epochs kept"], rows
    )


def plain_table(frame: pd.DataFrame) -> Grid:
    """Show a frame as it is: heads and architectures in words, numbers rounded."""
    names = {"architecture", "first", "second", "metric"}

    def cell(column: str, value: object) -> str | Rounded:
        if isinstance(value, str):
            return label(value) if column in names else value
        if isinstance(value, Integral) and not isinstance(value, bool):
            return Rounded(str(value), str(value), int(value))
        return value if isinstance(value, Rounded) else number(value, 4) if isinstance(value, float) else str(value)

    rows = [
        [cell(c, value) for c, value in zip(frame.columns, row, strict=True)] for row in frame.itertuples(index=False)
    ]
    return Grid([label(str(name)) for name in frame.columns], rows)


def further_tables(frames: Frames, classes: Sequence[str] = tuple(CLASSES.values())) -> dict[str, pd.DataFrame]:
    """Prepare what the report shows beside its summary, by title; scores in percent, their differences in points.

    Args:
        frames: By name, as the evaluation gives them.
        classes: What 0 and 1 are called.
    """
    found = {"What does each cost?": cost_table(frames["trials"])}
    if "learning_curve" in frames:
        found["More data, or another architecture? Test accuracy (%)"] = learning_curve_table(frames["learning_curve"])
    kinds = frames["slices"].query("architecture != 'majority'")
    kinds = kinds.assign(slice=kinds["slice"] + " (" + kinds["reviews"].astype(str) + ")")
    return found | {
        "Pair by pair: difference in test accuracy (points)": pair_table(frames["pairs"], "accuracy"),
        "The same pairs in F1 and AUC (points) and log-loss (nats)": other_metrics(frames["pairs"]),
        "Does any differ from the others at all?": frames["omnibus"].assign(p=frames["omnibus"]["p"].map(p_value)),
        "Where does the noise come from? Standard deviation of one run's test accuracy (points)": noise_table(
            frames["summary"]
        ),
        "Do the probabilities mean what they say? Temperature and threshold from validation": calibration_table(
            frames["calibration"]
        ),
        "Accuracy by kind of review (reviews), seeds averaged (%) [95% interval]": wide(
            kinds.assign(value=with_intervals(kinds, "accuracy", "low", "high")),
            rows="slice",
        ),
        "Answered differently (% of test reviews)": percent(
            frames["disagreement"].set_index("architecture")
        ).reset_index(),
        f"Wrong in every trial, the surest first (first {EXCERPT} characters)": mistake_table(
            frames["mistakes"], classes
        ),
    }


def with_interval(value: float, low: float, high: float, *, factor: float = 100) -> Rounded:
    """Write a value and its interval, in percent or points."""
    digits = 2 if factor == 100 else 4
    if not math.isfinite(value):
        return number(value)
    return joined("{} [{}, {}]", *(number(each, digits, factor) for each in (value, low, high)))


def with_intervals(frame: pd.DataFrame, *columns: str) -> pd.Series:
    """Write the three columns value, low and high of each row, in percent or points."""
    return pd.Series([with_interval(*row) for row in frame[list(columns)].to_numpy()], frame.index, dtype=object)


def wide(frame: pd.DataFrame, *, rows: str) -> pd.DataFrame:
    """Lay a long frame (architecture, `rows`, value) out with a column for each architecture."""
    table = frame.pivot_table(index=rows, columns="architecture", values="value", sort=False, aggfunc="first")
    return table[in_order(frame["architecture"])].reset_index().rename_axis(columns=None)


def cost_table(trials: pd.DataFrame) -> pd.DataFrame:
    """Tabulate what each architecture costs, the mean over its seeds; arithmetic in 10^12 operations."""
    means = trials.groupby("architecture", sort=False).mean(numeric_only=True)
    columns = {
        "Parameters": means["parameters"].map(lambda value: number(value, 0)),
        "Training (s)": means["train_seconds"].map(lambda value: number(value, 1)),
        "To the epoch kept (s)": means["best_seconds"].map(lambda value: number(value, 1)),
        "Training arithmetic (TFLOP)": means["train_flops"].map(lambda value: number(value, 2, 1e-12)),
        "One review (ms)": means["latency_ms"].map(lambda value: number(value, 2)),
        "In a batch (ms a review)": means["batch_ms"].map(lambda value: number(value, 3)),
        "Peak memory (MB)": means["peak_memory_mb"].map(lambda value: number(value, 0)),
    }
    return pd.DataFrame(columns).loc[in_order(means.index)].reset_index()


def learning_curve_table(curve: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the score after each fraction of the training reviews, and what the last step brought (points)."""
    points = curve.assign(value=with_intervals(curve, "mean", "low", "high"))
    points = points.sort_values("train_reviews", kind="stable")
    table = points.pivot_table(
        index="architecture", columns="train_reviews", values="value", sort=False, aggfunc="first"
    )
    table.columns = pd.Index([f"{reviews:,} reviews" for reviews in table.columns])
    gains = with_intervals(curve.groupby("architecture").last(), "gain", "gain_low", "gain_high")
    return table.assign(**{"Gain of the last step (points)": gains}).loc[in_order(table.index)].reset_index()


def pair_table(pairs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Tabulate how each pair differs in one metric, with its tests; pairs with the majority class are left out."""
    shown = pairs[(pairs["metric"] == metric) & (pairs[["first", "second"]] != "majority").all(axis=1)]
    chances = with_intervals(shown, "probability_first_better", "probability_low", "probability_high")
    columns = {
        "first": shown["first"],
        "second": shown["second"],
        "Difference [95% interval]": with_intervals(shown, "difference", "low", "high"),
        "p (Holm)": shown["p_holm"].map(p_value),
        "p, exact sign flip": shown["p_sign_flip"].map(p_value),
        "smallest it can be": shown["smallest_p"].map(p_value),
        "p, McNemar": shown["mcnemar_p"].map(p_value),
        "P(first better) (%)": chances,
        "Cliff's delta": shown["cliffs_delta"].map(lambda value: number(value, 2)),
        "d_z": shown["d_z"].map(lambda value: number(value, 2)),
        "Shared seeds": shown["seeds"],
        "Verdict": shown["verdict"],
    }
    return pd.DataFrame(columns)


def p_value(p: float) -> Rounded:
    """Write a p-value, a small one as such."""
    written = number(p, 4)
    return replace(written, words="< 0.0001") if p < 0.0001 else written


def other_metrics(pairs: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the differences of each pair in the metrics beside the main one."""
    shown = pairs[(pairs["metric"] != "accuracy") & (pairs[["first", "second"]] != "majority").all(axis=1)]
    factors = shown["metric"].map(lambda name: 1 if name == "log_loss" else 100)
    rows = zip(*(shown[name] for name in ("difference", "low", "high")), factors, strict=True)
    words = [with_interval(*row, factor=factor) for *row, factor in rows]
    said = [joined("{}: {}", word, verdict) for word, verdict in zip(words, shown["verdict"], strict=True)]
    table = shown.assign(value=pd.Series(said, shown.index, dtype=object)).pivot_table(
        index=["first", "second"], columns="metric", values="value", sort=False, aggfunc="first"
    )
    return table.reset_index().rename_axis(columns=None)


def noise_table(summary: pd.DataFrame) -> pd.DataFrame:
    """Tabulate how much of a score's noise comes from the seed, and how much from the test reviews."""
    rows = summary.query("split == 'test' and metric == 'accuracy'").set_index("architecture")
    columns = {
        "From the seed": rows["seed_variance"].map(lambda value: number(value**0.5, 2, 100)),
        "From the test reviews": rows["item_variance"].map(lambda value: number(value**0.5, 2, 100)),
        "Note": rows["note"],
    }
    return pd.DataFrame(columns).loc[in_order(rows.index)].reset_index()


def calibration_table(calibration: pd.DataFrame) -> pd.DataFrame:
    """Tabulate calibration before and after its mending, the mean over seeds; a pair of numbers is "before → after"."""
    means = calibration.groupby("architecture", sort=False).mean(numeric_only=True)

    def change(name: str, after: str, digits: int, factor: float = 1) -> list[Rounded]:
        return [
            joined("{} → {}", number(a, digits, factor), number(b, digits, factor))
            for a, b in zip(means[name], means[after], strict=True)
        ]

    columns = {
        "Temperature": means["temperature"].map(lambda value: number(value, 2)),
        "Log-loss": change("log_loss", "log_loss_scaled", 4),
        "Brier score": change("brier", "brier_scaled", 4),
        "Calibration error (points)": change("ece", "ece_scaled", 2, 100),
        "Threshold": means["threshold"].map(lambda value: number(value, 3)),
        "Accuracy (%)": change("accuracy", "accuracy_threshold", 2, 100),
    }
    return pd.DataFrame(columns, index=means.index).loc[in_order(means.index)].reset_index()


def mistake_table(mistakes: pd.DataFrame, classes: Sequence[str] = tuple(CLASSES.values())) -> pd.DataFrame:
    """Tabulate the reviews that every trial has wrong, with their beginnings; `classes` is what 0 and 1 are called."""
    begins = mistakes["text"].str.slice(0, EXCERPT).map(lambda text: textwrap.fill(text, LINE))
    truly = mistakes["label"].map(dict(enumerate(classes)))
    said = mistakes["probability"].map(lambda value: number(float(value), 1, 100))
    return pd.DataFrame({"Truly": truly, f"Said to be {classes[1]} (%)": said, "Review": begins})


def percent(shares: pd.DataFrame) -> pd.DataFrame:
    """Write shares as percentages with two decimals, and what is not known in words."""
    return shares.map(lambda share: number(float(share), 2, 100))

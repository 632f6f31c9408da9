"""Format nightly results as sentences and tables."""

from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from tasks.config.labels import in_display_order, label, label_in_sentence
from tasks.evaluation.metric_record import PERCENT, Metric, Unit
from tasks.evaluation.metrics import METRICS
from tasks.nightly.alarm_detection import ALL_ARCHITECTURES, DRIFT, WINDOW
from tasks.nightly.detectability import examined_drop
from tasks.nightly.loss_comparison import MIN_EARLIER_VALUES
from tasks.nightly.losses import CPU_TIME, RELATIVE_TIME, TIMES
from tasks.nightly.repeated_looks import level_of_look
from tasks.nightly.time_alarms import MIN_EARLIER_RUNS, SPAN
from tasks.reporting.formatting import FormattedNumber, combine, format_number
from tasks.reporting.verdict_format import format_size, join_labels, pluralize
from tasks.statistics.main_metric import main_metric
from tasks.statistics.significance import FIRST_BETTER, SECOND_BETTER

MAX_PAIRS = 5  # in a sentence
FALSE_ALARMS = "In simulations, at most 10 of 1,000 nightly runs without a change raise an alarm."


def format_alarm(alarm: Mapping[Any, Any]) -> str:
    """Format one row of the table `alarms` as a sentence."""
    everyone = alarm["architecture"] == ALL_ARCHITECTURES
    name = "All architectures" if everyone else label(alarm["architecture"])
    subject, comparative, amount = _describe_deterioration(alarm["metric"], alarm["deterioration"])
    values = f"{pluralize(alarm['new_values'], 'new value')}, {pluralize(alarm['earlier_values'], 'earlier value')}"
    if alarm["detector"] == DRIFT:
        return f"{name}: {subject} {comparative} than in earlier nightly runs by {amount} (slow drift, CUSUM)."
    if alarm["metric"] in TIMES:
        return (
            f"{name}: {subject} {comparative} by {amount}. Each of the {alarm['detector']} was slower than all "
            f"{alarm['earlier_values']} nightly runs before."
        )
    if not np.isfinite(alarm["p"]):  # a baseline
        return f"{name}: {subject} {comparative} than in the previous nightly run by {amount}."
    p = "< 0.0001" if alarm["p"] < 0.0001 else format(alarm["p"], ".4f")
    return (
        f"{name}: {subject} significantly {comparative} than in the previous nightly runs (at most {WINDOW}) "
        f"by {amount} ({alarm['detector']}: {values}, p after Holm {p})."
    )


def _describe_deterioration(metric: str, deterioration: float) -> tuple[str, str, str]:
    """Return subject with verb, comparative and amount of a deterioration."""
    if metric == CPU_TIME:
        return "CPU time of the training is", "longer", f"{100 * np.expm1(deterioration):.0f}%"
    if metric == RELATIVE_TIME:
        return "training time relative to the matrix product is", "longer", f"{100 * np.expm1(deterioration):.0f}%"
    comparative = "lower" if METRICS[metric].greater_is_better else "higher"
    return f"{label_in_sentence(metric)} is", comparative, format_size(deterioration, metric)


def format_alarms(alarms: pd.DataFrame, night: date) -> list[str]:
    """Format the alarms of one nightly run, and what changed since the run before.

    Returns:
        Sentences; none if the run raised no alarm.
    """
    raised = alarms[alarms["night"] == night]
    if raised.empty:
        return []
    changed = raised["changed"].iloc[0] or "nothing that is recorded"
    sentences = [format_alarm(alarm) for alarm in raised.to_dict("records")]
    return [*sentences, *format_changes([changed])]


def format_changes(changes: list[str]) -> list[str]:
    """Format what changed since the previous nightly run, such as the hardware; nothing if nothing did."""
    return [f"Changed since the previous nightly run: {'; '.join(changes)}."] if changes else []


def format_nightly_summary(frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """Format the number of nightly runs and seeds, and the alarms of the last one.

    Returns:
        Sentences: alarms, what was tested and what could not be tested, how certain that is, and what repeated
        comparisons mean for the significance; none if there are fewer than two nightly runs.
    """
    nights = frames.get("nights")
    if nights is None or nights["night"].nunique() < 2:
        return []
    last = nights[nights["night"] == nights["night"].max()]
    seeds = last["seeds"]
    fewest = "" if seeds.min() == seeds.max() else f"{seeds.min()} to "
    number = nights["night"].nunique()
    summary = f"After {number} nightly runs: {fewest}{pluralize(int(seeds.max()), 'seed')}."
    alarms = format_alarms(frames["alarms"], last["night"].iloc[0])
    check = format_check(frames, main_metric(frames.get("setup")))
    return [summary, *alarms, *check, *format_repeated_looks(frames, number)]


def format_check(frames: Mapping[str, pd.DataFrame], metric: Metric) -> list[str]:
    """Format what the check of the last nightly run tested, what it could not test, and how certain it is.

    Args:
        frames: The tables nights and alarms.
        metric: Main metric.

    Returns:
        Sentences; none if there are fewer than two nightly runs.
    """
    nights = frames["nights"]
    if nights["night"].nunique() < 2:
        return []
    last = nights[nights["night"] == nights["night"].max()]
    alarm = bool((frames["alarms"]["night"] == last["night"].iloc[0]).any())
    return [*format_tested(last, alarm=alarm), *format_detectable(last, metric)]


def format_tested(last: pd.DataFrame, *, alarm: bool) -> list[str]:
    """Format which networks were compared with earlier nightly runs, and why others were not.

    Args:
        last: Rows of the table `nights` of the last nightly run.
        alarm: Whether it raised an alarm.
    """
    tested, timed = last[last["tested"] == 1], last[last["time_tested"] == 1]
    if tested.empty and timed.empty:
        sentences = ["The scores of the last nightly run could not be tested, and neither could its training times."]
    else:
        result = "" if alarm else "No deterioration was detected. "
        found = "; ".join([*_name_tested("scores", tested), *_name_tested_times(timed)])
        sentences = [f"{result}Tested against earlier nightly runs: {found}.", FALSE_ALARMS]
    scores = [_format_untested(row) for row in last[last["tested"] != 1].to_dict("records")]
    times = [_format_untimed(row) for row in last[last["time_tested"] != 1].to_dict("records")]
    untested = {"Scores": scores, "Training times": times}
    return [*sentences, *(f"{what} not tested: {'; '.join(names)}." for what, names in untested.items() if names)]


def _name_tested(what: str, rows: pd.DataFrame) -> list[str]:
    return [f"{what} of {join_labels(rows['architecture'].tolist())}"] if len(rows) else []


def _name_tested_times(timed: pd.DataFrame) -> list[str]:
    by_cpu_time = timed["cpu_time_tested"] == 1
    return [
        *_name_tested("CPU time of the training", timed[by_cpu_time]),
        *_name_tested("training time relative to a matrix product", timed[~by_cpu_time]),
    ]


def _format_untimed(row: Mapping[Any, Any]) -> str:
    if not row["new_trials"] or not np.isfinite([row[name] for name in TIMES]).any():
        return f"{label(row['architecture'])} (no new time)"
    return (
        f"{label(row['architecture'])} (fewer than {MIN_EARLIER_RUNS + SPAN} nightly runs with times since the first "
        "run or the last alarm about times)"
    )


def _format_untested(row: Mapping[Any, Any]) -> str:
    if not row["new_trials"] or not np.isfinite(row["new_mean"]):
        return f"{label(row['architecture'])} (no new score)"
    earlier = 0 if np.isnan(row["earlier_values"]) else int(row["earlier_values"])
    return (
        f"{label(row['architecture'])} ({pluralize(earlier, 'earlier value')} since the first run or the last alarm, "
        f"at least {MIN_EARLIER_VALUES} are needed)"
    )


def format_detectable(last: pd.DataFrame, metric: Metric) -> list[str]:
    """Format how likely a drop is detected, for each architecture from the spread of its own seeds."""
    known = last[np.isfinite(last["detection_rate"])]
    if known.empty:
        return []
    rates = [
        f"{label(row['architecture'])} {100 * row['detection_rate']:.0f}% (seeds spread by "
        f"{format_size(row['spread'], metric.name)}{_format_outliers(row)})"
        for row in known.to_dict("records")
    ]
    sentence = (
        f"Estimated probability that {'a drop' if metric.greater_is_better else 'an increase'} of "
        f"{format_size(examined_drop(metric.name), metric.name)} in the {metric.text} of one architecture is detected "
        f"within three nightly runs with one new seed each: {', '.join(rates)}."
    )
    overall = known["detection_rate_all"].iloc[0]
    if not np.isfinite(overall):
        return [sentence]
    return [sentence, f"The same in all of these architectures, in the same nightly run: {100 * overall:.0f}%."]


def _format_outliers(row: Mapping[Any, Any]) -> str:
    return f", {pluralize(int(row['outliers']), 'outlier')} left out" if row["outliers"] else ""


def format_repeated_looks(frames: Mapping[str, pd.DataFrame], looks: int) -> list[str]:
    """Format which significant differences hold although the comparison was repeated after each nightly run."""
    level = level_of_look(looks)
    sentence = "Confidence intervals and p-values of the comparison hold for one look at the results."
    if "pairs" not in frames or frames["pairs"].empty:
        return [sentence]
    pairs = frames["pairs"]
    metric = str(frames["setup"]["metric"].iloc[0])
    claimed = pairs[(pairs["metric"] == metric) & pairs["verdict"].isin((FIRST_BETTER, SECOND_BETTER))]
    if claimed.empty:
        return [sentence]
    single = claimed[claimed["p_holm"] > level]
    held = (
        f"Over all nightly looks at {label_in_sentence(metric)} together (at most 5% false claims; p after Holm up to "
        f"{level:.2g} at look {looks}), {len(claimed) - len(single)} of {len(claimed)} significant differences hold"
    )
    names = [join_labels([row["first"], row["second"]]) for row in single.to_dict("records")]
    shown = "; ".join([*names[:MAX_PAIRS], *(["…"] if len(names) > MAX_PAIRS else [])])
    return [sentence, f"{held}. Significant at one look only: {shown}." if names else f"{held}."]


def nightly_table(frames: Mapping[str, pd.DataFrame], unit: Unit = PERCENT) -> pd.DataFrame:
    """Return the trend as text, the newest nightly run first.

    Args:
        frames: The tables nights and alarms.
        unit: Unit of the scores.

    Returns:
        Columns Date, Seeds, one per architecture (test score and half the width of its 95% interval), and
        Alarms (with the number of trials without a score).
    """
    nights, alarms = frames["nights"], frames["alarms"]
    rows = []
    for night, group in nights.groupby("night", sort=False):
        row: dict[str, object] = {"Date": str(night), "Seeds": int(group["seeds"].max())}
        row |= {label(each["architecture"]): _with_half_width(each, unit) for each in group.to_dict("records")}
        sentences = [format_alarm(alarm) for alarm in alarms[alarms["night"] == night].to_dict("records")]
        missing = [f"{group['missing'].sum()} trials without a score."] if group["missing"].sum() else []
        rows.append(row | {"Alarms": " ".join([*missing, *sentences])})
    columns = ["Date", "Seeds", *map(label, in_display_order(nights["architecture"])), "Alarms"]
    return pd.DataFrame(rows, columns=columns).fillna("").iloc[::-1].reset_index(drop=True)


def _with_half_width(row: Mapping[Any, Any], unit: Unit) -> str | FormattedNumber:
    half_width = (row["high"] - row["low"]) / 2
    shown = partial(format_number, digits=unit.digits, factor=unit.factor)
    mean = shown(row["mean"]) if np.isfinite(row["mean"]) else "–"
    return combine("{} ± {}", mean, shown(half_width)) if np.isfinite(half_width) else mean

"""The live display: which numbers it shows, what fits, and what happens to messages."""

import io
import logging
import os
import sys
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from flows.cli.live_display import ProgressHandler, live_display
from flows.cli.progress import RunProgress, describe_progress, format_duration
from tasks.execution.progress import (
    EVENT_LOGGER,
    EpochFinished,
    Event,
    TrialFinished,
    TrialsPlanned,
    TrialStarted,
    report_event,
)
from tests.helpers.terminal import Session, read_screen, run_in_terminal

SIMULATION = [sys.executable, "-m", "tests.helpers.programs.simulated_progress"]


def progress_after(events: Sequence[tuple[float, Event]]) -> RunProgress:
    """Return the progress after events at seconds since the start."""
    progress = RunProgress(0)
    for now, event in events:
        progress.update(event, now)
    return progress


def rendered(progress: RunProgress, width: int, height: int = 24) -> list[str]:
    """Return the lines of a display."""
    file = io.StringIO()
    console = Console(file=file, width=width, height=height, force_terminal=True, color_system=None, markup=False)
    console.print(progress)
    return file.getvalue().splitlines()


def test_counts_and_remaining_time_follow_the_trials() -> None:
    progress = progress_after([(10, TrialsPlanned(10, 2)), (10, TrialFinished("a", "cached"))])
    assert progress.counts() == (2, 10, 2, 0)
    assert progress.remaining_minutes() is None
    for now, label, outcome in [(70, "c", "trained"), (100, "d", "failed"), (130, "e", "diverged")]:
        progress.update(TrialFinished(label, outcome), now)
    assert progress.counts() == (5, 10, 2, 1)
    assert progress.remaining_minutes() == pytest.approx(5 * 40 / 60)  # three in 120 s, five are left
    assert "at most 3 min left" in describe_progress(progress, 131)


def test_baselines_which_are_short_do_not_shorten_the_remaining_time() -> None:
    baselines = [(0, TrialStarted("nb_svm", 0)), (2, TrialsPlanned(4, 0)), (5, TrialFinished("nb_svm", "trained"))]
    progress = progress_after([*baselines, (5, TrialStarted("lstm", 2))])
    assert progress.counts() == (1, 4, 0, 0)
    assert progress.remaining_minutes() is None
    progress.update(TrialFinished("lstm", "trained"), 62)
    assert progress.remaining_minutes() == pytest.approx(2)  # one network in a minute, two trials are left


def test_plan_after_a_search_does_not_restart_the_clock() -> None:
    search = [(0, TrialsPlanned(6, 0)), (60, TrialFinished("a", "trained")), (120, TrialFinished("b", "trained"))]
    progress = progress_after([*search, (120, TrialsPlanned(7, 1))])
    assert progress.counts() == (3, 7, 1, 0)
    assert progress.remaining_minutes() == pytest.approx(4)  # two networks in two minutes, four are left


def test_a_trial_that_starts_again_is_one_row() -> None:
    again = [(0, TrialsPlanned(1, 0)), (1, TrialStarted("a", 5)), (2, EpochFinished("a", 1, 5, 0.7, 0.7, 0.5))]
    progress = progress_after([*again, (9, TrialStarted("a", 5))])
    assert list(progress.running) == ["a"]
    assert progress.running["a"].epoch == 0
    assert progress.running["a"].started == 9


@given(
    st.lists(
        st.one_of(
            st.builds(TrialsPlanned, st.integers(0, 5), st.integers(0, 5)),
            st.builds(TrialStarted, st.text(max_size=30), st.integers(0, 5)),
            st.builds(
                EpochFinished, st.text(max_size=30), st.integers(1, 5), st.integers(1, 5), st.floats(), st.floats(),
                st.floats(),
            ),
            st.builds(TrialFinished, st.text(max_size=30), st.sampled_from(["trained", "cached", "failed"])),
        ),
        max_size=12,
    ),
    st.integers(20, 200),
)  # fmt: skip
def test_any_order_of_events_and_any_label_fits_the_terminal(events: list[Event], width: int) -> None:
    progress = progress_after([(second, event) for second, event in enumerate(events)])
    lines = rendered(progress, width)
    assert lines
    assert all("\x1b" not in line and "\x07" not in line for line in lines)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_each_running_trial_has_one_line_with_its_scores(width: int) -> None:
    label = "bidirectional_lstm-seed-12-fraction-0.25"
    started = [(0, TrialsPlanned(9, 0)), (1, TrialStarted(label, 30)), (2, TrialStarted("nb_svm-seed-0", 0))]
    lines = rendered(progress_after([*started, (3, EpochFinished(label, 4, 30, 0.512, 0.6, 0.734))]), width)
    (network,) = (line for line in lines if line.startswith("bidirectional"))
    assert "4/30" in network
    assert "0.734" in network
    assert ("0.512" in network) == (width > 40)
    assert all(len(line) <= width for line in lines)


def test_markup_in_a_label_is_shown_literally() -> None:
    lines = rendered(progress_after([(0, TrialStarted("[red]x\x1b[2J", 3))]), 80)
    assert any(line.startswith("[red]x\\x1b[2J") for line in lines)


def test_only_as_many_trials_as_fit_are_shown() -> None:
    progress = progress_after([(0, TrialsPlanned(500, 0)), *((1, TrialStarted(f"t-{i}", 3)) for i in range(300))])
    lines = rendered(progress, 80, height=12)
    assert len(lines) <= 12
    assert sum(line.startswith("t-") for line in lines) == 8
    assert "and 292 more" in lines[-2]


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (125.9, "2:05"), (3725, "1:02:05")])
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_events_reach_other_handlers_only_if_their_level_asks_for_them() -> None:
    seen: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = seen.append
    parent = logging.getLogger("tasks")
    logger = logging.getLogger(EVENT_LOGGER)
    record = logger.makeRecord(EVENT_LOGGER, logging.INFO, "", 0, "x", (), None, extra={"event": TrialStarted("a", 1)})
    progress = RunProgress(time.monotonic())
    parent.addHandler(handler)
    try:
        for level, count in [(logging.WARNING, 0), (logging.INFO, 1)]:
            parent.setLevel(level)
            ProgressHandler(progress).emit(record)
            assert len(seen) == count
    finally:
        parent.removeHandler(handler)
        parent.setLevel(logging.NOTSET)
    assert "a" in progress.running


def test_without_a_terminal_nothing_changes(capfd: pytest.CaptureFixture[str]) -> None:
    with live_display(enabled=True):
        report_event(TrialStarted("a", 1))
        os.write(2, b"direct\n")
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "direct\n")


def simulate(*arguments: str, **options: object) -> Session:
    return run_in_terminal([*SIMULATION, *arguments], **options)


def test_messages_of_all_sources_stay_above_the_display() -> None:
    session = simulate("finish")
    screen = [line for line in read_screen(session.output) if line]
    assert session.code == 0
    assert sorted(screen[:-1]) == ["a warning of a logger", "a\\x07b of a child", "printed on stderr"]
    assert screen[-1] == "summary"
    assert "lstm-seed-0" in session.output
    assert session.output.rindex("\x1b[?25h") > session.output.rindex("\x1b[?25l")  # the cursor is visible again


@pytest.mark.parametrize(("environment", "options"), [({"TERM": "dumb"}, []), ({}, ["--no-progress"])])
def test_a_dumb_terminal_or_an_option_turns_the_display_off(environment: dict[str, str], options: list[str]) -> None:
    session = simulate("finish", *options, environment=environment)
    assert session.code == 0
    assert "lstm-seed-0" not in session.output
    assert "\x1b[?25l" not in session.output


def test_no_color_is_respected() -> None:
    colored, plain = (simulate("finish", environment=each).output for each in ({"NO_COLOR": ""}, {"NO_COLOR": "1"}))
    assert "\x1b[90m" in colored or "\x1b[38;" in colored
    assert "\x1b[90m" not in plain
    assert "\x1b[38;" not in plain


def test_ctrl_c_restores_the_terminal() -> None:
    session = simulate("wait", interrupt=lambda output: "lstm-seed-0" in output)
    assert session.code == 130
    assert session.output.rindex("\x1b[?25h") > session.output.rindex("\x1b[?25l")
    assert [line for line in read_screen(session.output) if line] == ["interrupted"]

"""Output of real processes: other encodings than UTF-8, readers that end early, closed streams, full disks."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, TINY

TEXT = "a lovely film 😍"
COMMAND = f"{shlex.quote(sys.executable)} -m flows.cli"
# One command line for each subcommand that prints results.
SUBCOMMANDS = {
    "predict": f"predict --architecture nb_svm {shlex.quote(TEXT)}",
    "history": "history",
    "diff": "diff first first",
    "plan": "plan --seeds 2",
    "help": "run --help",
    "clean": "clean --no-prefect",
}


@pytest.fixture(scope="module")
def finished(past: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the results of two seeds."""
    return Path(shutil.copytree(past, tmp_path_factory.mktemp("copy") / "results", symlinks=True))


def shell(line: str, results: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Execute a line of bash, in which `imdb-compare` is the command; the exit code is that of the first program."""
    option = "" if "--help" in line else f" --results {shlex.quote(str(results))}"
    subcommand, _, redirection = line.partition(" // ")
    script = f"{COMMAND} {subcommand}{option} {redirection}\nexit ${{PIPESTATUS[0]}}"
    return subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=os.environ | environment, capture_output=True, text=True,
        errors="replace", timeout=240, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("encoding", [pytest.param("cp1252", marks=pytest.mark.slow), "ascii"])
@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
def test_characters_that_a_terminal_does_not_have_are_replaced(subcommand: str, encoding: str, finished: Path) -> None:
    done = shell(SUBCOMMANDS[subcommand], finished, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert encoding != "ascii" or done.stdout.isascii()
    assert subcommand != "predict" or "a lovely film ?\n" in done.stdout


def test_the_posix_locale_shows_emoji(finished: Path) -> None:
    done = shell(SUBCOMMANDS["predict"], finished, LC_ALL="C", PYTHONIOENCODING="")
    assert (done.returncode, TEXT in done.stdout) == (0, True)


@pytest.mark.parametrize("encoding", ["cp1252", pytest.param("ascii", marks=pytest.mark.slow)])
def test_json_is_complete_in_every_encoding(encoding: str, finished: Path) -> None:
    done = shell(f"{SUBCOMMANDS['predict']} --json", finished, PYTHONIOENCODING=encoding)
    assert json.loads(done.stdout)["text"] == TEXT


def test_an_error_message_has_a_readable_form_in_ascii(finished: Path) -> None:
    done = shell("predict --seed 99 --architecture 'größe…' x", finished, PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert "'gr??e...'" in done.stderr


@pytest.mark.parametrize(
    ("subcommand", "reader"),
    [
        pytest.param(subcommand, reader, marks=() if reader == "head -1" or subcommand == "help" else pytest.mark.slow)
        for reader in ("head -1", "head -0", "true")
        for subcommand in SUBCOMMANDS
    ],
)
def test_a_reader_that_ends_early_is_no_failure(subcommand: str, reader: str, finished: Path) -> None:
    done = shell(f"{SUBCOMMANDS[subcommand]} // | {reader}", finished)
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr
    assert len(done.stdout.splitlines()) == (1 if reader == "head -1" else 0)


SPEAKING = ("<&- >&- 2>&-", ">/dev/full")  # also tried with a command that is not over at once
REDIRECTIONS = {
    ">&-": 0, "2>&-": 0, "<&- >&- 2>&-": 0, "2>/dev/full": 0, ">/dev/full": 1, ">/dev/full 2>&1": 1
}  # fmt: skip


@pytest.mark.parametrize(
    ("subcommand", "redirection", "code"),
    [
        *(("help", redirection, code) for redirection, code in REDIRECTIONS.items()),
        *(
            pytest.param("predict", redirection, code, marks=() if redirection in SPEAKING else pytest.mark.slow)
            for redirection, code in REDIRECTIONS.items()
        ),
    ],
)
def test_closed_streams_and_full_disks_have_no_traceback(
    subcommand: str, redirection: str, code: int, finished: Path
) -> None:
    done = shell(f"{SUBCOMMANDS[subcommand]} // {redirection}", finished)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert ("could not be written: No space left" in done.stderr) == (redirection == ">/dev/full")


def test_messages_for_a_closed_stderr_are_not_sent_to_stdout(finished: Path) -> None:
    done = shell(f"{SUBCOMMANDS['predict']} --json // 2>&-", finished)
    assert json.loads(done.stdout)["text"] == TEXT


@pytest.mark.slow
@pytest.mark.parametrize("redirection", ["2>&1 | head -1", "> /dev/full 2> /dev/full", "<&- >&- 2>&-"])
def test_a_run_whose_output_nobody_reads_writes_its_report(
    redirection: str, finished: Path, api: str, tiny: Path
) -> None:
    name = f"unread-{len(redirection)}"
    given = TINY | {"--data": str(tiny), "--seeds": "2", "--run-name": name}
    words = shlex.join(word for option in given.items() for word in option)
    done = shell(f"run {words} // {redirection}", finished, PREFECT_API_URL=api)
    assert done.returncode == ("full" in redirection)
    assert "Traceback" not in done.stderr
    assert (finished / "runs" / name / "report.html").exists()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the program in a folder whose name has a space, which says so in its help."""
    copy = tmp_path_factory.mktemp("a copy") / "imdb compare"
    for part in ("flows", "tasks"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    options = copy / "flows" / "cli" / "options.py"
    options.write_text(options.read_text().replace('"""Compare architectures:', '"""The copy:'))
    return copy


@pytest.mark.parametrize("folder", [".", "flows", "/"])
def test_the_flow_is_a_script_that_needs_no_installation(elsewhere: Path, folder: str) -> None:
    script = os.path.relpath(elsewhere / "flows" / "imdb_compare.py", elsewhere / folder)
    found = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, script, "--help"],
        cwd=elsewhere / folder,
        env=found,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "The copy:" in done.stdout


@pytest.mark.slow
def test_a_script_in_a_folder_with_a_space_runs_a_comparison(elsewhere: Path, tiny: Path, tmp_path: Path) -> None:
    given = TINY | {"--data": str(tiny), "--results": str(tmp_path / "my results")}
    words = [word for option in given.items() for word in option]
    found = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PREFECT_API_URL")}
    done = subprocess.run(
        [sys.executable, elsewhere / "flows" / "imdb_compare.py", *words], cwd=tmp_path,
        env=found | {"PREFECT_HOME": str(tmp_path / "home")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "my results" / "latest" / "report.html").exists()

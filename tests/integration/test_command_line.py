"""What the command does before it does anything: help, and mistakes in its options."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli.arguments import in_full
from flows.cli.run import check_results, main
from tasks.config.errors import UserError
from tasks.storage.store import NotWrittenError
from tests.conftest import ROOT, command

HEAVY = {"prefect", "tensorflow", "keras", "pandas", "numpy", "pyarrow", "sklearn", "scipy", "matplotlib", "seaborn"}
# The command itself, which then says what it has imported.
WATCHED = """
import atexit, sys
from flows.cli.run import main
atexit.register(lambda: print(sorted({name.split(".")[0] for name in sys.modules}), file=sys.stderr))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(("option", "code"), [(["--help"], 0), (["--seeds", "0"], 2), (["--nothing", "1"], 2)])
def test_help_and_a_mistake_import_nothing_heavy(option: list[str], code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *option], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code
    assert "pydantic" in done.stderr  # the list is there
    assert not {name for name in HEAVY if f"'{name}'" in done.stderr.splitlines()[-1]}


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["--seeds", "4"], ["--seeds", "4"]),
        (["--quick"], ["--architectures", "simple_rnn,lstm", "--seeds", "2", "--train-fractions", "0.25"]),
        (["--seeds=4", "--quick"], ["--seeds=4", "--architectures", "simple_rnn,lstm", "--train-fractions", "0.25"]),
    ],
)
def test_quick_stands_for_what_is_not_given(words: list[str], meant: list[str]) -> None:
    assert in_full(words) == meant


@pytest.mark.parametrize(
    ("module", "typed", "offered"),
    [
        ("imdb_compare", "--ar", {"--architectures"}),
        ("imdb_compare", "--seeds 2 --no", {"--no-class-weights"}),
        ("predict", "--en", {"--ensemble"}),
        ("export", "--ou", {"--output"}),
        ("history", "--con", {"--configuration"}),
        ("compare_runs", "A B --j", {"--json"}),
    ],
)
def test_a_shell_is_told_what_may_come_next(tmp_path: Path, module: str, typed: str, offered: set[str]) -> None:
    line = f"python -m flows.{module} {typed}"
    asked = {"_ARGCOMPLETE": "3", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    asked |= {"_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "offered")}
    python = [sys.executable, "-m"]
    found = subprocess.run([*python, "argcomplete._check_module", f"flows.{module}"], cwd=ROOT, timeout=60)
    assert found.returncode == 0  # or the shell would not ask
    subprocess.run([*python, f"flows.{module}"], cwd=ROOT, env=os.environ | asked, timeout=60)
    assert {word.strip() for word in (tmp_path / "offered").read_text().split("\n")} == offered


@pytest.mark.parametrize("results", ["file", "file/deeper", "/proc/1/x", "/dev/null", "x" * 300, "bad/results"])
def test_results_that_cannot_be_written_are_a_mistake_before_anything_begins(tmp_path: Path, results: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "bad" / "results").mkdir(parents=True)
    (tmp_path / "bad" / "results" / "cache").touch()
    with pytest.raises(UserError, match="Let it be written to, or name another folder"):
        check_results(str(tmp_path / results))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_closed_folder_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(UserError, match="closed is no folder that can be written to"):
        check_results(str(tmp_path / "closed" / "results"))


def test_results_that_can_be_written_are_not_touched(tmp_path: Path) -> None:
    check_results(str(tmp_path / "new" / "results"))
    check_results("s3://bucket/prefix")
    assert not list(tmp_path.iterdir())


SAID = "x could not be written: No space left on device."


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotWrittenError(SAID), 1),
        (UserError(SAID), 2),
    ],
)
def test_the_code_tells_what_the_system_refused_from_a_mistake(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    def refused() -> None:
        raise error

    monkeypatch.setattr("flows.cli.run.check_server", refused)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("flows.cli.run.told_at_the_end", lambda: None)
    assert main(["--results", str(tmp_path)]) == code
    assert capsys.readouterr().err == f"{SAID}\n"


@pytest.mark.slow
def test_help_takes_no_more_than_a_second() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert command("--help").returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Of the processor: on a busy machine the clock tells of others.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime <= 1

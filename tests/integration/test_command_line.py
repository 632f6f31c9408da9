"""The command `imdb-compare`: help, options, completion, exit codes."""

import json
import os
import resource
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.cli.exit_codes import report_error
from flows.cli.main import COMMANDS, EPILOG, main
from flows.cli.option_names import name_options
from flows.cli.options import PredictOptions, RunOptions
from flows.cli.parser import POSITIONAL, option_names, read_command_line, read_options
from flows.cli.run import check_printable, check_results
from flows.server.lifecycle import ServerError
from tasks.config.errors import (
    DamagedFileError,
    ExecutorLostError,
    MissingFileError,
    NightlyRunIncompleteError,
    TrialsFailedError,
    UserError,
)
from tasks.config.parameters import Parameters
from tasks.storage.store import NotWrittenError
from tests.conftest import ROOT
from tests.helpers.runs import restore_interrupts

HEAVY = "prefect,tensorflow,keras,pandas,numpy,pyarrow,sklearn,scipy,matplotlib,seaborn"
SCRIPT = Path(sys.executable).with_name("imdb-compare")


def imdb_compare(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command in a new process."""
    command = [sys.executable, "-m", "flows.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, **options)


def read(*arguments: str) -> object:
    """Return the options of a command line."""
    return read_command_line(COMMANDS, arguments, EPILOG)[1]


@pytest.mark.parametrize(
    "subcommand", [(), *((name,) for name in COMMANDS)], ids=lambda words: "".join(words) or "none"
)
def test_help_shows_options_and_examples_and_imports_nothing_heavy(subcommand: tuple[str, ...]) -> None:
    words = [*subcommand, "--help"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.programs.loaded_after_command", HEAVY, *words],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "imdb-compare" in done.stdout
    for expected in [f"--{name.replace('_', '-')}" for name in options_of(subcommand)] + examples_of(subcommand):
        assert expected in done.stdout
    assert json.loads(done.stderr.splitlines()[-1]) == []


def options_of(subcommand: Sequence[str]) -> list[str]:
    fields = COMMANDS[subcommand[0]].options.model_fields if subcommand else {}
    return [field.alias or name for name, field in fields.items() if name not in ("texts", "before", "after")]


def examples_of(subcommand: Sequence[str]) -> list[str]:
    return list(COMMANDS[subcommand[0]].examples) if subcommand else list(COMMANDS)


@pytest.mark.parametrize("option", [["--seeds", "0"], ["--nothing", "1"]])
def test_a_user_error_imports_nothing_heavy(option: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.programs.loaded_after_command", HEAVY, "run", *option],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert option[0] in done.stderr
    assert json.loads(done.stderr.splitlines()[-1]) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_subcommand_has_a_function_for_its_options(name: str) -> None:
    assert callable(import_module(COMMANDS[name].module).execute)
    assert all(example.find(f"imdb-compare {name}") >= 0 for example in COMMANDS[name].examples)


@pytest.mark.parametrize("example", [example for command in COMMANDS.values() for example in command.examples])
def test_every_example_of_the_help_is_accepted(example: str) -> None:
    words = shlex.split(example.rpartition("| ")[2])
    assert words[0] == "imdb-compare"
    assert read(*words[1:])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--seeds", "4"], {"seeds": 4}),
        (["--quick"], {"architectures": ("simple_rnn", "lstm"), "seeds": 2, "train_fractions": (0.25,)}),
        (["--seeds=4", "--quick"], {"architectures": ("simple_rnn", "lstm"), "seeds": 4, "train_fractions": (0.25,)}),
        (["--quick", "--architectures", "gru"], {"architectures": ("gru",), "seeds": 2, "train_fractions": (0.25,)}),
    ],
)
def test_quick_stands_for_parameters_that_are_not_given(words: list[str], expected: dict[str, object]) -> None:
    assert read_options(RunOptions, words).parameters() == Parameters(**expected)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--max_tokens", "7"], {"max_tokens": 7}),
        (["--max_tokens=7"], {"max_tokens": 7}),
        (["--max-tokens=7"], {"max_tokens": 7}),
        (["--architectures", "lstm, gru"], {"architectures": ("lstm", "gru")}),
        (["--architectures", "lstm", "--architectures=gru"], {"architectures": ("lstm", "gru")}),
        (["--train_fractions", "0.5,1"], {"train_fractions": (0.5, 1)}),
        (["--class_weights"], {"class_weights": True}),
        (["--class-weights", "--no_class_weights"], {"class_weights": False}),
        (["--data", "a_b-c.csv"], {"data": "a_b-c.csv"}),
        (["--positive=--a_b"], {"positive": "--a_b"}),
        (["--positive", "None"], {"positive": "None"}),
    ],
)
def test_options_are_written_with_dashes_or_underscores(words: list[str], expected: dict[str, object]) -> None:
    assert read_options(Parameters, words) == Parameters(**expected)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["run", "--max_tokens", "0"], "--max_tokens: received '0'"),
        (["run", "--max-tokens=0"], "--max-tokens: received '0'"),
        (["run", "--architectures", "lstm,gru2"], "--architectures: received 'gru2'"),
        (["predict", "--threshold=2", "x"], "--threshold: received '2'"),
        (["export", "--output", "x", "--seed", "-1"], "--seed: received '-1'"),
        (["history", "--remove="], "--remove: received ''"),
        (["plan", "--test_reviews", "1"], "--test_reviews: received '1'"),
    ],
)
def test_an_error_names_the_option_as_it_was_typed(
    words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.startswith(named)


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["plan", "--vectors", "x.vec"], "option of run;"),
        (["history", "--seeds", "3"], "option of run, plan;"),
        (["ui", "--max_tokens=3"], "option of run;"),
        (["run", "--no-json"], "option of predict, diff;"),
        (["run", "--seed", "2"], "Did you mean --seeds?"),
        (["run", "--metrik", "x"], "Did you mean --metric?"),
        (["run", "--zzz", "x"], "listed by --help"),
    ],
)
def test_an_unknown_option_is_explained(words: list[str], advice: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    message = capsys.readouterr().err
    assert f"received {words[1]!r}" in message
    assert advice in message


@pytest.mark.parametrize("name", COMMANDS)
def test_messages_of_the_library_name_every_parameter_as_its_option(name: str) -> None:
    for field, about in COMMANDS[name].options.model_fields.items():
        key = about.alias or field
        positional = POSITIONAL in about.metadata
        option = key.upper() if positional else f"--{key.replace('_', '-')}"
        typed = option if positional else f"--{key}"
        names = option_names(COMMANDS[name].options)
        as_typed = option_names(COMMANDS[name].options, [typed, "x"])
        assert (
            name_options(f"{key}: received 'x'. Leave `{key}` out.", names)
            == f"{option}: received 'x'. Leave {option} out."
        )
        assert name_options(f"wrong\n{key}: received 'x'.", as_typed) == f"wrong\n{typed}: received 'x'."
        assert name_options(f"Use {option}, or not.", as_typed) == f"Use {typed}, or not."


@pytest.mark.parametrize("text", ["column 'seeds': x", "a --seeds-of b", "`unknown`", "seedsx: y", "C: seeds: z", ""])
def test_other_words_of_a_message_are_no_parameters(text: str) -> None:
    assert name_options(text, option_names(RunOptions)) == text


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (
            ["run", "--dask_address", "tcp://h:1"],
            "--dask_address: received 'tcp://h:1', but engine is 'processes'. Set --engine",
        ),
        (["run", "--data_folder", "a\tb"], "--data_folder: received"),
        (["predict", "--run", "none", "x"], "--results"),
    ],
)
def test_an_error_after_parsing_names_the_option_as_it_was_typed(
    words: list[str], named: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("flows.cli.run.configure_prefect", lambda: None)
    monkeypatch.setattr("flows.cli.run.check_server", lambda: None)
    assert main([*words[:1], "--results", str(tmp_path), *words[1:]]) == 2
    assert named in capsys.readouterr().err


def test_all_wrong_values_are_reported_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--seeds", "0", "--max_tokens=0", "--engine", "threads"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["--seeds", "--engine", "--max_tokens"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], ", ".join(COMMANDS)),
        (["compare"], ", ".join(COMMANDS)),
        (["--seeds", "2"], ", ".join(COMMANDS)),
        (["run", "--seed", "2"], "--seeds"),
        (["run", "--seeds"], "--seeds"),
        (["predict", "--great"], "--"),
        (["export"], "--output"),
        (["diff", "one"], "AFTER"),
        (["diff", "one", "two", "three"], "three"),
        (["diff", "../one", "two"], "BEFORE"),
        (["ui", "--port", "1"], "--port"),
    ],
)
def test_a_wrong_command_line_is_one_message(words: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert named in err
    assert len(err.splitlines()) == 1


@given(texts=st.lists(st.text(max_size=30), max_size=4))
def test_texts_are_read_exactly_as_typed(texts: list[str]) -> None:
    assert read("predict", "--json", "--", *texts).texts == tuple(texts)


def test_a_text_may_have_commas_line_breaks_and_look_like_json() -> None:
    texts = ("good, bad", "two\nlines", '["a"]', "null", " blank ", "--some_text with a blank", "")
    options = read("predict", *texts, "--keep", "id, author", "--words", "0")
    assert options == PredictOptions(texts=texts, keep=("id", "author"), words=0)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("r", {"run"}),
        ("run --ar", {"--architectures"}),
        ("run --engine d", {"dask"}),
        ("run --seeds 2 --no-c", {"--no-class-weights"}),
        ("predict --en", {"--encoding", "--ensemble"}),
        ("export --ou", {"--output"}),
        ("history --con", {"--configuration"}),
        ("plan --di", {"--difference"}),
        ("diff A B --j", {"--json"}),
    ],
)
def test_a_shell_completes_subcommands_options_and_choices(tmp_path: Path, typed: str, offered: set[str]) -> None:
    line = f"imdb-compare {typed}"
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    asked |= {"_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "offered")}
    imdb_compare(env=os.environ | asked)
    assert {word.strip() for word in (tmp_path / "offered").read_text().split("\n")} == offered


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_argcomplete_registers_the_command(shell: str) -> None:
    register = Path(sys.executable).with_name("register-python-argcomplete")
    done = subprocess.run([register, "--shell", shell, "imdb-compare"], capture_output=True, text=True, check=True)
    assert "imdb-compare" in done.stdout


@pytest.mark.parametrize("results", ["file", "file/deeper", "/proc/1/x", "/dev/null", "x" * 300, "bad/results"])
def test_results_that_cannot_be_written_are_a_user_error(tmp_path: Path, results: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "bad" / "results").mkdir(parents=True)
    (tmp_path / "bad" / "results" / "cache").touch()
    with pytest.raises(UserError, match=r"--results: received .*not a writable folder"):
        check_results(str(tmp_path / results))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(UserError, match="closed is not a writable folder"):
        check_results(str(tmp_path / "closed" / "results"))


def test_writable_results_are_not_touched(tmp_path: Path) -> None:
    check_results(str(tmp_path / "new" / "results"))
    check_results("s3://bucket/prefix")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["data", "group", "data_folder", "results"])
def test_control_characters_in_a_value_are_a_user_error(name: str) -> None:
    with pytest.raises(UserError, match=f"{name}: received 'a"):
        check_printable(Parameters(**{name: "a\nb\x1b"}))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("x"), 2),
        (NotWrittenError("x"), 1),
        (TrialsFailedError({"lstm-seed-0": "x"}), 1),
        (NightlyRunIncompleteError.__new__(NightlyRunIncompleteError), 1),
        (ExecutorLostError("x"), 1),
        (DamagedFileError("x"), 1),
        (MissingFileError("x"), 1),
        (ServerError("x"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_exception_has_an_exit_code_and_no_traceback(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert report_error(error) == code
    assert "Traceback" not in capsys.readouterr().err


# A missing file that is no stored file is a fault of the program, such as a template that was not installed.
@pytest.mark.parametrize("error", [ZeroDivisionError, FileNotFoundError])
def test_an_unexpected_exception_has_a_traceback(error: type[Exception], capsys: pytest.CaptureFixture[str]) -> None:
    assert report_error(error("\x1b[2J")) == 1
    assert f"{error.__name__}: \\x1b[2J" in capsys.readouterr().err


def test_a_lost_server_ends_the_process_at_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    codes: list[int] = []
    monkeypatch.setattr("os._exit", codes.append)
    report_error(httpx.ConnectError("refused"), "Run it again.")
    assert codes == [1]
    assert capsys.readouterr().err.endswith("(refused). Run it again.\n")


@pytest.mark.parametrize("error", [NotWrittenError("no space"), UserError("no space")])
def test_an_error_of_a_subcommand_is_printed_once(
    error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise error

    monkeypatch.setattr("flows.cli.run.check_server", refuse)
    monkeypatch.setattr("flows.cli.run.configure_prefect", lambda: None)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert main(["run", "--results", str(tmp_path)]) == (1 if isinstance(error, OSError) else 2)
    assert capsys.readouterr().err == "no space\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_has_its_exit_code(number: signal.Signals, code: int) -> None:
    command = [sys.executable, "-m", "tests.helpers.programs.endless_command"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=restore_interrupts
    ) as process:
        assert process.stdout.readline() == "started\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in err


@pytest.mark.parametrize("words", [["run", "--help"], ["--help"]])
def test_a_closed_stdout_is_no_failure(words: list[str]) -> None:
    command = [sys.executable, "-m", "flows.cli", *words]
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(command, cwd=ROOT, stdout=write_end, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [["-m", "flows.imdb_compare"], [str(ROOT / "flows" / "imdb_compare.py")]])
def test_the_flow_module_behaves_like_the_subcommand_run(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *command, "--seeds=0"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr == imdb_compare("run", "--seeds=0").stderr


def test_the_project_declares_the_command() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, _, function = project["scripts"]["imdb-compare"].partition(":")
    assert getattr(import_module(module), function) is main


@pytest.mark.skipif(not SCRIPT.exists(), reason="the project is not installed")
def test_the_installed_command_runs_in_any_folder(tmp_path: Path) -> None:
    done = subprocess.run([SCRIPT, "history"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert str(tmp_path / "results" / "history") in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_help_takes_at_most_a_second(name: str) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert imdb_compare(name, "--help").returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Processor time, which does not depend on the load of the machine.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime <= 1

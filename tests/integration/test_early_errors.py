"""User errors in files are found before a server is started, and reading them is not repeated."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from flows.cli.run import check_content
from flows.server.environment import set_offline_environment
from flows.server.probe import is_healthy
from tasks.config.file_options import file_options
from tasks.config.parameters import Parameters
from tasks.data.stored_reviews import load_dataset
from tasks.storage.layout import cache_dir
from tests.conftest import ROOT
from tests.helpers.subcommands import run_subcommand

GOOD = "text,label\n" + "".join(f"fine film {number},1\ndull film {number},0\n" for number in range(100))


@contextmanager
def refuse_to_start(**_: object) -> Iterator[None]:
    raise AssertionError("a server is started")
    yield


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs an invalid command without a server, and returns what is printed on stderr."""
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("flows.cli.run.configure_prefect", lambda: None)
    monkeypatch.setattr("flows.cli.run.check_server", lambda: None)
    monkeypatch.setattr("flows.cli.run.running_server", refuse_to_start)

    def refuse(content: bytes, *options: str) -> str:
        (tmp_path / "own.csv").write_bytes(content)
        words = ("--data", str(tmp_path / "own.csv"), "--results", str(tmp_path / "results"), *options)
        assert run_subcommand("run", *words) == 2
        return capsys.readouterr().err

    return refuse


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (GOOD.encode(), ["--text-column", "review"], "'review'"),
        (b"text,label\n" + b"fine film,1\n" * 50, [], "own.csv"),
        (b"text,label\nfine,good\nmeh,bad\n", [], "'good'"),
        (b"text,label\n\xff\xfe\x00,1\n", [], "own.csv"),
        (b"", [], "own.csv"),
        (GOOD.encode(), ["--group", "film"], "'film'"),
        (GOOD.encode(), ["--test-data", "missing.csv"], "'missing.csv'"),
        (GOOD.encode(), ["--separator", ";"], "'text,label'"),
        (GOOD.encode(), ["--encoding", "utf-16"], "UTF-16"),
        (GOOD.encode(), ["--no-header"], "found: '0', '1'"),
        (GOOD.replace("label", "Label").encode("utf-16"), ["--separator=,"], "'Label'"),
        (GOOD.encode(), ["--architectures", "no_such_module:model"], "no_such_module"),
    ],
    ids=[
        "no column",
        "one class",
        "labels",
        "encoding",
        "empty",
        "no group",
        "no test data",
        "separator",
        "other encoding",
        "no header",
        "UTF-16",
        "no module",
    ],
)
def test_an_error_in_a_file_is_printed_once_before_a_server_is_started(
    refused: Callable[..., str], content: bytes, options: list[str], said: str
) -> None:
    message = refused(content, *options)
    assert said in message
    assert message.count(message.splitlines()[0]) == 1
    assert "Traceback" not in message


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (b"the 1 2\n", ["--embedding-size", "64"], "--embedding-size"),
        (b"\x00\x01", [], "binary"),
        (None, [], "does not exist"),
    ],
)
def test_an_error_in_word_vectors_is_printed_before_a_server_is_started(
    refused: Callable[..., str], content: bytes | None, options: list[str], said: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "own.vec").write_bytes(content)
    message = refused(GOOD.encode(), "--vectors", str(tmp_path / "own.vec"), *options)
    assert said in message
    assert "own.vec" in message


def test_frozen_vectors_need_vectors(refused: Callable[..., str]) -> None:
    assert "--vectors-frozen" in refused(GOOD.encode(), "--vectors-frozen")


def test_reviews_that_were_checked_are_in_the_cache(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(GOOD)
    parameters = Parameters(data=str(tmp_path / "own.csv"), results=str(tmp_path / "results"))
    check_content(parameters)
    options = file_options(parameters)
    cache = cache_dir(tmp_path / "results")
    dataset, cached = load_dataset(parameters.data, **options, data_folder=parameters.data_folder, cache=cache)
    assert cached
    assert sum(dataset.rows.values()) == 200


def test_data_sets_of_the_project_are_not_read_before_the_run(tmp_path: Path) -> None:
    check_content(Parameters(data="bundled", results=str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_error_in_a_file_of_10_mb_takes_at_most_3_seconds(tmp_path: Path) -> None:
    text = " ".join(f"word{number}" for number in range(150))
    rows = "".join(f"{text} {number},{number % 2}\n" for number in range(10_000_000 // len(text)))
    (tmp_path / "own.csv").write_text(f"text,label\n{rows}the last,neither\n")
    words = ["run", "--data", str(tmp_path / "own.csv"), "--results", str(tmp_path / "results")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "flows.cli", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 2
    assert "'neither' (1 rows)" in done.stderr
    # Processor time, which does not depend on the load of the machine.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime <= 3


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_servers_on_this_machine_are_reached_without_a_proxy(
    api: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, "")
    for variable in ("DO_NOT_TRACK", "PREFECT_SERVER_ANALYTICS_ENABLED"):
        monkeypatch.setenv(variable, "1" if variable == "DO_NOT_TRACK" else "false")
    monkeypatch.setenv(name, "example.org")
    for variable in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    assert not is_healthy(api)
    set_offline_environment()
    assert is_healthy(api)
    assert "example.org" in os.environ[name]
    with pytest.raises(httpx.ConnectError):
        httpx.get("http://example.com")

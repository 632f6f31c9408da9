"""Fixtures of several test files: a Prefect server for the session, a tiny data set, and the command as a process."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

# A slow machine must not fail a property test.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")

ROOT = Path(__file__).parents[1]
TINY = {
    "--architectures": "simple_rnn", "--seeds": "1", "--epochs": "1", "--units": "3", "--embedding-size": "5",
    "--max-tokens": "12", "--vocabulary-size": "50", "--batch-size": "16",
}  # fmt: skip

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of a file in the same process, and all tests that use `past` in one process."""
    for item in items:
        past = "past" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("past" if past else item.path.stem))


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a Prefect server with its own database, and return the address of its API."""
    from flows.server.lifecycle import prefect_process, wait_until_healthy

    home = tmp_path_factory.mktemp("prefect")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    before = os.environ.get("PREFECT_HOME")
    os.environ["PREFECT_HOME"] = str(home)
    # Without CSRF tokens, so that tests can send plain requests. test_server.py has a server with tokens.
    unguarded = {"PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "false"}
    with (home / "server.log").open("wb") as log:
        address = ("127.0.0.1", str(port))
        with prefect_process(
            *address, module="flows.server.guard", output=log, environment=os.environ | unguarded
        ) as process:
            wait_until_healthy(f"http://127.0.0.1:{port}/api", process)
            yield f"http://127.0.0.1:{port}/api"
    if before is None:
        del os.environ["PREFECT_HOME"]
    else:
        os.environ["PREFECT_HOME"] = before


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of tiny reviews, written once for the session."""
    return tiny_reviews(tmp_path_factory.mktemp("data") / "tiny.csv")


def tiny_reviews(path: Path) -> Path:
    """Write 400 short reviews, each with one word that decides its label, to `path`, and return it."""
    rng = np.random.default_rng(0)
    words = np.array(["a", "film", "with", "some", "plot", "and", "many", "actors", "in", "it"])
    labels = rng.permutation(np.repeat([0, 1], 200))
    texts = [" ".join([*rng.choice(words, rng.integers(2, 15)), "good" if label else "bad"]) for label in labels]
    numbered = [f"{text} {number}" for number, text in enumerate(texts)]
    pd.DataFrame({"text": numbered, "label": labels}).to_csv(path, index=False)
    return path


@pytest.fixture
def compare(api: str, tiny: Path) -> Command:
    """Return a function that runs the command on the tiny reviews with the server of the session."""

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        given = TINY | {"--data": str(tiny)} | dict(zip(options[::2], options[1::2], strict=True))
        return command(*(word for option in given.items() for word in option), environment={"PREFECT_API_URL": api})

    return run


@pytest.fixture(scope="session")
def past(api: str, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results folder of a comparison with two seeds. Tests must not change it."""
    if "PYTEST_XDIST_WORKER" in os.environ:  # fails if pytest-xdist ignores the groups and runs it twice
        (tmp_path_factory.getbasetemp().parent / "past").touch(exist_ok=False)
    results = tmp_path_factory.mktemp("past")
    given = TINY | {"--data": str(tiny), "--results": str(results), "--seeds": "2", "--run-name": "first"}
    done = command(*(word for option in given.items() for word in option), environment={"PREFECT_API_URL": api})
    assert done.returncode == 0, done.stderr
    return results


@pytest.fixture(scope="session")
def with_tensorflow() -> Iterator[None]:
    """Allow loading models in this process, in which the number of TensorFlow's threads can no longer be changed."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("predictor", "exported_model"):
            patch.setattr(f"tasks.inference.{module}.load_tensorflow", lambda: None)
        yield


def command(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command in a process, and wait for it."""
    return subprocess.run(
        [sys.executable, "-m", "flows.imdb_compare", *arguments],
        cwd=ROOT,
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

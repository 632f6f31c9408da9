"""What several test files share: one Prefect server for the session, a tiny data set, and the command as a process."""

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

# A busy machine is no fault of what is tested.
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
    """Keep a file's tests in one process, and all tests of the past run in another, so that it is run once."""
    for item in items:
        past = "past" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("past" if past else item.path.stem))


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a real Prefect server with a database of its own, and return the address of its API."""
    from flows.server.lifecycle import prefect_process, wait_for

    home = tmp_path_factory.mktemp("prefect")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    before = os.environ.get("PREFECT_HOME")
    os.environ["PREFECT_HOME"] = str(home)
    # Without CSRF tokens, so that tests may ask it by plain requests; test_server.py has a server with them.
    unguarded = {"PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "false"}
    with (home / "server.log").open("wb") as log:
        address = ("127.0.0.1", str(port))
        with prefect_process(
            *address, module="flows.server.guard", output=log, environment=os.environ | unguarded
        ) as process:
            wait_for(f"http://127.0.0.1:{port}/api", process)
            yield f"http://127.0.0.1:{port}/api"
    if before is None:
        del os.environ["PREFECT_HOME"]
    else:
        os.environ["PREFECT_HOME"] = before


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the tiny reviews, once for the session."""
    return tiny_reviews(tmp_path_factory.mktemp("data") / "tiny.csv")


def tiny_reviews(path: Path) -> Path:
    """Write 400 short reviews whose class one word tells to `path`, and return it."""
    rng = np.random.default_rng(0)
    words = np.array(["a", "film", "with", "some", "plot", "and", "many", "actors", "in", "it"])
    labels = rng.permutation(np.repeat([0, 1], 200))
    texts = [" ".join([*rng.choice(words, rng.integers(2, 15)), "good" if label else "bad"]) for label in labels]
    numbered = [f"{text} {number}" for number, text in enumerate(texts)]
    pd.DataFrame({"text": numbered, "label": labels}).to_csv(path, index=False)
    return path


@pytest.fixture
def compare(api: str, tiny: Path) -> Command:
    """Return a function that runs the command on the tiny data against the session's server."""

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        given = TINY | {"--data": str(tiny)} | dict(zip(options[::2], options[1::2], strict=True))
        return command(*(word for option in given.items() for word in option), environment={"PREFECT_API_URL": api})

    return run


@pytest.fixture(scope="session")
def past(api: str, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the comparison once, with two seeds, and return its folder of results; tests leave it as it is."""
    if "PYTEST_XDIST_WORKER" in os.environ:  # the groups of pytest-xdist have silently come to nothing before
        (tmp_path_factory.getbasetemp().parent / "past").touch(exist_ok=False)
    results = tmp_path_factory.mktemp("past")
    given = TINY | {"--data": str(tiny), "--results": str(results), "--seeds": "2", "--run-name": "first"}
    done = command(*(word for option in given.items() for word in option), environment={"PREFECT_API_URL": api})
    assert done.returncode == 0, done.stderr
    return results


@pytest.fixture(scope="session")
def with_tensorflow() -> Iterator[None]:
    """Let models be loaded in this process, where TensorFlow may have begun to work: its threads are fixed by then."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("predictor", "exported_model"):
            patch.setattr(f"tasks.inference.{module}.load_tensorflow", lambda: None)
        yield


def command(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command as a person would, and wait for it."""
    return subprocess.run(
        [sys.executable, "-m", "flows.imdb_compare", *arguments],
        cwd=ROOT,
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

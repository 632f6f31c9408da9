"""Fixtures of several test files: a Prefect server for the session, a tiny data set, and the command as a process."""

import gc
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

# A slow machine must not fail a property test. See tests/helpers/examples.py.
settings.register_profile("fast", deadline=None)
settings.register_profile("thorough", deadline=None)
settings.load_profile("fast")

ROOT = Path(__file__).parents[1]
TINY = {
    "--architectures": "simple_rnn", "--seeds": "1", "--epochs": "1", "--units": "3", "--embedding-size": "5",
    "--max-tokens": "12", "--vocabulary-size": "50", "--batch-size": "16",
}  # fmt: skip

Command = Callable[..., subprocess.CompletedProcess[str]]


# Files whose tests share what takes long to make or to import. The groups of LONG start first, in this order: otherwise
# one process works alone at the end.
SHARED = {
    "tests/unit/figures/": "figures", "tests/unit/reporting/": "figures",
    "tests/integration/test_figures.py": "figures",
    "tests/unit/models/": "tensorflow", "tests/unit/training/": "tensorflow",
    "tests/unit/inference/test_onnx.py": "tensorflow",
}  # fmt: skip
LONG = ("past", "test_local_executor", "test_server", "figures", "tensorflow")


def pytest_configure(config: pytest.Config) -> None:
    """Select the number of examples of property tests, and keep the order of the groups."""
    settings.load_profile("thorough" if config.option.markexpr == "slow" else "fast")
    config.option.loadscopereorder = False  # by the number of their tests


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Import all tests without garbage collection, and hide from it what was imported: each run of it takes 0.3 s."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_sessionfinish() -> None:
    """Let the garbage collector see all objects again, so that libraries do not report leaks at the end."""
    gc.unfreeze()


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of a group in the same process, and start with the groups that take long."""
    groups = {item: group_of(item) for item in items}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: LONG.index(groups[item]) if groups[item] in LONG else len(LONG))


def group_of(item: pytest.Item) -> str:
    """Return the name of the group of a test: its file, or what it shares with the tests of other files."""
    if "past" in getattr(item, "fixturenames", ()):
        return "past"
    place = item.path.relative_to(ROOT).as_posix()
    return next((group for shared, group in SHARED.items() if place.startswith(shared)), item.path.stem)


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

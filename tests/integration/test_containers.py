"""The container files, as far as they can be checked without containers; docs/deployment.md says what was executed."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from prefect.server.api.server import create_api_app

from flows.server import guard, ui
from tests.conftest import ROOT

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LONG_RUNNING = ("database", "server", "worker")


def read_lock(name: str) -> dict[str, str]:
    """Return the hashes of each pinned package, by name and version."""
    blocks = re.findall(r"^([a-z0-9][^ ]*==[^ ]+)(.*(?:\n    --hash.*)+)", (ROOT / name).read_text(), re.MULTILINE)
    return {pin: " ".join(re.findall(r"sha256:\w+", hashes)) for pin, hashes in blocks}


def is_in_build_context(path: Path) -> bool:
    """Return whether .dockerignore, whose first line excludes everything, includes a file.

    Only whole folders are included: buildah does not search an excluded folder for `!folder/**/*.py`.
    """
    lines = (ROOT / ".dockerignore").read_text().splitlines()[1:]
    included = [Path(line.removeprefix("!")) for line in lines if line.startswith("!")]
    excluded = {line.removeprefix("**/") for line in lines if line.startswith("**/")}
    return any(path.is_relative_to(each) for each in included) and not excluded & {*path.parts}


def test_published_ports_are_on_loopback() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"server": ["127.0.0.1:4200:4200"]}


def test_passwords_come_from_the_environment_and_may_not_be_empty() -> None:
    text = (ROOT / "compose.yaml").read_text()
    for name in ("PREFECT_PASSWORD", "POSTGRES_PASSWORD"):
        uses = re.findall(rf"\$\{{{name}[^}}]*\}}", text)
        assert uses, name
        assert all(use.startswith(f"${{{name}:?") for use in uses), name
    assert not re.search(r"(PASSWORD|AUTH_STRING): (?!.*\$\{)", text)
    assert "PASSWORD" not in DOCKERFILE


def test_a_password_is_never_part_of_an_address() -> None:
    """Characters such as `@` and `/` end the password in an address."""
    assert not [line for line in (ROOT / "compose.yaml").read_text().splitlines() if re.search(r"://\S*PASSWORD", line)]


def test_services_depend_on_services_that_exist_and_have_health_checks() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES, (name, other)
            assert how["condition"] != "service_healthy" or "healthcheck" in SERVICES[other]
    assert SERVICES["server"]["command"][:3] == ["python", "-m", guard.__name__]
    assert SERVICES["deployment"]["command"] == ["python", "-c", f"from {ui.__name__} import deploy; deploy()"]
    assert SERVICES["worker"]["command"][:5] == ["prefect", "worker", "start", "--pool", ui.POOL]


@pytest.mark.parametrize("name", SERVICES)
def test_services_run_as_ordinary_users_on_a_file_system_that_cannot_be_written(name: str) -> None:
    service = SERVICES[name]
    assert service.get("user") == "postgres" or "build" in service  # the image of the Dockerfile has a user
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "/tmp" in service["tmpfs"]


def test_services_that_run_on_are_restarted_and_checked() -> None:
    assert {name for name, service in SERVICES.items() if "healthcheck" in service} == set(LONG_RUNNING)
    assert {SERVICES[name]["restart"] for name in LONG_RUNNING} == {"unless-stopped"}
    assert SERVICES["deployment"]["restart"] == "on-failure"


def test_health_checks_ask_for_what_the_services_need() -> None:
    checks = {name: " ".join(SERVICES[name]["healthcheck"]["test"]) for name in LONG_RUNNING}
    assert "--host 127.0.0.1" in checks["database"]  # its socket answers before the database exists
    assert "http://127.0.0.1:4200/api/ready" in checks["server"]  # needs the database
    assert "/ready" in create_api_app().openapi()["paths"]
    assert "http://127.0.0.1:8080/health" in checks["worker"]  # needs the server
    assert "--with-healthcheck" in SERVICES["worker"]["command"]
    assert SERVICES["worker"]["environment"]["PREFECT_WORKER_WEBSERVER_HOST"] == "127.0.0.1"


def test_the_image_copies_existing_files_and_runs_as_an_ordinary_user() -> None:
    copied = [words.split()[:-1] for words in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)]
    assert all((ROOT / name).exists() for names in copied for name in names)
    assert "--require-hashes" in DOCKERFILE
    assert DOCKERFILE.index("USER compare") < DOCKERFILE.index("CMD")
    assert re.search(r"pip install .*--no-deps .*--no-index -e \. \\$", DOCKERFILE, re.MULTILINE)
    assert 'CMD ["imdb-compare", "run"]' in DOCKERFILE


def test_the_pages_of_the_server_are_in_the_image_and_readable() -> None:
    """Prefect writes them with mode 0600, and at run time only where the user of the container may not write."""
    (step,) = re.findall(r"^RUN .*create_ui_app\(ephemeral=False\)\" \\\n.*$", DOCKERFILE, re.MULTILINE)
    assert "chmod -R go+rX " in step
    assert DOCKERFILE.index(step) < DOCKERFILE.index("USER compare")


def test_the_image_contains_every_package_folder_with_its_data_files() -> None:
    folders = {pattern.removesuffix("*") for pattern in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert {f"COPY {folder} {folder}" for folder in folders} <= set(DOCKERFILE.splitlines())
    files = [path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    missing = [path for path in files if "__pycache__" not in path.parts and not is_in_build_context(path)]
    assert missing == []


def test_the_build_context_contains_no_tests_results_or_secrets() -> None:
    for name in ("tests/conftest.py", "docs/deployment.md", "results/runs/1/run.json", ".env", ".git/config"):
        assert not is_in_build_context(Path(name)), name
    assert not is_in_build_context(Path("flows/__pycache__/alert.cpython-311.pyc"))
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[0] == "*"
    assert all((ROOT / line.removeprefix("!")).exists() for line in lines if line.startswith("!"))


def test_the_image_has_the_packages_of_the_lock_without_the_development_tools() -> None:
    lock, image = read_lock("requirements.lock"), read_lock("requirements-image.lock")
    assert image.items() <= lock.items()
    extras = PROJECT["project"]["optional-dependencies"]
    # Nobody can install a package in a container of it.
    needed = [*PROJECT["project"]["dependencies"], *extras["dask"], *extras["s3"], *extras["xlsx"], "setuptools"]
    names = {pin.partition("==")[0] for pin in image}
    assert {Requirement(text).name for text in needed} <= names
    assert not {"pytest", "mypy", "ruff", "playwright", "moto"} & names


def test_only_the_owner_may_read_the_volume_of_results() -> None:
    """A new volume takes over the mode of the folder in the image on which it is mounted."""
    (folder,) = SERVICES["worker"]["volumes"]
    assert folder == "results:/app/results"
    assert "mkdir --mode=700 results " in DOCKERFILE
    assert set(COMPOSE["volumes"]) == {"database", "results"}

"""The container files: copied files exist, published ports are on loopback, and passwords are not in them."""

import re
from pathlib import Path

import yaml

from tests.conftest import ROOT

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_published_ports_are_on_loopback() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:4200:4200"]


def test_passwords_come_from_the_environment_and_may_not_be_empty() -> None:
    text = (ROOT / "compose.yaml").read_text()
    for name in ("PREFECT_PASSWORD", "POSTGRES_PASSWORD"):
        assert re.search(rf"\$\{{{name}:\?", text), name
    assert not re.search(r"(PASSWORD|AUTH_STRING): (?!.*\$\{)", text)


def test_services_depend_on_services_that_exist_and_have_health_checks() -> None:
    services = COMPOSE["services"]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in services, (name, other)
            assert how["condition"] != "service_healthy" or "healthcheck" in services[other]
    assert services["server"]["command"][:3] == ["python", "-m", "flows.server.guard"]


def test_the_image_copies_existing_files_and_runs_as_an_ordinary_user() -> None:
    copied = [words.split()[:-1] for words in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)]
    assert all((ROOT / name).exists() for names in copied for name in names)
    assert "--require-hashes" in DOCKERFILE
    assert DOCKERFILE.index("USER compare") < DOCKERFILE.index("CMD")
    assert re.search(r"pip install .*--no-deps .*--no-index -e \.$", DOCKERFILE, re.MULTILINE)
    assert 'CMD ["imdb-compare", "run"]' in DOCKERFILE
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    for line in ignored[1:]:
        assert list(Path(ROOT).glob(line.removeprefix("!"))), line


def test_only_the_owner_may_read_the_volume_of_results() -> None:
    """A new volume takes over the mode of the folder in the image on which it is mounted."""
    (folder,) = COMPOSE["services"]["worker"]["volumes"]
    assert folder == "results:/app/results"
    assert "RUN mkdir --mode=700 results " in DOCKERFILE

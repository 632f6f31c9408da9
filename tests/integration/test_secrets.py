"""Secrets in the environment of a run do not occur in its output, its results or Prefect's database."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.conftest import Command

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/planted+aws",
    "PREFECT_API_KEY": "pnu_planted0prefect0key0123456789",
    "DATABASE_URL": "postgresql://someone:planted-p4ssword@db.example/reviews",
    "GITHUB_TOKEN": "ghp_planted0token0of0thirty0six0signs",
    "SOME_PASSWORD": "plänted-ünicode-secret",
}


def encode_secret(secret: str) -> Iterator[bytes]:
    """Yield the forms in which a secret may occur in a file: plain, URL quoted, JSON escaped, UTF-16 and base64."""
    yield secret.encode()
    yield quote(secret, safe="").encode()
    yield secret.encode("unicode_escape")
    yield secret.encode("utf-16-le")
    yield from (base64.b64encode(b" " * shift + secret.encode())[4:-4] for shift in range(3))


@pytest.mark.slow
@pytest.mark.failure_mode("secret-in-environment")
def test_secrets_of_the_environment_do_not_occur_in_any_file_or_output(
    compare: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)
    done = compare("--results", str(tmp_path / "results"), "--run-name", "with-secrets")
    assert done.returncode == 0, done.stderr
    home = Path(os.environ["PREFECT_HOME"])  # of the server: its database holds logs, artifacts, parameters, events
    files = [path for folder in (tmp_path, home) for path in folder.rglob("*") if path.is_file()]
    everything = {"the terminal": (done.stdout + done.stderr).encode()} | {
        str(path): path.read_bytes() for path in files
    }
    assert any(b"with-secrets" in content for place, content in everything.items() if "prefect.db" in place)
    found = {
        (name, place)
        for name, secret in SECRETS.items()
        for place, content in everything.items()
        if any(form in content for form in encode_secret(secret))
    }
    assert not found

"""A browser without a window, if one is installed, which returns a page after its scripts have run."""

import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage"
)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed")


def opened(address: str, profile: Path, seconds: int = 2) -> str:
    """Open an address, wait for `seconds` of the page's clock, and return the document at that time."""
    place = (f"--user-data-dir={profile}", f"--virtual-time-budget={seconds}000")
    done = subprocess.run(
        [str(BROWSER), *OPTIONS.split(), *place, "--dump-dom", address],
        capture_output=True, text=True, timeout=180, check=True,
    )  # fmt: skip
    return done.stdout

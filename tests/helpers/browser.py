"""A real browser without a window, where one is installed: what a page becomes once its scripts have run."""

import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage"
)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed, in which to open a page")


def opened(address: str, profile: Path, seconds: int = 2) -> str:
    """Open an address, let the page's own clock run for so long, and return what became of the page."""
    place = (f"--user-data-dir={profile}", f"--virtual-time-budget={seconds}000")
    done = subprocess.run(
        [str(BROWSER), *OPTIONS.split(), *place, "--dump-dom", address],
        capture_output=True, text=True, timeout=180, check=True,
    )  # fmt: skip
    return done.stdout

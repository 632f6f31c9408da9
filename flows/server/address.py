"""The address of Prefect's API, and other settings of its clients: where they are set.

Prefect reads an address from the environment, from `.env`, from pyproject.toml and from the active profile, in this
order. In this project the profile precedes pyproject.toml, which has the address that `imdb-compare ui` uses if nothing
else is set. An empty environment variable means that no address is set.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from dotenv import dotenv_values

from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal

NAME = "PREFECT_API_URL"
DEFAULT_API = "http://127.0.0.1:4200/api"  # of pyproject.toml as well
EXAMPLE = f"Give an address such as {DEFAULT_API}"


@dataclass(frozen=True)
class Address:
    """An address of Prefect's API.

    Attributes:
        api: The address.
        source: Where it is set, such as "PREFECT_API_URL"; empty for the default.
        removal: How to remove it.
    """

    api: str = DEFAULT_API
    source: str = ""
    removal: str = ""

    def error(self, reason: str) -> UserError:
        """Return an error with the address, without a password in it, and the reason why it cannot be used."""
        return UserError(f"{self.source or 'The address of Prefect'} is {without_password(self.api)}, but {reason}.")


def configured_address() -> Address:
    """Return the address that is set, or else the default.

    Raises:
        UserError: If what is set is not an address.
    """
    for name, removal, settings in _sources():
        if (value := settings.get(NAME)) is not None:
            api = value.strip().rstrip("/")
            if not api or (api == DEFAULT_API and name != NAME):  # then a temporary server may replace it
                return Address()
            _check_form(value, api, name)
            return Address(api, name, removal)
    return Address()


def setting(name: str) -> str:
    """Return another setting of Prefect's clients; empty if it is not set."""
    return next((value for _, _, settings in _sources() if (value := settings.get(name)) is not None), "")


def _sources() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield places of settings: how a message names the address there, how to remove it, and the settings."""
    yield NAME, f"unset {NAME}", os.environ
    yield f"{NAME} in .env", f"remove {NAME} from .env", dotenv_values(".env")
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    file = Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml")
    try:
        content = tomllib.loads(file.read_text())
        active = os.environ.get("PREFECT_PROFILE") or content.get("active")
        profile = {name: str(value) for name, value in content["profiles"][active].items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):  # Prefect reports a damaged file
        return
    shown = f"{NAME} in the profile {escape_terminal(active)!r} ({escape_terminal(file)})"
    yield shown, f"run: prefect config unset {NAME}", profile


def _check_form(value: str, api: str, source: str) -> None:
    try:
        url = httpx.URL(api)
        valid = (
            url.scheme in ("http", "https")
            and bool(url.host)
            and (url.port or 80) < 2**16
            and not re.search(r"\s", api)
        )
    except httpx.InvalidURL:
        valid = False
    if not valid:
        raise UserError(f"{source}: received {without_password(value)!r:.300}. {EXAMPLE}.")


def without_password(address: str) -> str:
    """Return an address without the user and password that may stand before the host."""
    return re.sub(r"(?<=//)[^/@]*@", "", address)

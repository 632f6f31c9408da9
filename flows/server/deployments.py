"""The deployments of prefect.yaml: `python -m flows.server.deployments`, which `imdb-compare ui` runs as well.

`prefect deploy --all` alone would replace what was changed on the server, such as a paused schedule or alert. Here the
version of a deployment names the parameters and schedules of prefect.yaml. As long as they do not change in the file,
those of the server are kept. If they change, the file applies, but what is paused stays paused.
"""

import copy
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound

from flows.cli.console import print_error, print_output
from flows.server import automations
from flows.server.lifecycle import PROJECT_ROOT
from tasks.config.escape import escape_terminal

POOL = "local-process"
TIMES = ("cron", "interval", "rrule", "timezone")


def name_of(entry: dict[str, Any]) -> str:
    """Return the name of the deployment of an entry in prefect.yaml, such as `imdb-compare/default`."""
    flow = str(entry["entrypoint"]).rpartition(":")[2].replace("_", "-")
    return f"{flow}/{entry['name']}"


def read_deployment(client: SyncPrefectClient, name: str) -> DeploymentResponse | None:
    """Return a deployment of the server; None if there is none of this name."""
    try:
        return client.read_deployment_by_name(name)
    except ObjectNotFound:
        return None


def version_of(entry: dict[str, Any]) -> str:
    """Return a version that changes with the parameters and schedules in prefect.yaml."""
    content = json.dumps([entry.get("parameters"), entry.get("schedules")], sort_keys=True, default=str)
    return f"prefect.yaml {hashlib.sha256(content.encode()).hexdigest()[:8]}"


def keep_server_state(entry: dict[str, Any], server: DeploymentResponse) -> list[str]:
    """Change an entry of prefect.yaml so that deploying it keeps what was changed on the server.

    Args:
        entry: The entry.
        server: The deployment of the same name on the server.

    Returns:
        Descriptions of what is kept.
    """
    changes = list(find_changes(entry, server))
    entry.setdefault("paused", server.paused)
    if server.version == entry["version"]:
        entry["parameters"] = server.parameters
        entry.pop("schedules", None)  # Prefect then leaves those of the server as they are
        return changes
    active = {schedule.slug: schedule.active for schedule in server.schedules}
    for schedule in entry.get("schedules", []):
        schedule.setdefault("active", active.get(schedule["slug"], True))
    return [change for change in changes if change.endswith("paused")]


def find_changes(entry: dict[str, Any], server: DeploymentResponse) -> Iterator[str]:
    """Yield descriptions of parameters and schedules that are not as in an entry of prefect.yaml."""
    if server.paused:
        yield "the deployment is paused"
    given = entry.get("parameters") or {}
    if names := sorted(name for name in given | server.parameters if given.get(name) != server.parameters.get(name)):
        yield f"parameters differ from prefect.yaml: {', '.join(names)}"
    schedules = {schedule.slug: schedule for schedule in server.schedules}
    for wanted in entry.get("schedules", []):
        found, name = schedules.get(wanted["slug"]), f"schedule {wanted['slug']}"
        if found is None:
            yield f"{name} was deleted"
            continue
        if any(getattr(found.schedule, key, None) != wanted[key] for key in TIMES if key in wanted):
            yield f"{name} has another time than in prefect.yaml"
        if (found.parameters or {}) != (wanted.get("parameters") or {}):
            yield f"{name} has other parameters than in prefect.yaml"
        if not found.active:
            yield f"{name} is paused"


def merge(content: dict[str, Any], client: SyncPrefectClient) -> list[str]:
    """Change the content of prefect.yaml so that deploying it keeps what was changed on the server.

    Returns:
        One line for each deployment that was changed there.
    """
    lines = []
    for entry in content["deployments"]:
        name = name_of(entry)
        entry["version"] = version_of(entry)
        server = read_deployment(client, name)
        if server and (kept := keep_server_state(entry, server)):
            lines.append(f"{name}, as changed on the server: {'; '.join(kept)}.")
        for trigger in entry.get("triggers", []):
            existing = client.read_automations_by_name(trigger["name"])
            if existing and not all(automation.enabled for automation in existing):
                trigger["enabled"] = False
                lines.append(f"{name}, as changed on the server: automation {trigger['name']} is paused.")
    return lines


def create_pool(client: SyncPrefectClient) -> None:
    """Create the work pool unless it exists: it may have been paused or limited by hand.

    Raises:
        CommandError: If Prefect's command fails.
    """
    try:
        client.read_work_pool(POOL)
    except ObjectNotFound:
        run_prefect("work-pool", "create", POOL, "--type", "process")


class CommandError(RuntimeError):
    """One of Prefect's commands failed; the message is its output."""


def run_prefect(*words: str) -> None:
    """Run a Prefect command in the project folder, without its output.

    Raises:
        CommandError: If it fails.
    """
    command = [sys.executable, "-m", "prefect", "--no-prompt", *words]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandError(f"{done.stdout}{done.stderr}".strip())


def deploy(content: dict[str, Any]) -> list[str]:
    """Create or update the work pool and the deployments.

    Args:
        content: Content of prefect.yaml.

    Returns:
        One line for each deployment that was changed on the server, and keeps that.

    Raises:
        CommandError: If one of Prefect's commands fails.
    """
    content = copy.deepcopy(content)
    with get_client(sync_client=True) as client, tempfile.TemporaryDirectory() as folder:
        create_pool(client)
        lines = merge(content, client)
        merged = Path(folder) / "prefect.yaml"
        merged.write_text(yaml.safe_dump(content))
        run_prefect("deploy", "--all", "--prefect-file", str(merged))
    return lines


def main() -> int:
    """Create or update the work pool, the deployments and the automations; return the exit code."""
    try:
        lines = deploy(yaml.safe_load((PROJECT_ROOT / "prefect.yaml").read_text()))
    except CommandError as error:
        print_error(error)
        return 1
    for line in lines:
        print_output(escape_terminal(line))
    automations.create_or_update(automations.crash_silent_runs())
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The automations of the deployment: `python -m flows.server.automations`, which `imdb-compare ui` runs as well."""

import sys
from datetime import timedelta

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from flows.cli.console import print_output

# Prefect sends a heartbeat of a deployment's run every three minutes. A run that misses three is dead.
HEARTBEAT_TIMEOUT_SECONDS = 540
NAME = "imdb-compare: silent runs crashed"


def crash_silent_runs() -> AutomationCore:
    """Return the automation that marks a run without heartbeats as crashed.

    A worker that is killed, or a machine that is switched off, cannot report it. Its run would stay Running for ever,
    and the next run would wait for it.
    """
    return AutomationCore(
        name=NAME,
        description="A run of imdb-compare without a heartbeat for nine minutes is over.",
        trigger=EventTrigger(
            posture=Posture.Proactive,
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.*"},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": "imdb-compare"},
            for_each={"prefect.resource.id"},
            threshold=1,
            within=timedelta(seconds=HEARTBEAT_TIMEOUT_SECONDS),
        ),
        actions=[
            ChangeFlowRunState(
                name="Crashed", state=StateType.CRASHED, message="No heartbeat for nine minutes.", force=False
            )
        ],
    )


def create_or_update(automation: AutomationCore) -> str:
    """Create an automation, or update the one of the same name; duplicates of that name are deleted.

    An automation that is equal already is not written. The server would otherwise forget the runs that it watches, and
    a run that died with its machine would stay Running for ever.

    Returns:
        What was done: created, kept or updated.
    """
    with get_client(sync_client=True) as client:
        existing = client.read_automations_by_name(automation.name)
        if not existing:
            client.create_automation(automation)
            return "created"
        first, *duplicates = existing
        for duplicate in duplicates:
            client.delete_automation(duplicate.id)
        automation = automation.model_copy(update={"enabled": first.enabled})  # it may be paused by hand
        if AutomationCore.model_validate(first.model_dump(include=set(AutomationCore.model_fields))) == automation:
            return "kept"
        client.update_automation(first.id, automation)
        return "updated"


def main() -> int:
    """Create the automations on the server of Prefect's settings, and return the exit code."""
    automation = crash_silent_runs()
    print_output(f"Automation '{automation.name}': {create_or_update(automation)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Automations of the deployment, made once: `python -m flows.server.automations`, which `make ui` runs, too."""

import sys
from datetime import timedelta

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from flows.cli.run import say

# Prefect sends a heartbeat of a deployment's run every three minutes; the third that is missing is one too many.
SILENT_SECONDS = 540
SILENT = "imdb-compare: silent runs crashed"


def silent_runs() -> AutomationCore:
    """Describe the automation that calls a run Crashed of which nothing is heard any more.

    A worker that is killed, or a machine that is switched off, cannot say so itself: its run would be Running for ever,
    and keep the next one waiting.
    """
    return AutomationCore(
        name=SILENT,
        description="A run of imdb-compare without a heartbeat for nine minutes is over.",
        trigger=EventTrigger(
            posture=Posture.Proactive,
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.*"},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": "imdb-compare"},
            for_each={"prefect.resource.id"},
            threshold=1,
            within=timedelta(seconds=SILENT_SECONDS),
        ),
        actions=[
            ChangeFlowRunState(
                name="Crashed", state=StateType.CRASHED, message="No heartbeat for nine minutes.", force=False
            )
        ],
    )


def ensure(wanted: AutomationCore) -> str:
    """Make an automation, or bring the one of that name up to date; further ones of the name are removed.

    One that is as wanted is not touched: the server would forget the runs that it is watching, and a run that died with
    the machine would be Running for ever.

    Returns:
        What was done, in a word.
    """
    with get_client(sync_client=True) as client:
        there = client.read_automations_by_name(wanted.name)
        if not there:
            client.create_automation(wanted)
            return "created"
        for further in there[1:]:
            client.delete_automation(further.id)
        if AutomationCore.model_validate(there[0].model_dump(include=set(AutomationCore.model_fields))) == wanted:
            return "kept"
        client.update_automation(there[0].id, wanted)
        return "brought up to date"


def main() -> int:
    """Make the automations on the server that the settings name, and return the exit code."""
    wanted = silent_runs()
    say(f"Automation '{wanted.name}': {ensure(wanted)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""States that Prefect's server recorded for task runs."""

import time

import httpx


def state_history(api: str, flow_run: str, count: int) -> dict[str, list[str]]:
    """Return the names of the states of each task run of a flow run, once `count` have ended."""
    query = {"flow_runs": {"id": {"any_": [flow_run]}}}
    deadline = time.monotonic() + 20
    runs: list[dict] = []
    while len(runs) < count and time.monotonic() < deadline:  # Prefect writes them down a moment later
        found = httpx.post(f"{api}/task_runs/filter", json=query).json()
        runs = [each for each in found if each["state"]["type"] not in ("RUNNING", "PENDING")]
        time.sleep(0.5)
    states = {each["name"]: httpx.get(f"{api}/task_run_states/", params={"task_run_id": each["id"]}) for each in runs}
    ordered = {name: sorted(answer.json(), key=lambda state: state["timestamp"]) for name, answer in states.items()}
    return {name: [state["name"] for state in each if state["name"] != "Pending"] for name, each in ordered.items()}

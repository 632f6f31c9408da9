"""DNS rebinding in a real browser: a page of another site whose name resolves to this machine. See `make e2e`."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Route, sync_playwright

from tests.helpers.browser import BROWSER, needs_browser
from tests.helpers.runs import query_api, run_server

pytestmark = [pytest.mark.e2e, needs_browser, pytest.mark.failure_mode("exposed-server")]

# Requests a token, creates a flow and a work pool with it, and opens a WebSocket; returns statuses and what was opened.
ATTACK = """async ([name, forged]) => {
  const first = await fetch("/api/csrf-token?client=page", {headers: forged});
  const token = first.ok ? (await first.json()).token : "none";
  const told = {"Content-Type": "application/json", "Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "page"};
  const write = async (path, body) => (
    await fetch(path, {method: "POST", headers: {...told, ...forged}, body: JSON.stringify(body)})
  ).status;
  const statuses = [first.status, await write("/api/flows/", {name}),
    await write("/api/work_pools/", {name, type: "process"})];
  const opened = await new Promise((done) => {
    const socket = new WebSocket(`ws://${location.host}/api/events/in`);
    socket.onopen = () => done(true);
    socket.onerror = () => done(false);
  });
  return {statuses, opened};
}"""
FORGED = {
    "nothing": {},
    "client-and-port": {"X-Forwarded-For": "127.0.0.1:123"},
    "client": {"X-Forwarded-For": "127.0.0.1"},
    "forwarded": {"Forwarded": "for=127.0.0.1;host=127.0.0.1"},
    "everything": {"X-Forwarded-For": "127.0.0.1:123", "X-Forwarded-Host": "127.0.0.1", "X-Real-IP": "127.0.0.1",
        "X-Forwarded-Proto": "http"},
}  # fmt: skip


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a server as `imdb-compare ui` does; return the address of its API."""
    with run_server(tmp_path_factory.mktemp("attacked")) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a browser in which the name of the other site resolves to this machine."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        # Without Chromium's own protection of the local network, which other browsers do not have.
        arguments.append("--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets")
        rebound = "--host-resolver-rules=MAP evil.example 127.0.0.1"
        yield playwright.chromium.launch(executable_path=BROWSER, args=[*arguments, rebound])


def attacked(browser: Browser, page: str, name: str, forged: dict[str, str]) -> dict[str, Any]:
    """Open a page that another site serves; its script sends requests to the server by that page's host and port."""

    def own_page(route: Route) -> None:
        route.fulfill(content_type="text/html", body="<!doctype html><title>A page</title>")

    with browser.new_context() as context:
        opened = context.new_page()
        opened.route(page, own_page)
        opened.goto(page)
        return dict(opened.evaluate(ATTACK, [name, forged]))


def written(api: str, name: str) -> tuple[int, int]:
    """Count the flows and the work pools of that name."""
    flows = query_api(api, "flows/filter", {"flows": {"name": {"any_": [name]}}})
    pools = query_api(api, "work_pools/filter", {"work_pools": {"name": {"any_": [name]}}})
    return len(flows), len(pools)


@pytest.mark.parametrize("kind", FORGED)
def test_a_page_by_dns_rebinding_cannot_write(api: str, browser: Browser, kind: str) -> None:
    name = f"planted-{kind}"
    found = attacked(browser, f"http://evil.example:{httpx.URL(api).port}/attack", name, FORGED[kind])
    assert written(api, name) == (0, 0)
    assert found == {"statuses": [400, 400, 400], "opened": False}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_same_script_on_an_own_page_can_write(api: str, browser: Browser, host: str) -> None:
    name = f"own-{host}"
    found = attacked(browser, f"http://{host}:{httpx.URL(api).port}/attack", name, FORGED["everything"])
    assert written(api, name) == (1, 1)
    assert found == {"statuses": [200, 201, 201], "opened": True}

"""The Prefect UI and the report in a browser: `make e2e`. Screenshots are written to results/e2e."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tasks.config.parameters import Parameters
from tests.conftest import ROOT
from tests.helpers.browser import BROWSER
from tests.helpers.runs import query_api, run_prefect, run_ui, tiny_parameters

pytestmark = pytest.mark.e2e

SCREENSHOTS = ROOT / "results" / "e2e"
NAME = "2026-01-02-nightly"


@pytest.fixture(scope="module")
def served(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Serve the UI, and let a worker run the comparison twice, the second time from the cache."""
    folder = tmp_path_factory.mktemp("pages")
    wanted = tiny_parameters(tiny, folder / "results") | {"architectures": ["simple_rnn", "lstm"], "seeds": 2}
    with run_ui(folder) as environment:
        for name in (NAME, "2026-01-03-nightly"):
            parameters = json.dumps(wanted | {"run_name": name, "nightly_date": name[:10], "new_seeds": 1})
            run_prefect(environment, "deployment", "run", "imdb-compare/default", "--watch", "--params", parameters)
        api = environment["PREFECT_API_URL"]
        (run,) = query_api(api, "flow_runs/filter", {"flow_runs": {"name": {"any_": [NAME]}}})
        found = {"api": api, "site": api.removesuffix("/api") + "/v2", "run": run, "results": folder / "results"}
        yield found | {"environment": environment, "wanted": wanted}


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """Open a page in a browser."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--enable-unsafe-swiftshader", "--disable-dev-shm-usage"]
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(30_000)
        yield page
        browser.close()


def shot(page: Page, name: str, *, whole: bool = False) -> None:
    page.wait_for_timeout(1_500)  # animations
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=whole)


def test_the_run_graph_leads_from_load_to_report(served: dict[str, Any], page: Page) -> None:
    graph = httpx.get(f"{served['api']}/flow_runs/{served['run']['id']}/graph-v2").json()
    labels = {identity: node["label"] for identity, node in graph["nodes"]}
    parents = {node["label"]: {labels[each["id"]] for each in node["parents"]} for _, node in graph["nodes"]}
    assert "load-reviews" in parents["encode-reviews-1.0"]
    trained = {name for name in parents if re.fullmatch(r"(simple_rnn|lstm)-seed-\d+", name)}
    assert len(trained) == 6
    for name in trained:
        assert "encode-reviews-1.0" in parents[name]
    assert trained | {"nb_svm-seed-0"} <= parents["evaluate"]
    plots = {name for name in parents if name.startswith("plot-")}
    assert len(plots) > 8
    assert all("evaluate" in parents[name] for name in plots)
    without_figure = {"plot-nights"}  # the first nightly run has no earlier one to compare with
    assert (plots - without_figure) | {"evaluate"} <= parents["report"]
    page.goto(f"{served['site']}/runs/flow-run/{served['run']['id']}")
    expect(page.get_by_text(NAME).first).to_be_visible()
    expect(page.get_by_text("Completed").first).to_be_visible()
    page.wait_for_timeout(8_000)  # the graph is drawn on a canvas, so nothing tells when it is complete
    menu = page.get_by_role("button").filter(has_not_text=re.compile("[a-z]")).nth(3)
    menu.click()
    page.get_by_text("Hide dependency arrows").click()  # they are hidden in a graph of this size
    page.get_by_text("Hide artifacts").click()
    menu.click()
    shot(page, "run")


def test_the_run_lists_its_tasks_and_artifacts(served: dict[str, Any], page: Page) -> None:
    page.goto(f"{served['site']}/runs/flow-run/{served['run']['id']}?tab=TaskRuns")
    expect(page.get_by_text("simple_rnn-seed-0").first).to_be_visible()
    shot(page, "tasks")
    page.goto(f"{served['site']}/runs/flow-run/{served['run']['id']}?tab=Artifacts")
    expect(page.get_by_text("summary").first).to_be_visible()
    shot(page, "artifacts-of-run")


@pytest.mark.parametrize("key", ["report", "summary", "scores", "nights", "training-lstm-seed-0"])
def test_each_artifact_has_a_page(served: dict[str, Any], page: Page, key: str) -> None:
    page.goto(f"{served['site']}/artifacts/key/{key}")
    expect(page.get_by_text(key).first).to_be_visible()
    shot(page, f"artifact-{key}", whole=True)
    if key == "report":
        (latest,) = query_api(served["api"], "artifacts/latest/filter", {"artifacts": {"key": {"any_": [key]}}})
        page.goto(f"{served['site']}/artifacts/artifact/{latest['latest_id']}")
        page.wait_for_selector("img[src^='data:image/png']", state="attached")
        shot(page, "report-in-prefect-first-screen")
        page.evaluate("() => document.querySelectorAll('details').forEach(one => { one.open = true })")
        # An image has no width before it is decoded.
        page.wait_for_function("() => [...document.querySelectorAll('img')].every(one => one.complete)")
        widths = page.eval_on_selector_all("img[src^='data:image/png']", "all => all.map(one => one.naturalWidth)")
        assert len(widths) >= 3
        assert min(widths) > 100
        shot(page, "report-in-prefect", whole=True)


def test_the_progress_artifact_grows_while_a_trial_runs(served: dict[str, Any], page: Page) -> None:
    longer = {"architectures": ["simple_rnn"], "seeds": 1, "epochs": 200, "patience": 200, "run_name": "longer"}
    asked_for = json.dumps(served["wanted"] | longer)
    run_prefect(served["environment"], "deployment", "run", "imdb-compare/default", "--params", asked_for)
    run = {"flow_runs": {"name": {"any_": ["longer"]}}}
    seen: list[float] = []
    deadline = time.monotonic() + 240
    while (not seen or seen[-1] < 100) and time.monotonic() < deadline:
        found = query_api(served["api"], "artifacts/filter", run | {"artifacts": {"type": {"any_": ["progress"]}}})
        if found and (not seen or found[0]["data"] != seen[-1]):
            seen.append(found[0]["data"])
            if len(seen) == 3:
                page.goto(f"{served['site']}/artifacts/artifact/{found[0]['id']}")
                expect(page.get_by_text("training-simple-rnn-seed-0").first).to_be_visible()
                shot(page, "progress")
        time.sleep(0.2)
    assert seen == sorted(seen)
    assert seen[-1] == 100
    assert len(seen) > 5


def test_the_form_of_the_deployment_describes_its_parameters(served: dict[str, Any], page: Page) -> None:
    found = httpx.get(f"{served['api']}/deployments/name/imdb-compare/default").json()
    page.goto(f"{served['site']}/deployments/deployment/{found['id']}")
    expect(page.get_by_text("imdb-compare").first).to_be_visible()
    shot(page, "deployment")
    page.goto(f"{served['site']}/deployments/deployment/{found['id']}/run")
    expect(page.get_by_text(str(Parameters.model_fields["seeds"].description)).first).to_be_visible()
    shot(page, "form")


def test_the_report_opens_offline(served: dict[str, Any], page: Page) -> None:
    page.goto((served["results"] / "latest" / "report.html").as_uri())
    assert page.locator("img").count() >= 5
    shot(page, "report", whole=True)

"""The report page in a browser, by mouse and keyboard (`make e2e`)."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from tasks.reporting import html, model
from tasks.reporting.formatting import text_table
from tasks.reporting.sections import Section, report_sections
from tests.helpers import synthetic
from tests.helpers.browser import BROWSER, needs_browser
from tests.helpers.rendered import render_figures
from tests.helpers.report_inputs import make_run_info

pytestmark = [pytest.mark.e2e, needs_browser]

ODD = pd.DataFrame(
    {
        "architecture": ["lstm", "nb_svm", "simple_rnn", "deep_lstm", "stacked_lstm"],
        # The fourth and fifth value are equal when rounded.
        "value": [10.2, 9.5, float("nan"), -3.000012, -3.000011],
        "word": ["b", "a 10", "a 9", "B", ""],
    }
)
NAMES = ["LSTM", "NB-SVM", "Simple RNN", "Deep LSTM", "Stacked LSTM"]
RISING = ["Deep LSTM", "Stacked LSTM", "NB-SVM", "LSTM", "Simple RNN"]
FALLING = ["LSTM", "NB-SVM", "Stacked LSTM", "Deep LSTM", "Simple RNN"]
GROUND = "getComputedStyle(document.body).backgroundColor"
LIGHT, DARK = "rgb(255, 255, 255)", "rgb(22, 25, 29)"
# The least contrast of any text with what lies behind it (W3C, WCAG 2.2, "contrast ratio"), and the text.
LEAST_CONTRAST = """() => {
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const linear = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (element) => {
    const color = parts(getComputedStyle(element).backgroundColor);
    return color[3] === 0 ? behind(element.parentElement) : color;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    const pair = [light(parts(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => b - a);
    found.push([(pair[0] + 0.05) / (pair[1] + 0.05), walker.currentNode.data]);
  }
  return found.sort((a, b) => a[0] - b[0])[0];
}"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a report with all tables and figures, and one table with unusual values."""
    folder, frames = tmp_path_factory.mktemp("page"), synthetic.make_all_frames()
    figures = render_figures(frames, folder / "cache")
    sections = [*report_sections(frames), Section("Odd", text_table(ODD))]
    report = model.Report(make_run_info(caveats=["One caveat."]), frames, figures, ["One sentence."], sections)
    (folder / "report.html").write_text(html.render_html(report), encoding="utf-8")
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Open a browser without a network, with the light color scheme."""
    context = browser.new_context(offline=True, color_scheme="light", viewport={"width": 1280, "height": 900})
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, path: Path) -> Page:
    """Open the report with all sections; every error that it logs fails the test."""
    page = context.new_page()
    page.on("console", lambda message: pytest.fail(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.goto(path.as_uri())
    page.evaluate("for (const section of document.querySelectorAll('details')) section.open = true")
    return page


def table(page: Page, title: str) -> Locator:
    return page.get_by_role("table", name=title, exact=True)


def names(odd: Locator) -> list[str]:
    """Return the visible row headers, from top to bottom."""
    return odd.locator("tbody th:visible").all_text_contents()


def hide_architecture(page: Page, name: str) -> Locator:
    switch = page.get_by_role("checkbox", name=name, exact=True)
    switch.uncheck()
    return switch


def read_tooltip(figure: Locator) -> str:
    """Return the text that CSS shows next to a number, or `none`."""
    return figure.evaluate("cell => getComputedStyle(cell, '::after').content").strip('"')


def test_sections_are_closed_until_they_are_opened_or_printed(page: Page) -> None:
    page.reload()
    expect(page.get_by_text("One sentence.")).to_be_in_viewport()
    expect(table(page, "Odd")).to_be_hidden()
    page.get_by_text("Odd", exact=True).click()
    expect(table(page, "Odd")).to_be_visible()
    expect(table(page, "Summary")).to_be_hidden()
    page.get_by_role("button", name="Open all sections").click()
    expect(page.locator("details:not([open])")).to_have_count(0)
    page.reload()
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    expect(table(page, "Summary")).to_be_visible()


def test_click_sorts_by_exact_number_and_second_click_reverses(page: Page) -> None:
    odd = table(page, "Odd")
    assert names(odd) == NAMES
    head = odd.get_by_role("columnheader", name="Value")
    head.get_by_role("button").click()
    assert names(odd) == RISING
    expect(head).to_have_attribute("aria-sort", "ascending")
    head.get_by_role("button").click()
    assert names(odd) == FALLING
    expect(head).to_have_attribute("aria-sort", "descending")


def test_texts_sort_alphabetically_by_one_column_at_a_time(page: Page) -> None:
    odd = table(page, "Odd")
    odd.get_by_role("button", name="Value").click()
    odd.get_by_role("button", name="Word").click()
    assert odd.locator("tbody td:last-child").all_text_contents() == ["", "a 9", "a 10", "b", "B"]
    assert odd.locator("[aria-sort]").all_text_contents() == ["Word"]


def test_keyboard_sorts(page: Page) -> None:
    odd = table(page, "Odd")
    odd.get_by_role("button", name="Architecture").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert names(odd) == RISING
    page.keyboard.press("Space")
    assert names(odd) == FALLING
    button = odd.get_by_role("button", name="Value")
    expect(button).to_be_focused()
    assert button.evaluate("button => getComputedStyle(button).outlineStyle") == "solid"


def test_every_table_sorts_by_every_column(page: Page) -> None:
    for each in page.locator("table:has(thead)").all():
        rows = each.locator("tbody tr").count()
        for button in each.locator("thead button").all():
            button.click()
        values = each.locator("tbody tr td:last-child[data-value]").evaluate_all(
            "cells => cells.map(cell => Number(cell.dataset.value))"
        )
        assert values == sorted(values)
        assert each.locator("tbody tr").count() == rows


def test_architecture_is_hidden_in_every_table_and_shown_again(page: Page) -> None:
    shown = page.locator("[data-architecture='LSTM']:visible")
    rows, before = page.locator("tbody tr:visible"), page.locator("tbody tr:visible").count()
    about = page.locator("tbody tr:has(th[data-architecture='LSTM'])").count()
    titles = ["Summary", "Precision, recall and F1 by class", "Cost", "Odd"]
    assert about > len(titles)
    others = table(page, "Disagreement between architectures").locator("thead th:visible")
    heads = others.count()
    switch = hide_architecture(page, "LSTM")
    assert shown.count() == 0
    assert rows.count() == before - about
    assert others.count() == heads - 1
    for title in titles:
        assert "LSTM" not in names(table(page, title))
        assert "Bidirectional LSTM" in names(table(page, title)) or title == "Odd"
    table(page, "Odd").get_by_role("button", name="Value").click()
    assert names(table(page, "Odd")) == [name for name in RISING if name != "LSTM"]
    switch.check()
    assert rows.count() == before
    assert names(table(page, "Odd")) == RISING
    assert others.count() == heads


def test_keyboard_skips_to_the_report_and_hides_an_architecture(page: Page) -> None:
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the report")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    first = page.get_by_role("checkbox").first
    expect(first).to_be_focused()
    page.keyboard.press("Space")
    expect(first).not_to_be_checked()
    assert "Simple RNN" not in names(table(page, "Odd"))


def test_theme_follows_control_and_system(page: Page) -> None:
    page.emulate_media(color_scheme="light")
    assert page.evaluate(GROUND) == LIGHT
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(GROUND) == DARK
    page.get_by_role("radio", name="light").check()
    assert page.evaluate(GROUND) == LIGHT
    page.keyboard.press("ArrowRight")
    page.emulate_media(color_scheme="light")
    assert page.evaluate(GROUND) == DARK
    page.get_by_role("radio", name="auto").check()
    assert page.evaluate(GROUND) == LIGHT


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast(page: Page, scheme: str) -> None:
    page.get_by_role("radio", name=scheme).check()
    least, text = page.evaluate(LEAST_CONTRAST)
    assert least >= 4.5, text
    plates = page.locator("img").evaluate_all("all => all.map(one => getComputedStyle(one).backgroundColor)")
    assert set(plates) == {LIGHT}


def test_exact_value_is_shown_on_hover_and_focus(page: Page) -> None:
    figure = table(page, "Odd").locator("td[data-exact]").last
    assert read_tooltip(figure) == "none"
    figure.hover()
    assert read_tooltip(figure) == "-3.000011"
    page.mouse.move(0, 0)
    assert read_tooltip(figure) == "none"
    figure.focus()
    assert read_tooltip(figure) == "-3.000011"


def test_arrow_keys_move_between_the_numbers_of_a_table(page: Page) -> None:
    hide_architecture(page, "NB-SVM")
    odd = table(page, "Odd")
    odd.get_by_role("button", name="Word").focus()
    for key, exact in (("Tab", "10.2"), ("ArrowDown", "-3.000012"), ("ArrowRight", "-3.000012"), ("ArrowUp", "10.2")):
        page.keyboard.press(key)
        if key != "ArrowRight":
            expect(page.locator("td:focus")).to_have_attribute("data-exact", exact)
    assert odd.locator("td[tabindex='0']").count() == 1


def test_print_has_no_controls_and_no_dark_colors(page: Page) -> None:
    page.get_by_role("radio", name="dark").check()
    table(page, "Odd").get_by_role("button", name="Value").click()
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(GROUND) == LIGHT
    assert page.locator("input:visible, .skip:visible, .controls:visible").count() == 0
    arrow = table(page, "Odd").locator("[aria-sort] button")
    assert arrow.evaluate("button => getComputedStyle(button, '::after').display") == "none"
    page.set_viewport_size({"width": 718, "height": 1000})  # what A4 leaves between its margins
    assert page.evaluate("document.documentElement.scrollWidth") <= 718
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_narrow_screen_scrolls_tables_and_not_the_page(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    wide = page.locator(".scroll", has=table(page, "Summary"))
    assert wide.evaluate("box => box.scrollWidth > box.clientWidth && box.clientWidth < 390")
    notes = page.locator("td.long").evaluate_all("cells => cells.map(cell => cell.offsetWidth)")
    assert 0 < max(notes) < 390
    figure = table(page, "Summary").locator("td[data-exact]").first
    figure.focus()
    assert figure.evaluate("cell => getComputedStyle(cell, '::after').position") == "fixed"


def test_page_without_scripts_shows_all_rows_and_no_control(page: Page, browser: Browser, path: Path) -> None:
    context = browser.new_context(java_script_enabled=False, offline=True)
    bare = context.new_page()
    bare.goto(path.as_uri())
    for heading in bare.locator("summary").all():
        heading.click()
    assert bare.locator("input:visible, button:visible, .controls:visible").count() == 0
    assert bare.locator("tr:visible").count() == page.locator("tr:visible").count() > 50
    assert bare.locator("img:visible").count() == page.locator("img:visible").count() > 5
    figure = table(bare, "Odd").locator("td[data-exact]").last
    figure.hover()
    assert read_tooltip(figure) == "-3.000011"
    context.close()


def test_only_own_script_runs(context: BrowserContext, path: Path, tmp_path: Path) -> None:
    ran = "document.documentElement.dataset.ran = 1"
    injected = f'<script>{ran}</script><img src="x" onerror="{ran}"><style>h1 {{ color: red }}</style><main'
    (tmp_path / "injected.html").write_text(path.read_text().replace("<main", injected), encoding="utf-8")
    page = context.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto((tmp_path / "injected.html").as_uri())
    assert page.evaluate("document.documentElement.dataset.ran") is None
    assert page.locator("h1").evaluate("head => getComputedStyle(head).color") != "rgb(255, 0, 0)"
    assert sum("Content Security Policy" in line for line in refused) >= 3
    expect(page.get_by_role("checkbox").first).to_be_visible()  # its own script did run


def test_page_is_one_file_of_at_most_5_mb_without_requests(context: BrowserContext, path: Path) -> None:
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri(), wait_until="load")
    page.get_by_role("radio", name="dark").check()
    page.get_by_role("button", name="Open all sections").click()
    table(page, "Odd").get_by_role("button", name="Value").click()
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    assert page.locator("img").evaluate_all("all => all.every(one => one.naturalWidth > 100)")
    assert path.stat().st_size <= 5_000_000


def test_page_has_accessible_names_and_headings(page: Page) -> None:
    assert page.locator("html").get_attribute("lang") == "en"
    levels = page.locator("h1, h2, h3").evaluate_all("all => all.map(one => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert page.locator("th:not([scope])").count() == 0
    assert page.locator("img:not([alt]), img[alt='']").count() == 0
    ids = page.locator("[id]").evaluate_all("all => all.map(one => one.id)")
    assert len(ids) == len(set(ids))
    named = page.locator("table").evaluate_all("all => all.map(one => one.getAttribute('aria-labelledby'))")
    assert set(named) <= set(ids)
    expect(page.get_by_role("group", name="Theme:").get_by_role("radio")).to_have_count(3)
    expect(page.get_by_role("group", name="Architectures in the tables:").get_by_role("checkbox").first).to_be_visible()

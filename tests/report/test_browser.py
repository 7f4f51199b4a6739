"""The page in a real browser: Debian's chromium, headless, through playwright."""

import os
import shutil

import pytest

from stnas.report import write_report
from stnas.store.files import read_json, read_rows

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install 'stnas[browser]'"
)
CHROMIUM = os.environ.get("STNAS_CHROMIUM") or shutil.which("chromium")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on PATH: apt-get install chromium, or set STNAS_CHROMIUM"
)
PATIENCE = 120_000
"""Milliseconds that a busy machine may take."""
WIDTHS = (390, 768, 1280)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, build_run):
    stages = ("train", "sgld", "search", "retrain", "rank")
    folder = build_run(tmp_path_factory.mktemp("runs") / "run", stages=stages)
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, folder):
    """Open the page with a width and a theme; whatever it complains of fails the test."""
    contexts, complaints = [], []

    def open_page(*, width=1280, theme="light", address=""):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"file://{folder / 'report/report.html'}{address}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_out_of_sight_at_any_width(visit, width):
    page = visit(width=width)
    page.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    beyond = page.evaluate(
        """[...document.querySelectorAll("td, th, .architecture, button, select, code")]
        .filter((part) => part.getBoundingClientRect().right > innerWidth + 1)
        .map((part) => part.outerHTML.slice(0, 80))"""
    )
    assert beyond == []
    drawing = page.locator(".pane .architecture").first.bounding_box()
    assert 0 < drawing["width"] <= width


def brightness(page, selector, key):
    colour = page.locator(selector).first.evaluate(f"(part) => getComputedStyle(part).{key}")
    return sum(float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]) / 3


@pytest.mark.parametrize(("theme", "dark"), [("light", False), ("dark", True)])
def test_both_themes_can_be_read(visit, theme, dark):
    page = visit(theme=theme)
    paper, ink = (brightness(page, "body", key) for key in ("backgroundColor", "color"))
    assert (paper < ink) is dark
    assert abs(paper - ink) > 150
    axis = brightness(page, ".xtick text", "fill")
    assert abs(paper - axis) > 150


def test_the_slider_picks_the_least_loss_under_the_budget(visit, folder):
    page = visit()
    rows = sorted(read_rows(folder / "search/archive.jsonl"), key=lambda row: row["madds"])
    place = 24
    page.locator("#budget").evaluate(
        """(slider, value) => {
            slider.value = value;
            slider.dispatchEvent(new Event("input"));
        }""",
        round(1000 * place / (len(rows) - 1)),
    )
    best = min(rows[: place + 1], key=lambda row: row["loss"])
    assert page.locator("#budget-value").text_content() == f"{rows[place]['madds']:,}"
    assert page.locator("#picked-genotype").text_content() == best["genotype"]
    command = page.locator("#picked-command").text_content()
    assert command.endswith(f"""--retrain.genotypes '["{best["genotype"]}"]'""")
    assert page.url.endswith(f"#{best['genotype']}")


def point_of(page, genotype):
    """Return where a candidate is drawn, in pixels of the window."""
    page.locator("[data-figure=scatter]").scroll_into_view_if_needed()
    return page.evaluate(
        """(genotype) => {
            const place = document.querySelector("[data-figure=scatter]");
            const { x, y, text } = place.data[0];
            const at = text.indexOf(genotype);
            const { xaxis, yaxis, _size } = place._fullLayout;
            const box = place.getBoundingClientRect();
            return [
              box.left + _size.l + xaxis.d2p(x[at]), box.top + _size.t + yaxis.d2p(y[at]),
            ];
        }""",
        genotype,
    )


def test_pointing_tells_what_a_candidate_is_and_a_click_selects_it(visit, folder):
    page = visit()
    rows = read_rows(folder / "search/archive.jsonl")
    lowest = min(rows, key=lambda row: row["accuracy"])
    page.mouse.move(*point_of(page, lowest["genotype"]))
    told = page.locator(".hoverlayer .hovertext").first.text_content()
    assert lowest["genotype"] in told
    assert f"{lowest['madds']:,} multiply-adds" in told
    page.mouse.click(*point_of(page, lowest["genotype"]))
    page.wait_for_function(
        "(text) => document.getElementById('picked-genotype').textContent === text",
        arg=lowest["genotype"],
    )
    ring = page.evaluate(
        "document.querySelector('[data-figure=scatter]').data.find((t) => t.name === 'selected').x"
    )
    assert ring == [lowest["madds"]]


def test_copy_takes_the_genotype_or_selects_it(visit):
    page = visit()
    button = page.locator(".copy[data-of=picked-genotype]")
    button.click()
    page.wait_for_function(
        "document.querySelector('.copy[data-of=picked-genotype]').textContent !== 'copy'"
    )
    if button.text_content() == "selected":
        selected = page.evaluate("getSelection().toString()")
        assert selected == page.locator("#picked-genotype").text_content()


def test_the_address_brings_a_selection_back(visit, folder):
    row = read_rows(folder / "search/archive.jsonl")[7]
    page = visit(address=f"#{row['genotype']}")
    assert page.locator("#picked-genotype").text_content() == row["genotype"]


def test_two_architectures_stand_side_by_side_with_their_differences(visit, folder):
    page = visit()
    front = read_json(folder / "search/front.json")["front"]
    wanted = min(front, key=lambda row: row["madds"])["genotype"]
    places = page.evaluate(
        "JSON.parse(document.getElementById('architectures').textContent).map((r) => r.genotype)"
    )
    selects = page.locator(".pane select")
    selects.nth(0).select_option(str(places.index(wanted)))
    selects.nth(1).select_option(str(places.index(wanted)))
    assert page.locator("#differences tbody tr").count() == 0
    other = next(place for place, genotype in enumerate(places) if genotype != wanted)
    selects.nth(1).select_option(str(other))
    count = page.locator("#differences tbody tr").count()
    assert count > 0
    assert page.locator(".pane .differs").count() >= count
    assert page.locator(".pane code").nth(1).text_content() == places[other]


def test_paper_is_light_in_the_dark(visit):
    page = visit(theme="dark")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert brightness(page, "section", "backgroundColor") > 200
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert brightness(page, "section", "backgroundColor") < 100

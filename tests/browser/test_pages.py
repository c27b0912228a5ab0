"""The report opened from a file in Chromium, without a network: what a reader sees on a desk, a phone and paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

WIDTHS = {"desk": 1280, "phone": 390}
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}


@pytest.fixture(params=WIDTHS)
def page(request: pytest.FixtureRequest, browser: Browser, page_path: Path) -> Iterator[Page]:
    """The report, whose console must stay silent."""
    scheme = "dark" if request.param == "phone" else "light"
    width = WIDTHS[request.param]
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    opened = context.new_page()
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.goto(page_path.as_uri())
    yield opened
    context.close()
    assert said == []


def look_around(page: Page, scan: str) -> None:
    """Open a scan in the viewer."""
    page.locator(f"button[data-scan={scan}]").click()
    page.wait_for_function("document.querySelector('[data-part=where]').textContent")


def figures(page: Page) -> str:
    return page.locator("[data-part=figures]").inner_text()


def slide(page: Page, part: str, value: int) -> None:
    page.locator(f"[data-part={part}]").evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }", value
    )


def picture(page: Page, plane: str = "axial") -> str:
    return page.locator(f"[data-part={plane}]").evaluate("canvas => canvas.toDataURL()")


def test_the_page_is_as_wide_as_the_screen_and_keeps_the_rows_names_in_sight(page: Page) -> None:
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    table = page.locator("table.rows")
    table.locator("xpath=..").evaluate("box => { box.scrollLeft = 10000; }")
    first = table.locator("tbody th").first.bounding_box()
    assert first and first["x"] >= 0
    if width == WIDTHS["desk"]:
        wide = "[...document.querySelectorAll('.scroll')].filter(box => box.scrollWidth > box.clientWidth + 1).length"
        assert page.evaluate(wide) == 0, "a table does not fit"


def test_every_link_of_the_page_lands_where_it_leads(page: Page) -> None:
    for target in page.locator("a[href^='#']").evaluate_all("links => links.map(link => link.getAttribute('href'))"):
        assert page.locator(f"[id='{target[1:]}']").count() == 1, target
    page.evaluate("document.documentElement.style.scrollBehavior = 'auto'")
    link = page.locator("a.case").last
    name = str(link.get_attribute("href"))[1:]
    link.click()
    page.wait_for_timeout(300)  # pictures are loaded on the way
    top = page.locator(f"[id='{name}']").evaluate("figure => figure.getBoundingClientRect().top")
    bottom = page.evaluate("document.documentElement.scrollHeight - scrollY - innerHeight")
    assert abs(top) < 40 or bottom < 2, "the jump lands elsewhere"


def test_the_viewer_opens_in_view_under_its_heading_with_a_legend(page: Page) -> None:
    scan = page.locator("button[data-scan]").last.get_attribute("data-scan")
    assert scan
    look_around(page, scan)
    heading, slices = page.locator(f"#scan-{scan} figcaption"), page.locator("[data-part=axial]")
    tops = [part.evaluate("part => part.getBoundingClientRect().top") for part in (heading, slices)]
    height = page.viewport_size["height"] if page.viewport_size else 0
    assert -1 <= tops[0] < tops[1] < height / 2
    assert "outline of the lesion" in page.locator("#viewer .legend").inner_text()


def test_the_lesions_outline_lies_on_top_of_the_map(page: Page) -> None:
    look_around(page, "sub-testpatient6")
    slide(page, "mask-opacity", 100)
    slide(page, "map-opacity", 100)
    slide(page, "threshold", 1)
    count = """canvas => { const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let n = 0; for (let i = 0; i < data.length; i += 4) n += data[i] === 55 && data[i + 1] === 224; return n; }"""
    page.locator("[data-part=axial]").press("PageUp")
    assert page.locator("[data-part=axial]").evaluate(count) > 200


def test_the_viewer_measures_as_the_evaluation_did(page: Page, page_path: Path) -> None:
    row = page.locator("#patients ~ div tbody tr").first
    cells = row.locator("td").all_inner_texts()
    scan = row.locator("th").inner_text()
    look_around(page, scan)
    assert "(that of Dice)" in page.locator("[data-part=at]").inner_text()
    assert cells[2] in figures(page)[-30:] and cells[2].split()[0] in figures(page)
    dice = re.findall(r"Dice ([0-9.]+)$", figures(page))
    assert float(dice[0]) == pytest.approx(float(cells[1]), abs=0.005)


def test_the_threshold_moves_the_overlay_and_the_numbers(page: Page) -> None:
    look_around(page, "sub-testpatient6")
    before, drawn = figures(page), picture(page)
    slide(page, "threshold", 1)
    assert figures(page) != before and picture(page) != drawn
    marked_ml = float(figures(page).split()[0])
    assert marked_ml > float(before.split()[0]), "a lower threshold marks more"


def test_the_viewer_jumps_switches_and_fades(page: Page) -> None:
    look_around(page, "sub-testpatient6")
    where = page.locator("[data-part=where]")
    assert where.inner_text().endswith("lesion"), "it opens at the lesion"
    places = [where.inner_text()]
    for part in ("false", "false", "hottest", "lesion"):
        page.locator(f"[data-part={part}]").click()
        places.append(where.inner_text())
    assert len(set(places)) >= 4 and places[0] == places[-1]
    drawn = picture(page)
    slide(page, "mask-opacity", 0)
    without = picture(page)
    slide(page, "scan-opacity", 0)
    assert len({drawn, without, picture(page)}) == 3
    before = figures(page)
    page.locator("[data-part=experiment]").select_option("untrained-gaussian")
    page.wait_for_function("before => document.querySelector('[data-part=figures]').textContent !== before", arg=before)


def test_the_crosshair_is_one_for_all_planes_and_follows_pointer_and_keys(page: Page) -> None:
    look_around(page, "sub-testpatient6")
    where, coronal = page.locator("[data-part=where]"), picture(page, "coronal")
    page.locator("[data-part=axial]").click(position={"x": 60, "y": 60})
    x, y, z = (int(number) for number in re.findall(r"[xyz] (-?\d+)", where.inner_text().replace("−", "-")))
    assert x > 0 and y > 0, "the patient's right is on the left, and the front above"
    assert picture(page, "coronal") != coronal
    page.locator("[data-part=axial]").press("PageUp")
    assert f"z {z + 5}" in where.inner_text().replace("−", "-")


def test_terms_are_explained_by_keyboard(page: Page) -> None:
    term = page.locator("button.term[popovertarget=term-threshold]").first
    term.focus()
    page.keyboard.press("Enter")
    explained = page.locator("#term-threshold")
    assert explained.is_visible() and "healthy validation scans" in explained.inner_text()
    page.keyboard.press("Escape")
    assert not explained.is_visible()


def test_nobody_is_kept_out(page: Page) -> None:
    look_around(page, "sub-testpatient6")
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()


def test_a_scan_whose_volumes_were_left_behind_is_said_to_be(browser: Browser, page_path: Path, tmp_path: Path) -> None:
    alone = tmp_path / "index.html"
    alone.write_bytes(page_path.read_bytes())
    opened = browser.new_page()
    opened.goto(alone.as_uri())
    opened.locator("button[data-scan]").first.click()
    opened.wait_for_function(
        "document.querySelector('[data-part=message]').textContent.includes('does not lie beside')"
    )
    opened.close()


def test_on_paper_nothing_is_cut(browser: Browser, page_path: Path) -> None:
    opened = browser.new_page(viewport={"width": 703, "height": 1000})  # A4 between the margins, in CSS pixels
    opened.emulate_media(media="print")
    opened.goto(page_path.as_uri())
    parts = opened.locator("table, figure img, figure svg")
    assert max(parts.evaluate_all("parts => parts.map(part => part.getBoundingClientRect().right)")) <= 704
    assert len(opened.pdf(format="A4")) > 50_000
    opened.close()


@pytest.mark.parametrize("width", WIDTHS.values())
def test_quality_control_fits_and_keeps_nobody_out(browser: Browser, quality_path: Path, width: int) -> None:
    opened = browser.new_page(viewport={"width": width, "height": 900})
    opened.goto(quality_path.as_uri())
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    table = opened.locator("section.scroll").first
    if width == WIDTHS["desk"]:
        assert table.evaluate("box => box.scrollWidth <= box.clientWidth + 1"), "the table does not fit"
    hard = opened.locator("header a")
    assert hard.count() == 1 and opened.locator(str(hard.get_attribute("href")).replace("#", "figure#")).count() == 1
    cue = table.evaluate("box => getComputedStyle(box).backgroundAttachment")
    assert cue.startswith("local, local, scroll, scroll"), "a shadow says what is off the screen"
    assert opened.locator("footer").inner_text().startswith("Made by stfpm3d")
    found = Axe().run(opened, options=RULES)
    assert found.violations_count == 0, found.generate_report()
    opened.close()


@pytest.mark.parametrize("width", WIDTHS.values())
def test_predictions_can_be_read_whole_and_keep_nobody_out(
    browser: Browser, predictions_path: Path, width: int
) -> None:
    opened = browser.new_page(viewport={"width": width, "height": 900})
    opened.goto(predictions_path.as_uri())
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    cut = """[...document.querySelectorAll('img, table')].filter(part => part.getBoundingClientRect().right
        > part.closest('.card').getBoundingClientRect().right && !part.closest('.scroll')).length"""
    assert opened.evaluate(cut) == 0, "what does not fit cannot be scrolled to"
    cells = opened.locator("#scans tbody tr > *").evaluate_all(
        "cells => cells.map(cell => [cell.scrollWidth, cell.clientWidth])"
    )
    assert all(needed <= given for needed, given in cells), "a cell runs into the next"
    tops = [
        opened.locator(place).first.evaluate("part => part.offsetTop") for place in ("#scans", "#refused", "#sub-01")
    ]
    assert tops == sorted(tops) and tops[0] < 900, "all scans are on the first screen, and a refused one before others"
    for link in opened.locator("#scans a, h1 a").evaluate_all("links => links.map(link => link.hash.slice(1))"):
        assert opened.locator(f"[id='{link}']").count() == 1
    found = Axe().run(opened, options=RULES)
    assert found.violations_count == 0, found.generate_report()
    opened.close()

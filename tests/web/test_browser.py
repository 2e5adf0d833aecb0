"""The dashboard in a real browser, inside Airflow: drawn, read, filtered and walked through with the keyboard alone."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Error

from crossdock.ledger.counts import count

CHARTS = 6
DRAWN = "html[data-drawn=all]"


@pytest.fixture(params=["light", "dark"])
def page_of(browser, address, token, request):
    """Opens a page as a user."""
    contexts = []

    def of(user):
        look = {"color_scheme": request.param, "viewport": {"width": 1280, "height": 900}, "locale": "en-GB"}
        contexts.append(browser.new_context(**look))
        contexts[-1].add_cookies([{"name": "_token", "value": token(user), "url": address}])
        opened = contexts[-1].new_page()
        opened.wrong = []
        opened.on("console", lambda message: opened.wrong.append(message.text) if message.type == "error" else None)
        opened.on("pageerror", lambda error: opened.wrong.append(str(error)))
        return opened

    yield of
    for context in contexts:
        context.close()


@pytest.fixture
def page(page_of):
    return page_of("viewer")


def violations(page):
    found = Axe().run(page).response["violations"]
    return [(each["id"], each["nodes"][0]["html"][:200]) for each in found]


def test_it_is_drawn_from_its_tables_and_nothing_else(page, address, exchange):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/crossdock/?lang=en")
    page.wait_for_selector(DRAWN)
    assert page.locator("figure .chart svg.main-svg").count() >= CHARTS
    assert page.locator("figure .sankey-node").count() >= 8
    shares = count(exchange.state, exchange.store, by=()).shares
    assert page.locator('[data-counter="shares"]').inner_text() == f"{shares:,}"
    assert {re.match(r"\w+://[^/]+", url).group() for url in asked if not url.startswith("data:")} == {address}
    # The library carries a map engine, whose style our policy keeps out; nothing else is wrong.
    assert [text for text in page.wrong if "inline style violates" not in text] == []


def test_markup_does_not_run(page, address):
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(f"{address}/crossdock/?lang=zh")
    page.wait_for_selector(DRAWN)
    page.goto(f"{address}/crossdock/datasets/transport/flights?lang=zh")
    page.wait_for_selector(DRAWN)
    assert "alert('航班')" in page.locator("h1").inner_text()
    assert dialogs == []


def test_every_chart_has_a_name_and_a_table(page, address):
    page.goto(f"{address}/crossdock/?lang=en")
    page.wait_for_selector(DRAWN)
    figures = page.locator("figure").all()
    assert len(figures) == CHARTS
    for figure in figures:
        caption = figure.locator("figcaption").inner_text()
        assert caption in figure.locator(".chart").get_attribute("aria-label")
        figure.locator("summary").click()
        assert figure.locator("tbody tr").first.is_visible()
        assert figure.locator("thead th[scope=col]").count() >= 2
    for table in page.locator("main table").all():
        assert table.get_attribute("aria-labelledby") or table.locator("xpath=preceding::h3[1]").count()
    assert page.locator("main h1").count() == 1


def test_the_keyboard_is_enough(page, address):
    page.goto(f"{address}/crossdock/?lang=en")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    seen = []
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.name || document.activeElement.tagName"))
    assert seen.index("department") < seen.index("from") < seen.index("until") < seen.index("BUTTON")
    page.locator("select[name=department]").focus()
    page.keyboard.type("Tax")
    page.locator("form button").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**department=tax**")
    assert "Tax Service" in page.locator("h1").inner_text()
    assert "lang=en" in page.url
    page.locator("figure summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("figure tbody tr").first.is_visible()


def test_text_stands_out_from_its_background(page, address):
    page.goto(f"{address}/crossdock/?lang=en")
    page.wait_for_selector(DRAWN)
    for ratio, what in page.evaluate(CONTRAST):
        assert ratio >= 4.5, what


@pytest.mark.parametrize("language", ["zh", "en"])
def test_axe_finds_nothing(page, address, made, verdict, language):
    delivery = made["public_security/population", "tax"].id
    population = "public_security/population"
    paths = ["", "?department=tax", f"datasets/{population}", f"agreements/{population}/tax", f"verdicts/{verdict}"]
    for path in [*paths, f"deliveries/{delivery}"]:
        page.goto(f"{address}/crossdock/{path}{'&' if '?' in path else '?'}lang={language}")
        if page.locator("figure").count():
            page.wait_for_selector(DRAWN)
        assert violations(page) == [], path


def test_a_small_screen_is_enough(page, address, made, verdict):
    page.set_viewport_size({"width": 360, "height": 740})
    delivery = made["public_security/population", "tax"].id
    population = "public_security/population"
    paths = [
        "",
        f"datasets/{population}",
        f"agreements/{population}/tax",
        f"verdicts/{verdict}",
        f"deliveries/{delivery}",
    ]
    for path in paths:
        page.goto(f"{address}/crossdock/{path}?lang=zh")
        if page.locator("figure").count():
            page.wait_for_selector(DRAWN)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        assert violations(page) == [], path  # what is wider than the screen can be scrolled with the keyboard


LOOKED_UP = {
    "zh": ("谁收到了我的数据", "接收情况", {"税务局", "卫生健康委员会"}),
    "en": ("Who received my data", "Received by", {"Tax Service", "Health Commission"}),
}


@pytest.mark.parametrize("language", LOOKED_UP)
def test_somebody_is_looked_up_with_the_keyboard_alone(page_of, address, somebody, language):
    page, (question, answer, consumers) = page_of("admin"), LOOKED_UP[language]
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/crossdock/?lang={language}")
    page.get_by_role("link", name=question).press("Enter")
    page.get_by_role("heading", name=question).wait_for()
    assert violations(page) == []
    page.locator("#subject").focus()
    page.keyboard.type(f" {somebody.lower()} ")
    page.keyboard.press("Tab")
    page.keyboard.type("At the counter.")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=answer).wait_for()
    table = page.locator("table[aria-labelledby=received]")
    assert table.locator("tbody tr").count() >= 2
    assert consumers <= set(table.locator("td:nth-child(2)").all_inner_texts())
    for ratio, what in page.evaluate(CONTRAST):
        assert ratio >= 4.5, what
    assert violations(page) == []
    assert page.input_value("#subject") == ""
    assert somebody.upper() not in page.content().upper()
    assert not [url for url in asked if somebody.upper() in url.upper()]  # nor in the browser's history
    page.locator("table[aria-labelledby=received] a[href*='/deliveries/']").first.press("Enter")
    page.wait_for_url("**/deliveries/**")
    with pytest.raises(Error, match="ERR_CACHE_MISS"):  # the browser keeps neither question nor answer
        page.go_back()
    assert [text for text in page.wrong if "inline style violates" not in text] == []  # see above


@pytest.mark.parametrize(("language", "said"), [("zh", "您无权查询"), ("en", "You may not look people up")])
def test_who_may_not_look_people_up_is_told_so(page, address, language, said):
    answer = page.goto(f"{address}/crossdock/who?lang={language}")
    assert answer.status == 403
    assert said in page.locator("main").inner_text()
    assert page.locator("form").count() == 0
    assert violations(page) == []
    page.goto(f"{address}/crossdock/?lang={language}")
    assert page.locator("a[href*='/who']").count() == 0


@pytest.mark.parametrize("language", ["zh", "en"])
def test_pages_of_what_there_is_not_are_pages_too(page, address, language):
    for path in ("datasets/no/no", "nothing", "?from=x"):
        page.goto(f"{address}/crossdock/{path}{'&' if '?' in path else '?'}lang={language}")
        assert violations(page) == [], path


def test_it_shows_inside_of_airflow(page, address):
    page.goto(f"{address}/plugin/crossdock")
    frame = page.frame_locator("iframe")
    frame.locator(DRAWN).wait_for(state="attached", timeout=60_000)
    assert frame.locator("figure .chart svg.main-svg").count() >= CHARTS
    frame.get_by_role("link", name="中文").click()
    frame.get_by_role("heading", name="质量").wait_for()
    frame.locator("#latest ~ div a[href*='/deliveries/']").first.click()
    frame.get_by_role("heading", name="账本与证明").wait_for()


CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, place) => sum + c * [0.2126, 0.7152, 0.0722][place], 0);
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = rgb(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *:not(svg *)")]
    .filter((each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()))
    .map((each) => {
      const [one, two] = [light(rgb(getComputedStyle(each).color)), light(ground(each))];
      return [(Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05), each.outerHTML.slice(0, 120)];
    });
}"""

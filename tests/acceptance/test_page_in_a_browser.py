"""The page in a real browser: with a script and without, by keyboard, on a telephone, and for who cannot see it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("playwright", reason="no Playwright: pip install '.[browser]'")
pytest.importorskip("axe_playwright_python", reason="no axe: pip install '.[browser]'")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from refsync.pending_queue.models import AuditOperation
from tests.support.browser import NARROW, WIDE, chromium, open_browser, tab
from tests.support.page import IMAGES, Stage, model, open_page, play

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium() is None, reason="no chromium: apt-get install chromium"),
]
ADDRESSES = {
    "log-in": "/login",
    "queue": "/?status=any",
    "change": "/changes/5",
    "landed change": "/changes/1",
    "submit": "/submit",
    "edit": "/submit?category=image_generation&model=Deliberate",
    "new model": "/submit?category=image_generation&model=new",
    "batches": "/batches",
    "batch": "/batches/2",
    "models": "/models?category=image_generation",
    "model": "/model?category=image_generation&model=stable_diffusion",
    "model and its history": "/model?category=image_generation&model=stable_diffusion&told=yes",
    "status": "/status",
    "refused": "/changes/999",
}
_NAMES = "checkbox chevron minus search invalid valid date time close loading"
PICTURES = f"""() => "{_NAMES}".split(" ").map((name) =>
    getComputedStyle(document.documentElement).getPropertyValue("--pico-icon-" + name)).join()"""
"""What Pico draws with, which the policy allows from files only."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with open_page(tmp_path_factory.mktemp("browser")) as stage:
        play(stage.reference)
        yield stage


@pytest.fixture
def grace(browser: Browser, stage: Stage) -> Iterator[Page]:
    with tab(browser, stage, "grace") as page:
        yield page


def submit(stage: Stage, name: str) -> int:
    return stage.reference.submit(name, model(name), AuditOperation.CREATE, category=IMAGES)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_no_screen_keeps_anybody_out(browser: Browser, stage: Stage, size: tuple[int, int], dark: bool) -> None:
    found = {}
    with tab(browser, stage, "grace", size=size, dark=dark) as page:
        for name, address in ADDRESSES.items():
            page.goto(address)
            results = Axe().run(page, options={"preload": False})  # or it writes a style, which the policy forbids
            faults = {each["id"]: [node["html"] for node in each["nodes"]] for each in results.response["violations"]}
            width = page.evaluate("document.documentElement.scrollWidth")
            found[name] = faults | ({} if width <= size[0] else {"wider than the screen": [width]})
        assert "data:" not in page.evaluate(PICTURES)
    assert found == {name: {} for name in ADDRESSES}


def test_the_queue_is_reviewed_by_keyboard_alone(stage: Stage, grace: Page) -> None:
    change = submit(stage, "keyboard")
    grace.goto("/?model=keyboard")
    grace.keyboard.press("Tab")
    expect(grace.locator(":focus")).to_have_text("To the content")
    for _ in range(40):
        if grace.locator(":focus").get_attribute("value") == str(change):
            break
        grace.keyboard.press("Tab")
    grace.keyboard.press("Space")
    while grace.locator(":focus").get_attribute("id") != "title":
        grace.keyboard.press("Tab")
    grace.keyboard.type("By keyboard")
    grace.keyboard.press("Enter")
    expect(grace.get_by_role("status")).to_contain_text(f"approved {change} into batch")
    assert stage.reference.change(change).status == "approved"


def test_what_is_typed_is_checked_as_one_types_and_names_are_completed(stage: Stage, grace: Page) -> None:
    grace.goto("/submit")
    grace.select_option("#category", "image_generation")
    grace.locator("#model").press_sequentially("delib")
    expect(grace.locator("#names option")).to_have_count(1)
    expect(grace.locator("#names option")).to_have_attribute("value", "Deliberate")
    grace.fill("#model", "Deliberate")
    grace.click("text=Open")
    editor = grace.locator("#record")
    editor.fill('{"name": "Deliberate", "nsfw": }')
    expect(grace.locator("#verdict")).to_contain_text("line 1, column 32")
    editor.fill('{"name": "Deliberate", "nsfw": true}')
    expect(grace.locator("#verdict")).to_contain_text("It can be submitted.")
    grace.click("main button >> text=/^Submit$/")
    expect(grace.get_by_role("status")).to_contain_text("waiting for review")


DELIBERATE = "category=image_generation&model=Deliberate"
EARLY = {
    "a record": (f"/submit?{DELIBERATE}", "#record", "{", "#verdict:has-text('column 2')"),
    "a model to submit": (f"/submit?{DELIBERATE}", "#model", "stable", "#names :only-child[value^=stable]"),
    "a name to find": (f"/models?{DELIBERATE}", "#model", "stable", "#found :only-child:text-is('stable_diffusion')"),
}


@pytest.mark.parametrize("early", EARLY)
def test_what_is_typed_ahead_of_the_scripts_is_looked_at_once_they_have_come(grace: Page, early: str) -> None:
    address, field, text, told = EARLY[early]
    held: list[Route] = []
    grace.route("**/htmx.min.js", lambda route: held.append(route))
    with grace.expect_request("**/htmx.min.js"):
        grace.goto(address, wait_until="commit")
    grace.fill(field, text)
    (script,) = held
    script.continue_()
    expect(grace.locator(told)).to_have_count(1)


def test_the_history_of_a_model_comes_behind_its_record(grace: Page) -> None:
    grace.goto("/model?category=image_generation&model=stable_diffusion")
    expect(grace.locator("#story")).to_contain_text("approved by Grace")
    expect(grace.locator("#story")).not_to_contain_text("Who gave each field its value, and its history")


def test_a_link_of_another_site_leads_in(stage: Stage, grace: Page) -> None:
    elsewhere = stage.url.replace("127.0.0.1", "localhost")
    grace.goto(f"{elsewhere}/login")
    grace.evaluate(f"location.href = '{stage.url}/batches'")
    expect(grace.get_by_role("heading", level=1)).to_have_text("Batches")


def test_a_screen_stays_fresh_but_not_while_somebody_works_in_it(browser: Browser, stage: Stage) -> None:
    with tab(browser, stage, "grace") as page:
        page.clock.install()
        page.goto("/?model=fresh")
        expect(page.locator("main")).to_contain_text("No change is like that.")
        one = submit(stage, "fresh one")
        page.clock.run_for(11_000)
        box = page.get_by_label(f"Select change {one}")
        box.check()
        submit(stage, "fresh two")
        page.clock.run_for(11_000)
        page.clock.run_for(11_000)
        expect(page.locator("main")).not_to_contain_text("fresh two")
        expect(box).to_be_checked()
        box.uncheck()
        page.evaluate("document.activeElement.blur()")
        page.clock.run_for(11_000)
        expect(page.locator("main")).to_contain_text("fresh two")
        page.get_by_label("Select all that are shown").check()
        expect(page.locator("td.tick input:checked")).to_have_count(2)


def test_a_screen_that_cannot_be_refreshed_says_so(browser: Browser, stage: Stage) -> None:
    with tab(browser, stage, "ada") as page:
        page.clock.install()
        page.goto("/batches")
        page.context.clear_cookies()
        page.clock.run_for(11_000)
        expect(page.get_by_role("alert")).to_contain_text("What is shown here may be old")


def test_without_a_script_everything_but_completion_and_freshness_is_there(browser: Browser, stage: Stage) -> None:
    with tab(browser, stage, "grace", size=NARROW, java_script_enabled=False) as page:
        page.goto("/submit")
        page.select_option("#category", "clip")
        page.fill("#model", "scriptless")
        page.click("text=Open")
        page.fill("#record", '{"name": "scriptless"')
        page.click("main button >> text=/^Submit$/")
        expect(page.get_by_role("alert")).to_contain_text("line 1")
        page.fill("#record", '{"name": "scriptless"}')
        page.click("main button >> text=/^Submit$/")
        expect(page.get_by_role("status")).to_contain_text("waiting for review")
        page.fill("#reason", "not now")
        page.click("text=Reject")
        expect(page.get_by_role("status")).to_contain_text("rejected")

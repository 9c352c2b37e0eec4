"""The report page in headless Chromium: filters, side by side, themes, and no error in the console."""

import os
import shutil

import pytest

from affine_trainer.config import Config
from affine_trainer.stages.report import report
from tests.report_run import write_run

playwright = pytest.importorskip("playwright.sync_api", reason="pip install -e '.[dev]'")

pytestmark = pytest.mark.browser
NAMES = ("chromium", "chromium-browser", "google-chrome")
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PAPER = {"width": 720, "height": 1000}  # A4 within its margins


@pytest.fixture(scope="module")
def chromium():
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.fail("no Chromium here: apt-get install chromium, or name one in CHROMIUM")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_run()
        return (folder / report(Config(run="small"))).as_uri()


@pytest.fixture
def page(chromium, address):
    """The page at desktop width; a message in its console or a request for another file fails the test."""
    tab, trouble = chromium.new_page(viewport=DESKTOP), []
    tab.on("console", lambda message: trouble.append(message.text))
    tab.on("pageerror", lambda error: trouble.append(str(error)))
    tab.on("request", lambda request: trouble.append(request.url) if request.url != address else None)
    tab.goto(address)
    tab.wait_for_selector("#episodes[data-ready]")
    yield tab
    title = tab.title()
    tab.close()
    assert trouble == [] and title == "affine: small"


def choose(page, **filters: str) -> None:
    for name, label in filters.items():
        page.select_option(f"#f-{name}", label=label)


def found(page) -> str:
    return page.inner_text("#found")


def listed(page) -> list[str]:
    return page.eval_on_selector_all("#list .item", "items => items.map(item => item.dataset.key)")


def test_it_opens_on_a_failed_episode_of_the_candidate(page):
    assert found(page) == "7 of 24 episodes of rl"
    page.wait_for_selector("#detail .side")
    assert page.inner_text("#detail h3") == "affine:sat@small/14"
    assert page.inner_text(".side[data-model=rl] .chip") == "failed"


def test_filters_of_model_environment_outcome_reason_and_key(page):
    choose(page, outcome="not graded")
    assert found(page) == "1 of 24 episodes of rl" and listed(page) == ["affine:sat@small/20"]
    assert "the grader was unreachable" in page.inner_text("#f-reason")
    choose(page, outcome="any", environment="agentgym:webshop")
    assert listed(page) == ["agentgym:webshop@server/0"]
    choose(page, environment="any", model="base", outcome="solved")
    assert found(page) == "5 of 24 episodes of base"
    page.fill("#f-key", "small/3")
    assert listed(page) == ["affine:sat@small/3"]
    page.fill("#f-key", "no such task")
    assert page.inner_text("#detail") == "No episode matches these filters."


def test_filter_by_the_reason_and_by_how_it_ended(page):
    choose(page, outcome="any", stop="error")
    assert listed(page) == ["affine:sat@small/20"]
    choose(page, stop="any", reason="the grader was unreachable (1)")
    assert listed(page) == ["affine:sat@small/20"]


def test_two_models_side_by_side_on_the_same_task(page):
    choose(page, model="rl", other="base", outcome="only this model solves it", environment="affine:sat")
    assert found(page) == "9 of 24 episodes of rl"
    page.wait_for_selector(".side[data-model=base]")
    assert page.inner_text(".side[data-model=rl] .chip") == "solved"
    assert page.inner_text(".side[data-model=base] .chip") == "failed"
    left, right = (page.locator(f".side[data-model={model}]").bounding_box() for model in ("rl", "base"))
    assert abs(left["y"] - right["y"]) < 2 and left["x"] + left["width"] <= right["x"]
    choose(page, other="nobody", outcome="any")
    page.wait_for_selector(".side[data-model=base]", state="detached")


def test_a_link_of_the_verdict_opens_the_episodes_behind_it(page):
    page.click("text=Only rl solves it >> nth=0")
    assert page.input_value("#f-outcome") == "only-model"
    assert page.inner_text("#f-other option:checked") == "base"


def test_hostile_text_is_shown_as_text(page):
    choose(page, outcome="any", environment="agentgym:webshop")
    page.wait_for_selector("#detail .observation")
    assert "<script>" in page.inner_text("#detail .observation pre >> nth=0")
    assert page.query_selector("#detail img") is None


def test_the_arrow_keys_walk_through_the_list(page):
    page.focus("#list")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("document.querySelector('#detail h3').textContent === 'affine:sat@small/15'")


def test_the_theme_follows_the_system_and_can_be_chosen(page):
    def background() -> str:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert background() == "rgb(255, 255, 255)"
    page.emulate_media(color_scheme="dark")
    assert background() == "rgb(17, 21, 26)"
    page.click("#theme")
    assert page.inner_text("#theme") == "theme: light" and background() == "rgb(255, 255, 255)"


def test_the_list_says_what_differs_between_plays(page):
    choose(page, outcome="solved", environment="affine:sat", other="base")
    assert "as the test says" not in page.inner_text("#list")
    assert "tokens" in page.inner_text("#list .item .why >> nth=0")
    assert "base failed" in page.inner_text("#list") and "base solved" in page.inner_text("#list")


def open_all(page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")


def test_a_phone_scrolls_tables_in_their_own_boxes_with_the_first_column_in_place(page):
    page.set_viewport_size(PHONE)
    open_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    wide = page.locator(".scroll").filter(has=page.locator("th", has_text="p (Holm)")).first
    assert wide.evaluate("box => box.scrollWidth > box.clientWidth")
    first = wide.locator("tbody td").first
    before = first.bounding_box()["x"]
    wide.evaluate("box => (box.scrollLeft = 200)")
    assert abs(first.bounding_box()["x"] - before) < 1


def test_paper_shows_all_of_every_table_on_white(page):
    page.set_viewport_size(PAPER)
    page.emulate_media(media="print", color_scheme="dark")
    open_all(page)
    assert not page.is_visible("#episodes") and page.is_visible("#lineage")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("document.documentElement.scrollWidth") == PAPER["width"]

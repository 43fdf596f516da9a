"""The pictures of the documentation show the pages as they are.

They are taken in a sandbox that nobody else has worked in, and compared with those of docs/images;
with SCREENSHOTS_FOLDER=<folder> they are put there instead (`make screenshots`).
"""

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageSequence
from playwright.sync_api import Browser, Page, expect

from tests.e2e.test_tour import LAPTOP, VIEWS, live_in, visit
from tests.fixtures import pictures
from tests.fixtures.browser import PATIENCE, new_page, settle, turn
from tests.fixtures.portal import Portal, running_portal

PNG = "{}.png".format
#: What was opened gets the focus and comes into view, sooner or later: not here, each page is at
#: its top and nothing has a ring.
STAYS = """
  window.scrollTo_ = Element.prototype.scrollIntoView;
  Element.prototype.scrollIntoView = HTMLElement.prototype.focus = () => {}
"""
#: Messages about what the sandbox begins with: three of its mounts, one of its users.
TOLD = 4
NAMES = (*(view.picture for view in VIEWS if view.picture), "overview-dark", "change")


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with running_portal(tmp_path_factory.mktemp("pictures"), PORTAL_SANDBOX="on") as portal:
        portal.wait_for_sandbox()
        yield live_in(portal)


@pytest.fixture(scope="module")
def taken(lived_in: Portal, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the pictures, all of them taken now."""
    asked = os.environ.get("SCREENSHOTS_FOLDER")
    folder = Path(asked) if asked else tmp_path_factory.mktemp("images")
    page = new_page(browser, viewport=LAPTOP)
    page.add_init_script(STAYS)
    lived_in.sign_in(page)  # which the audit log of the picture tells
    page.emulate_media(color_scheme="light")
    _wait_until_told(lived_in, page)
    for view in VIEWS:
        if not view.picture:
            continue
        visit(lived_in, page, view)
        if view.picture == "tokenization":  # it shows what a preview tells
            expect(page.get_by_role("button", name="Preview again")).to_be_visible()
        page.mouse.move(LAPTOP["width"] - 1, LAPTOP["height"] - 1)  # over nothing that answers
        expect(page.get_by_test_id("stTooltipContent")).to_have_count(0)
        settle(page)
        page.screenshot(path=folder / PNG(view.picture))
        if view.picture == "overview":
            turn(page, "dark")
            page.screenshot(path=folder / PNG("overview-dark"))
            turn(page, "light")
    _one_that_waits(lived_in, page)
    page.screenshot(path=folder / PNG("change"))
    page.context.close()
    if asked:
        pictures.write_tour(folder, folder)
    return folder


def _wait_until_told(portal: Portal, page: Page) -> None:
    """Until the inbox has what happened so far: a job of the schedule puts it there."""
    deadline = time.monotonic() + 3 * PATIENCE / 1000
    while len(portal.cli_json("notifications", "inbox")["items"]) < TOLD:
        assert time.monotonic() < deadline, "nobody was told of what the sandbox began with"
        page.wait_for_timeout(1000)


def _one_that_waits(portal: Portal, page: Page) -> None:
    """A request as its approver sees it."""
    portal.cli("changes", "policy", "set", "Sandbox", "user_sync.apply", "approve")
    plan = portal.cli_json("users", "plan", "Sandbox")["plan_id"]
    names = ("aaron_johnson0", "anna.kowalska", "dana.fox")
    emails = [f"--email={name}@example.com" for name in names]
    portal.cli("users", "apply", str(plan), *emails, "--yes", check=False)
    (change,) = portal.cli_json("changes", "list")["items"]
    page.goto(f"{portal.url}/changes?change={change['id']}")
    same = page.get_by_text("It would still do the same now.")
    expect(same).to_be_visible(timeout=2 * PATIENCE)
    settle(page)
    page.get_by_role("heading", name=f"#{change['id']}").evaluate("box => scrollTo_.call(box)")


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_pictures_of_the_documentation_are_those_of_the_pages(taken: Path) -> None:
    assert {path.stem for path in pictures.FOLDER.glob("*.png")} == set(NAMES)
    found = {
        name: round(pictures.unlike(pictures.FOLDER / PNG(name), taken / PNG(name)), 3)
        for name in NAMES
    }
    stale = {name: share for name, share in found.items() if share > pictures.SHARE}
    assert stale == {}, f"`make screenshots`, and look at them; the new ones are in {taken}"


@pytest.mark.parametrize("name", NAMES)
def test_the_comparison_sees_what_is_missing_and_what_moved(name: str) -> None:
    """Of each picture: without its page, with the page lower, and in the other theme."""
    known = pictures.FOLDER / PNG(name)
    with Image.open(known) as picture:
        whole = picture.convert("RGB")
    wide, high = whole.size
    page = (264, 120, wide, high)
    without = whole.copy()
    without.paste(whole.getpixel((wide - 2, high - 2)), page)
    lower = whole.copy()
    lower.paste(whole.crop((264, 120, wide, high - 24)), (264, 144))
    dark = whole.point([255 - level for level in range(256)] * 3)
    for changed in (without, lower, dark):
        held = io.BytesIO()
        changed.save(held, "png")
        assert pictures.unlike(known, held) > pictures.SHARE
    assert pictures.unlike(known, known) == 0


def test_the_tour_is_made_of_these_pictures_and_lasts_twenty_seconds(tmp_path: Path) -> None:
    committed = pictures.FOLDER / "tour.webp"
    assert committed.stat().st_size < 2_000_000
    pictures.write_tour(pictures.FOLDER, tmp_path)
    with Image.open(committed) as known, Image.open(tmp_path / "tour.webp") as now:
        pairs = zip(ImageSequence.Iterator(known), ImageSequence.Iterator(now), strict=True)
        lasted = 0
        for first, second in pairs:
            held = [io.BytesIO(), io.BytesIO()]
            first.save(held[0], "png")
            second.save(held[1], "png")
            assert pictures.unlike(*held) < 0.01
            lasted += int(first.info["duration"])
    assert lasted == 20_000

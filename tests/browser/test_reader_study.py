"""The page of cards as readers use it: words before choices, a sheet that is scored, on a phone, by keyboard."""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.browser.conftest import Opened
from tests.conftest import Outcome
from tests.plugins.cards.conftest import Written, cards_of

import mcd

with contextlib.suppress(ImportError):  # every test here asks for the browser, which then says so
    from playwright.sync_api import expect
if TYPE_CHECKING:
    from playwright.sync_api import FilePayload, Page

Open = Callable[..., Opened]
PHONE = {"width": 390, "height": 844}
COUNT_WRITES = """() => {
  const put = Storage.prototype.setItem;
  window.writes = 0;
  Storage.prototype.setItem = function (name, value) {
    if (name.includes("/answers/")) window.writes += 1;
    put.call(this, name, value);
  };
}"""
WORDS = ["=1+1", 'rund, "weiß" 🩻\n=2', "-", "nothing"]


@pytest.fixture(scope="session")
def study(phantom: mcd.Dissection, tmp_path_factory: pytest.TempPathFactory) -> Written:
    return cards_of(phantom, tmp_path_factory.mktemp("study"), count=4, images=2, low=1, size=200)


@pytest.fixture
def tab(opened: Open, study: Written) -> Opened:
    return opened(study.folder / "cards" / "cards.html")


def enter(page: Page, reader: str = "anna") -> None:
    page.get_by_label("Your name or number").fill(reader)
    page.get_by_role("button", name="Start").click()


def described(page: Page, words: list[str] = WORDS) -> None:
    for one in words:
        page.get_by_label("have in common").fill(one)
        page.locator("button.go").click()


def locked(page: Page, reader: str = "anna") -> None:
    enter(page, reader)
    described(page)
    page.get_by_role("button", name="Lock my words").click()


def saved(page: Page, button: str = "Save sheet") -> Path:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=button).click()
    return Path(waiting.value.path())


def rows(sheet: Path) -> list[dict[str, str]]:
    with sheet.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def focus(page: Page, wanted: str) -> None:
    """Press Tab until what has the focus matches."""
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("wanted => document.activeElement.matches(wanted)", wanted):
            return
    raise AssertionError(f"Tab does not lead to {wanted}")


def test_a_whole_study_is_answered_by_keyboard_and_scored(
    tab: Opened, study: Written, mcd_command: Callable[..., Outcome], tmp_path: Path
) -> None:
    page, keys = tab.at(), tab.page.keyboard
    focus(page, "#reader")
    keys.type("Anna B.")
    keys.press("Enter")
    for number, one in enumerate(WORDS, start=1):
        expect(page.get_by_role("heading", name=f"Card {number}")).to_be_focused()
        focus(page, "textarea")
        keys.insert_text(one)
        focus(page, "button.go")
        keys.press("Enter")
    focus(page, "button.go")
    keys.press("Enter")
    given = [*(card.answer for card in study.key.cards[:2]), "none of these", "cannot say"]
    for number, one in enumerate(given, start=1):
        expect(page.get_by_role("heading", name=f"Card {number}")).to_be_focused()
        focus(page, "[name=choice]")
        keys.press("Space")
        while page.locator("[name=choice]:checked").input_value() != one:
            keys.press("ArrowDown")
        if one != "cannot say":
            focus(page, "[name=sure]")
            keys.press("Space")
            keys.press("ArrowRight")
        focus(page, "button.go")
        keys.press("Enter")
    expect(page.get_by_role("heading", name="All cards are answered")).to_be_focused()
    focus(page, "button.go")
    with page.expect_download() as waiting:
        keys.press("Enter")
    name = waiting.value.suggested_filename
    assert name == f"answers-{study.key.name}-Anna-B-.csv"
    waiting.value.save_as(tmp_path / name)
    assert list(rows(tmp_path / name)[0]) == list(study.sheet[0])
    done = mcd_command("cards", "score", study.folder / "cards-key", tmp_path / name, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    answers = [card["answers"][0] for card in found["cards"]]
    assert [one["free_text"] for one in answers] == WORDS
    assert {one["free_text_written"] for one in answers} == {"before choices"}
    assert [one["correct"] for one in answers] == [True, True, False, False]
    assert [one["confidence"] for one in answers] == [2, 2, 2, None]
    assert found["free_text"] == [{"reader": "Anna B.", "before": 4, "after": 0, "unknown": 0, "empty": 0}]


def hears(page: Page) -> str:
    """Return what is on the page for eyes, for screen readers and for whoever inspects its elements."""
    elements = """() => {
        const body = document.body.cloneNode(true);
        body.querySelectorAll("script").forEach((one) => one.remove());
        body.querySelectorAll("img").forEach((one) => one.removeAttribute("src"));
        return body.innerHTML;
    }"""
    return "\n".join([page.title(), page.locator("body").aria_snapshot(), page.evaluate(elements)])


def test_no_choice_is_anywhere_before_the_words_are_locked(tab: Opened, study: Written) -> None:
    options = {option for card in study.key.cards for option in card.options}
    page = tab.at("choices")

    def blind() -> None:
        assert [one for one in options if one in hears(page)] == []
        assert page.get_by_role("radio").count() == 0

    blind()
    enter(page)
    for one in WORDS:
        blind()
        page.get_by_role("button", name="Enlarge").first.click()
        blind()
        page.keyboard.press("Escape")
        page.locator("button.go").click()  # says that words are missing
        page.get_by_label("have in common").fill(one)
        page.locator("button.go").click()
    blind()
    expect(page.get_by_role("heading", name="All cards are described")).to_be_visible()
    page.get_by_role("button", name="Change card 2").click()
    page.get_by_label("have in common").fill("changed in time")
    for _ in range(3):
        page.locator("button.go").click()
    blind()
    assert page.evaluate("location.hash") == "#choices"  # as it was opened: no step is in the address
    page.get_by_role("button", name="Lock my words").click()
    for card in study.key.cards:
        said = [one.strip() for one in page.locator(".choice label").all_inner_texts()]
        assert said == [*card.options, "None of these", "Cannot say"]
        assert page.locator("textarea").count() == 0
        page.get_by_label(card.options[0], exact=True).check()
        page.get_by_label("1 a guess").check()
        page.locator("button.go").click()
    page.get_by_role("button", name="Back to the cards").click()
    page.get_by_role("button", name="Next card").click()
    page.get_by_role("button", name="Back").click()
    assert page.locator("textarea").count() == 0
    assert page.locator(".own").inner_text() == "Your words: =1+1"


def test_nothing_is_lost_on_reload_and_readers_of_one_machine_are_kept_apart(tab: Opened) -> None:
    page = tab.at()
    enter(page, "anna")
    described(page, WORDS[:2])
    page.get_by_label("have in common").fill("half a wo")
    tab.at()
    assert "half" not in hears(page)  # whose answers these are is asked first
    enter(page, "ben")
    assert page.get_by_label("have in common").input_value() == ""
    described(page, ["of ben"])
    tab.at()
    enter(page, "ANNA")
    expect(page.locator("main")).to_contain_text("This browser keeps answers of anna: 3 of 4 cards described.")
    page.get_by_role("button", name="Go on as anna").click()
    expect(page.get_by_role("heading", name="Card 4")).to_be_visible()
    assert [row["free_text"] for row in rows(saved(page))] == ["'=1+1", 'rund, "weiß" 🩻\n\'=2', "half a wo", ""]


def test_words_that_are_written_after_choices_were_seen_are_recorded_as_such(tab: Opened) -> None:
    page = tab.at()
    other = tab.context.new_page()
    other.goto(tab.path.as_uri())
    enter(page)
    described(page)
    early = saved(page)
    other.wait_for_function("Object.values(localStorage).some((one) => one.includes('nothing'))")
    other.bring_to_front()
    enter(other)  # the same reader in another tab
    other.get_by_role("button", name="Go on as anna").click()
    other.get_by_role("button", name="Change card 1").click()
    other.evaluate(COUNT_WRITES)
    page.bring_to_front()
    page.get_by_role("button", name="Lock my words").click()
    expect(other.locator("textarea")).to_have_count(0)  # locked there too
    for _ in WORDS:
        page.get_by_label("Cannot say").check()
        page.locator("button.go").click()
    assert {row["free_text_written"] for row in rows(saved(page))} == {"before choices"}
    expect(other.locator(".bar")).to_contain_text("4 of 4 cards answered")
    assert other.evaluate("writes") == 0  # what it follows is not written back over later answers
    page.get_by_role("button", name="Remove my answers").click()
    page.get_by_role("button", name="Really remove").click()
    page.locator("#file").set_input_files(early)  # back to before the choices, as it were
    page.get_by_role("button", name="Change card 1").click()
    page.get_by_label("have in common").fill("what the choices say")
    for _ in WORDS:
        page.locator("button.go").click()
    page.get_by_role("button", name="Lock my words").click()
    late = rows(saved(page))
    assert late[0]["free_text"] == "what the choices say"
    assert {row["free_text_written"] for row in late} == {"after choices"}


def test_where_the_browser_keeps_nothing_it_says_so_and_a_sheet_goes_on(tab: Opened, opened: Open) -> None:
    tab.context.add_init_script("Object.defineProperty(window, 'localStorage', {get() { throw new Error('no'); }})")
    page = tab.at()
    expect(page.locator("main")).to_contain_text("This browser keeps no answers of pages like this one")
    enter(page, 'Ben "=1" \u202e')
    described(page, WORDS[:3])
    expect(page.locator(".notice")).to_have_text(
        "This browser keeps no answers: save the sheet before you close this page."
    )
    sheet = saved(page)
    elsewhere = opened(tab.path).at()
    elsewhere.locator("#file").set_input_files(sheet)
    expect(elsewhere.get_by_role("heading", name="Card 4")).to_be_visible()
    expect(elsewhere.locator(".who")).to_contain_text('Reader Ben "=1"')
    described(elsewhere, WORDS[3:])
    elsewhere.get_by_role("button", name="Lock my words").click()
    elsewhere.get_by_label("Cannot say").check()
    with_choices = saved(elsewhere)
    assert rows(with_choices)[0]["free_text"] == "'=1+1"
    third = opened(tab.path).at()
    third.locator("#file").set_input_files(with_choices)
    expect(third.get_by_role("heading", name="Card 2")).to_be_visible()
    expect(third.locator(".own")).to_contain_text('rund, "weiß" 🩻\n=2')
    assert third.locator("textarea").count() == 0


def test_what_is_wrong_with_a_sheet_is_said(tab: Opened, study: Written) -> None:
    page = tab.at()
    name, head = study.key.name, "set,card,free_text,choice,confidence,reader"

    def said(content: str | bytes) -> str:
        data = content if isinstance(content, bytes) else content.encode()
        payload: FilePayload = {"name": "anna.csv", "mimeType": "text/csv", "buffer": data}
        page.locator("#file").set_input_files(payload)
        expect(page.locator("#problem")).not_to_be_empty()
        text = page.locator("#problem").inner_text()
        page.evaluate("document.getElementById('problem').textContent = ''")
        return text

    assert said("") == "This is not an answer sheet of cards: it has no column set."
    assert said("a,b\n1,2") == "This is not an answer sheet of cards: it has no column set."
    assert "several columns choice" in said(f"{head},choice\n")
    assert "belongs to the set of cards 'other'" in said(f"{head}\nother,1,,,,anna")
    assert said(f"{head}\n{name},9,,,,anna") == "There is no card '9'."
    assert said(f"{head}\n{name},1,,,,anna\n{name},1,,,,anna") == "Card 1 is in this sheet twice."
    assert said(f"{head}\n{name},1,,z,,anna") == "The choice 'z' of card 1 is not one of its choices."
    assert said(f"{head}\n{name},1,,,7,anna") == "The confidence '7' of card 1 is none of 1, 2, 3, 4, 5."
    assert said(f"{head}\n{name},1,,,,anna\n{name},2,,,,ben") == "This sheet is of several readers."
    assert said(f"{head}\n{name},1,,,,") == "The sheet does not say whose it is: type your name or number first."
    assert said(f"{head},schema\n{name},1,,,,a,mcd.answers/9") == "This sheet was made by a newer mcd than these cards."
    assert said(f"{head}\n{name},1,gro\xdf,,,anna".encode("latin-1")) == "This file is not UTF-8: save it as CSV UTF-8."
    sheet = f'\ufeffcard;reader;confidence;choice;free_text;set\r\n2;anna;;;"a;\r\nb";{name}\r\n;;;;;\r\n'
    page.locator("#file").set_input_files({"name": "a.csv", "mimeType": "text/csv", "buffer": sheet.encode()})
    expect(page.get_by_role("heading", name="Card 1")).to_be_visible()
    page.get_by_label("have in common").fill("x")
    page.locator("button.go").click()
    expect(page.get_by_label("have in common")).to_have_value("a;\nb")


def fits(page: Page, axe: str, where: str) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, where
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, input, textarea")].filter((e) => e.getClientRects().length)
        .map((e) => [e.outerHTML.slice(0, 80), (e.type === "radio" ? e.closest("label") : e).getBoundingClientRect()])
        .filter(([, box]) => box.width < 44 || box.height < 44).map(([name]) => name)"""
    )
    assert small == [], where
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found["violations"]] == [], where


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.nightly)])
def test_every_step_fits_a_phone_and_is_accessible(opened: Open, study: Written, axe: str, scheme: str) -> None:
    tab = opened(study.folder / "cards" / "cards.html", color_scheme=scheme)
    tab.page.set_viewport_size(PHONE)
    page = tab.at()
    fits(page, axe, "start")
    enter(page, "W" * 40)
    page.locator("button.go").click()
    fits(page, axe, "words")
    page.get_by_role("button", name="Enlarge").first.click()
    fits(page, axe, "viewer")
    page.get_by_role("button", name="Close").click()
    described(page, ["x" * 300, *WORDS[1:]])
    fits(page, axe, "described")
    page.get_by_role("button", name="Lock my words").click()
    page.locator("button.go").click()
    expect(page.get_by_text("Choose one; where you have no answer, choose Cannot say.")).to_be_visible()
    fits(page, axe, "choices")
    for _ in WORDS:
        page.get_by_label("Cannot say").check()
        page.locator("button.go").click()
    fits(page, axe, "answered")
    page = opened(study.folder / "cards-choices" / "choices.html", color_scheme=scheme).at()
    page.set_viewport_size(PHONE)
    fits(page, axe, "choices on paper")


def test_images_enlarge_by_keys_wheel_and_buttons_and_the_focus_comes_back(tab: Opened) -> None:
    page = tab.at()
    enter(page)
    alternatives = page.locator("img:visible").evaluate_all("all => all.map((one) => one.alt)")
    assert all(one.startswith("Card ") and one.endswith(".") for one in alternatives), alternatives
    opener = page.get_by_role("button", name="Enlarge: Card 1 shows image 2 of 2 that its neuron responds to strongly.")
    opener.press("Enter")
    image, note = page.locator(".stage img"), page.locator(".viewer p")

    def width() -> float:
        return float(image.evaluate("e => e.getBoundingClientRect().width"))

    expect(note).to_contain_text("image 2 of 2 that its neuron responds to strongly. 120 × 200 stored pixels")
    fit = width()
    assert page.locator(".stage").evaluate("e => e.scrollHeight <= e.clientHeight && e.scrollWidth <= e.clientWidth")
    page.keyboard.press("1")
    assert width() == pytest.approx(120)
    page.keyboard.press("+")
    assert width() == pytest.approx(180)
    page.mouse.move(300, 300)
    page.mouse.wheel(0, -400)
    expect(note).to_contain_text("shown at 408 %")
    for _ in range(9):
        page.get_by_role("button", name="Larger").click()
    assert width() == pytest.approx(960)  # eight for one
    page.keyboard.press("0")
    assert width() == pytest.approx(fit)
    page.keyboard.press("PageDown")
    expect(note).to_contain_text("Card 1 shows image 1 of 1 that its neuron responds to weakly.")
    page.keyboard.press("Escape")
    expect(image).not_to_be_visible()
    expect(opener).to_be_focused()


def test_paper_and_pages_without_scripts_hold_the_first_step_only(opened: Open, study: Written) -> None:
    options = {option for card in study.key.cards for option in card.options}
    still = opened(study.folder / "cards" / "cards.html", scripts=False).at()
    assert still.locator("section.card:visible").count() == 4
    assert "you get them separately, once all cards are described" in still.locator("header").inner_text()
    tab = opened(study.folder / "cards" / "cards.html")
    page = tab.at()
    locked(page)
    page.emulate_media(media="print")  # in the second step too
    for one in (still, page):
        text = one.locator("body").inner_text()
        assert text.count("What they have in common, in your own words:") == 4
        assert [option for option in options if option in text] == []
    assert page.locator("section.card:visible").count() == 4
    assert page.locator("button:visible:not(.image)").count() == 0

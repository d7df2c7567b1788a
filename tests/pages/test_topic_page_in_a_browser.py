"""The page of topics in a real browser: what people do with it, and that hostile words and names do nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurocircuits import analysis
from tests.pages import chromium
from tests.pages.conftest import HOSTILE, NAMES, WORDS

PROGRAM = chromium.find()
if PROGRAM is None:
    pytest.skip("no Chromium here (Debian: apt-get install chromium)", allow_module_level=True)


@pytest.fixture(scope="module")
def browser(hostile: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Chromium]:
    """One browser for all tests, with the page open as a file."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "map.html").write_bytes(hostile[-1].encode("ascii"))
    with chromium.Chromium(str(PROGRAM), folder / "user") as started:
        started.open((folder / "map.html").as_uri())
        yield started


@pytest.fixture
def page(browser: chromium.Chromium) -> chromium.Chromium:
    """The page as it is at first, in a wide window."""
    browser.size(1280, 900)
    browser.call("Page.reload")
    browser.wait("Page.loadEventFired")
    return browser


def words(page: chromium.Chromium) -> list[str]:
    return list(page.value("[...document.querySelectorAll('#words button')].map((e) => e.textContent)"))


def titles(page: chromium.Chromium) -> list[str]:
    return list(
        page.value("[...document.querySelectorAll('#documents .title bdi:first-child')].map((e) => e.textContent)")
    )


def text(page: chromium.Chromium, selector: str) -> str:
    return str(page.value(f"document.querySelector({selector!r}).textContent"))


def relevant(hostile: Any, topic: int, place: float) -> list[str]:
    """Return the four most relevant words by `analysis.relevance`."""
    _, counts, topics, _, _ = hostile
    seen = counts.sum(axis=0) > 0
    valued = np.full(len(WORDS), -np.inf)
    valued[seen] = analysis.relevance(topics[:, seen], counts.sum(axis=0)[seen], place)[topic]
    return [WORDS[k] for k in np.argsort(-valued) if topics[topic, k] > 0][:4]


def test_hover_looks_and_click_keeps(page: chromium.Chromium, hostile: Any) -> None:
    """Topic 1 is row 1 of the weights, topic 2 row 0. Rejects a hover that stays, and words without their documents."""
    assert text(page, "#topic-title") == "Topic 1" and words(page) == relevant(hostile, 1, 0.6)
    page.mouse("#map g:nth-of-type(2) .area")
    assert text(page, "#topic-title") == "Topic 2" and words(page) == relevant(hostile, 0, 0.6)
    shown = [NAMES[k].replace("\udcff", "\ufffd") for k in (1, 0, 4, 6)]
    assert titles(page) == shown
    page.mouse("h1")
    assert text(page, "#topic-title") == "Topic 1"
    page.click("#map g:nth-of-type(2) .area")
    page.mouse("h1")
    assert text(page, "#topic-title") == "Topic 2" and titles(page) == shown
    assert page.value("document.querySelector('#map g:nth-of-type(2)').getAttribute('aria-checked')") == "true"
    page.click("#list li:nth-child(3) button")
    assert text(page, "#topic-title") == "Topic 3" and words(page) == relevant(hostile, 2, 0.6)


def test_the_slider_changes_the_order_of_words(page: chromium.Chromium, hostile: Any) -> None:
    """With keys, as a person would. Rejects relevance with its two ends exchanged, and a slider that does nothing."""
    page.value("document.querySelector('#relevance').focus()")
    orders = []
    for key, place in (("End", 1.0), ("Home", 0.0)):
        page.key(key)
        assert text(page, "#lambda") == f"{place:.2f}"
        orders.append(words(page))
        assert orders[-1] == relevant(hostile, 1, place)
    assert orders[0][0] == "the" and "the" not in orders[1][:2]


def test_it_is_used_with_the_keyboard_alone(page: chromium.Chromium) -> None:
    page.value("document.querySelector('#map [tabindex=\"0\"]').focus()")
    for key, expected in (
        ("ArrowRight", 2),
        ("ArrowRight", 3),
        ("ArrowRight", 1),
        ("ArrowLeft", 3),
        ("Home", 1),
        ("End", 3),
    ):
        page.key(key)
        assert text(page, "#topic-title") == f"Topic {expected}"
        assert page.value("document.activeElement.getAttribute('aria-label')").startswith(f"Topic {expected}, ")
    assert page.value("document.querySelectorAll('#map [tabindex=\"0\"]').length") == 1
    page.key("Tab")
    assert page.value("document.activeElement.closest('#map')") is None


def test_a_word_is_found(page: chromium.Chromium) -> None:
    page.value("document.querySelector('#word').focus()")
    page.type("MO")
    assert page.value("[...document.querySelectorAll('#matches option')].map((e) => e.value)") == ["moon"]
    page.key("Enter")
    assert text(page, "#found").startswith("moon occurs 28 times: topic 1, 9")
    assert page.value("document.querySelectorAll('#map .has').length") == 2
    page.click("#found .clear")
    assert page.value("document.querySelector('#found').hidden") is True
    for word, found in (
        ("the", "the occurs 34 times"),
        ("__proto__", "__proto__ occurs 3 times"),
        ("xyz", "This page knows no such word: xyz"),
    ):
        page.value("document.querySelector('#word').select()")
        page.type(word)
        page.key("Enter")
        assert text(page, "#found").startswith(found)


def test_hostile_words_and_names_do_nothing_and_nothing_is_requested(page: chromium.Chromium) -> None:
    """Shows all topics, marks the hostile word, and looks for what it would have done."""
    for k in (1, 2, 3):
        page.click(f"#list li:nth-child({k}) button")
    assert HOSTILE in words(page) and f"{HOSTILE}.txt" in titles(page)
    page.click("#words li:nth-child(1) button")
    assert text(page, "#found bdi") == HOSTILE
    assert page.value("window.harmed") is None
    assert page.value("document.querySelectorAll('img, iframe, main script, main b').length") == 0
    assert page.value("document.title") == f"Topics of {HOSTILE}"
    requested = [e["params"]["request"]["url"] for e in page.events if e["method"] == "Network.requestWillBeSent"]
    assert requested and {Path(address).name for address in requested} == {"map.html"}
    wrong = {"Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"}
    assert [event for event in page.events if event["method"] in wrong] == []


def test_what_the_policy_forbids_does_not_happen(page: chromium.Chromium) -> None:
    """Rejects a policy that is written but not in force: addresses, styles and HTML that the page did not come with."""
    tried = """(async () => {
      const refused = new Set();
      document.addEventListener("securitypolicyviolation", (event) => refused.add(event.effectiveDirective));
      new Image().src = "http://127.0.0.1:9/a.png";
      document.body.append(Object.assign(document.createElement("style"), { textContent: "h1 { color: red }" }));
      try { document.body.innerHTML = "<b>"; } catch (error) { /* the event says it */ }
      try { await fetch("http://127.0.0.1:9/"); } catch (error) { /* likewise */ }
      await new Promise((done) => setTimeout(done, 50));
      return [...refused].sort();
    })()"""
    assert page.value(tried) == ["connect-src", "img-src", "require-trusted-types-for", "style-src-elem"]


def test_it_fits_a_phone_and_the_dark(page: chromium.Chromium) -> None:
    light = page.value("getComputedStyle(document.body).backgroundColor")
    page.size(390, 844, dark=True)
    assert page.value("document.documentElement.scrollWidth") <= 390
    assert page.value("getComputedStyle(document.body).backgroundColor") != light
    order = "['plane', 'topic', 'all'].map((id) => document.getElementById(id).getBoundingClientRect().top)"
    tops = page.value(order)
    assert tops == sorted(tops) and len(set(tops)) == 3
    box = page.value("[...document.querySelectorAll('#map .touch')].map((e) => e.getBoundingClientRect().width)")
    assert min(box) >= 27

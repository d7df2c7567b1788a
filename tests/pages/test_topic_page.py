"""The page of topics without a browser: what it holds adds up, its orders are relevance, nothing in it is markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocircuits.pages
from neurocircuits import ValidationError, analysis
from neurocircuits.datasets import Corpus
from neurocircuits.pages import topic_page
from tests.pages.conftest import HOSTILE, NAMES, WORDS, made

FOLDER = Path(neurocircuits.pages.__file__).parent


class Elements(HTMLParser):
    """Collect tags with attributes, and the text of scripts and styles by their order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": [], "title": [], "h1": []}
        self._in = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in = tag
        if tag in self.texts:
            self.texts[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in in self.texts:
            self.texts[self._in][-1] += data


@pytest.fixture(scope="module")
def elements(hostile: Any) -> Elements:
    return Elements(hostile[-1])


@pytest.fixture(scope="module")
def data(elements: Elements) -> dict[str, Any]:
    return dict(json.loads(elements.texts["script"][0]))


def test_nothing_that_a_corpus_contains_is_markup(hostile: Any, elements: Elements, data: dict[str, Any]) -> None:
    """Rejects data that end their element, titles as HTML, and a second substitution of what was put in."""
    page = hostile[-1]
    assert len(elements.texts["script"]) == 2 and len(elements.texts["style"]) == 1
    assert not [tag for tag, _ in elements.tags if tag in ("img", "b", "iframe", "object", "base")]
    assert elements.texts["h1"] == [HOSTILE] and elements.texts["title"] == [f"Topics of {HOSTILE}"]
    assert page.isascii() and not re.search("[<>&]", elements.texts["script"][0])
    assert HOSTILE in data["words"] and "__proto__" in data["words"]
    assert {document["name"] for document in data["documents"]} == set(NAMES[:7])
    handlers = [
        name for _, attributes in elements.tags for name in attributes if name.startswith("on") or name == "style"
    ]
    assert handlers == []


def test_the_page_asks_for_nothing_and_admits_its_own_script_alone(elements: Elements) -> None:
    (policy,) = (a["content"] for t, a in elements.tags if t == "meta" and "http-equiv" in a)
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy).split(";"))
    for kind, text in (("script", elements.texts["script"][1]), ("style", elements.texts["style"][0])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[f"{kind}-src"] == f"'sha256-{digest}'"
    assert rules["default-src"] == "'none'" and "unsafe" not in str(policy)
    addresses = [a.get(key) for _, a in elements.tags for key in ("src", "href", "action", "srcset") if key in a]
    assert all(str(address).startswith(("#", "data:,")) for address in addresses)
    style = elements.texts["style"][0]
    assert "url(" not in style and "@import" not in style


def test_the_script_makes_no_html_of_texts() -> None:
    script = (FOLDER / "topics.js").read_text(encoding="ascii")
    for way in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "Function(", "fetch(", "import"):
        assert way not in script
    assert "</script" not in script and "<!--" not in script
    for kind in ("html", "css", "js"):
        assert max(map(len, (FOLDER / f"topics.{kind}").read_text(encoding="ascii").splitlines())) <= 120


def test_numbers_add_up(hostile: Any, data: dict[str, Any]) -> None:
    """A topic has of a word what the documents say: rejects weights in the place of occurrences, and another order."""
    _, counts, topics, scores, _ = hostile
    theta = scores / np.where(scores.sum(axis=1, keepdims=True) > 0, scores.sum(axis=1, keepdims=True), 1)
    part = theta.T @ counts
    order = np.argsort(-part.sum(axis=1))
    assert order.tolist() == [1, 0, 2]
    assert [t["share"] for t in data["topics"]] == pytest.approx(part.sum(axis=1)[order] / counts.sum(), rel=1e-3)
    assert data["total"] == counts.sum()
    assert dict(zip(data["words"], data["counts"], strict=True)) == {
        word: n for word, n in zip(WORDS, counts.sum(axis=0).tolist(), strict=True) if n
    }
    for row, k in zip(data["topics"], order, strict=True):
        for place, weight, n in row["words"]:
            column = WORDS.index(data["words"][place])
            assert weight == pytest.approx(topics[k, column] / topics[k].sum(), rel=1e-3)
            assert n == pytest.approx(part[k, column], rel=1e-3, abs=1e-9)
    for word, parts in zip(data["words"], data["parts"], strict=True):
        column = WORDS.index(word)
        given = dict(zip(parts[::2], parts[1::2], strict=True))
        expected = {n: part[k, column] / counts[:, column].sum() for n, k in enumerate(order)}
        assert given == pytest.approx({n: s for n, s in expected.items() if s >= 0.01}, abs=1e-3)
    leading = [[data["documents"][d]["name"] for d, _ in row["documents"]] for row in data["topics"]]
    assert leading == [[NAMES[k] for k in np.argsort(-scores[:, i], kind="stable") if scores[k, i] > 0] for i in order]


@pytest.mark.parametrize("place", [0.0, 0.37, 0.6, 1.0])
def test_the_page_holds_the_most_relevant_words_at_any_place_of_the_slider(place: float) -> None:
    """Rejects a list that is chosen at one relevance, where words of the topic alone are missing at 0."""
    random = np.random.default_rng(0)
    topics, counts = random.dirichlet(np.full(300, 0.1), 3), random.poisson(1.0, (40, 300)) + 1
    words, scores = [f"w{k}" for k in range(300)], random.random((40, 3))
    corpus = Corpus("random", [str(k) for k in range(40)])
    page = topic_page(corpus, words, counts, topics, scores, n_words=10)
    data = json.loads(Elements(page).texts["script"][0])
    placed = analysis.intertopic_map(topics, scores, counts.sum(axis=1))["rank"].values
    for k, valued in enumerate(analysis.relevance(topics, counts.sum(axis=0), place)):
        held = {data["words"][row[0]] for row in data["topics"][placed[k] - 1]["words"]}
        assert {words[column] for column in np.argsort(-valued)[:10]} <= held and len(held) < 100


def test_topics_without_words_and_documents_without_topics() -> None:
    corpus = Corpus("odd", [("a", "b"), ("a",), ()])
    topics, scores = [[1.0, 1], [0, 0]], [[1.0, 0], [0, 0], [0, 0]]
    page = topic_page(corpus, ["a", "b"], [[1, 1], [1, 0], [0, 0]], topics, scores)
    data = json.loads(Elements(page).texts["script"][0])
    assert data["topics"][1]["words"] == [] and data["topics"][1]["documents"] == []
    assert data["documents"] == [{"name": "document 1", "first": "a b"}]
    assert "; documents without any of the words: 1" in page
    alone = topic_page(corpus, ["a", "b"], [[1, 1], [1, 0], [0, 0]], [[1.0, 1]], [[1.0], [0], [0]])
    assert len(json.loads(Elements(alone).texts["script"][0])["topics"]) == 1


def test_the_beginning_of_a_document_is_cut() -> None:
    corpus = Corpus("long", ["  first\n\n line " + "word " * 1000])
    (document,) = json.loads(Elements(topic_page(corpus, ["word"], [[9]], [[1.0]], [[1.0]])).texts["script"][0])[
        "documents"
    ]
    assert document["first"].startswith("first line word word") and len(document["first"]) < 210
    assert document["first"].endswith("\u2026")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"counts": np.ones((7, 10))}, r"counts of shape \(7, 10\) for 8 documents and 10 words"),
        ({"counts": np.zeros((8, 10))}, "none of the 8 documents has one of the 10 words"),
        ({"topics": np.ones((3, 9))}, "topics over 9 words, but 10 words"),
        ({"topics": np.full((3, 10), np.nan)}, "finite numbers of 0 or more"),
        ({"scores": np.ones((8, 2))}, "3 topics, but scores of 2"),
        ({"scores": -np.ones((8, 3))}, "finite numbers of 0 or more"),
        ({"scores": np.ones((7, 3))}, r"for 7 documents"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], words: str, hostile: Any) -> None:
    corpus, counts, topics, scores, _ = hostile
    given = {"counts": counts, "topics": topics, "scores": scores} | change
    with pytest.raises(ValidationError, match=words):
        topic_page(corpus, WORDS, **given)


def test_the_same_page_is_made_again(hostile: Any) -> None:
    assert made(n_words=4)[-1] == hostile[-1]

"""The command `topics`: from a folder, a table or a named corpus to a table and a page; what is typed wrong is named."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurocircuits import datasets
from neurocircuits.datasets import Corpus
from neurocircuits.results.storage import load

PETS = ["The cat and the dog.", "A dog chased a cat", "Cats? My cat likes my dog", "dog and cat"]
STARS = ["Stars and planets", "planets orbit stars", "The planets of two stars", "a star; stars, planets"]
FAST = ("--set", "n_minibatches=150", "--set", "verbose=0")
LEARNED = ("--set", "n_minibatches=1000", "--set", "verbose=0", "-k", "2")  # what eight documents take


@pytest.fixture(autouse=True)
def texts(tmp_path: Path) -> None:
    """Write a folder `texts`, a table `table.csv`, and texts that are bad in a way each."""
    for kind, documents in (("pets", PETS), ("stars", STARS)):
        (tmp_path / "texts" / kind).mkdir(parents=True)
        for k, text in enumerate(documents):
            (tmp_path / "texts" / kind / f"{k}<i>.txt").write_text(f"{text}\n", encoding="utf-8")
    rows = [f'"{text}",{kind}' for kind, texts in (("pets", PETS), ("stars", STARS)) for text in texts]
    (tmp_path / "table.csv").write_text("\n".join(["body,kind", *rows, '"",pets']), encoding="utf-8")
    for name, content in {
        "one/a.txt": b"only one text",
        "blank/a.txt": b" \n",
        "stops/a.txt": b"the and of",
        "stops/b.txt": b"1 2 3",
        "latin/a.txt": b"cats",
        "latin/b.txt": "gr\u00fcn".encode("latin-1"),
        "archive.zip": b"PK\x03\x04 and no more",
        "torn.csv": b'body\n"open',
        "kept.html": b"mine",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "empty").mkdir()


def page_data(path: Path) -> dict[str, Any]:
    """Return the data of a page."""
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(encoding="ascii"))
    return dict(json.loads(text))


def test_topics_of_a_folder(invoke: Any, tmp_path: Path) -> None:
    """Two topics, each with the documents of its folder first, in the table, on the page and in the stored result."""
    text = invoke("topics", "texts", "-o", "map.html", "--save", "map.zarr", *LEARNED)
    assert "Corpus('texts', 8 texts, 2 classes): 8 documents with" in text and "2 topics, seed 0" in text
    lines = [line.split() for line in text.splitlines() if re.match(r"\s+[12] ", line)]
    assert [line[0] for line in lines] == ["1", "2"]
    assert sorted(sorted(line[3:5]) for line in lines) == [["cat", "dog"], ["planets", "stars"]]
    assert re.search(r"Written to map.html \(\d+\.\d kB\); open it in a browser", text)
    data = page_data(tmp_path / "map.html")
    for topic in data["topics"]:
        first = [data["documents"][k] for k, _ in topic["documents"][:4]]
        assert len({document["label"] for document in first}) == 1
        assert all(document["name"].startswith(document["label"] + "/") for document in first)
    tree = load(tmp_path / "map.zarr")
    words = json.loads(tree.attrs["words"])
    assert tree["/synapses/S_to_E"].sizes["pre"] == len(words) and tree.attrs["corpus"] == "texts"
    weights = tree["/synapses/S_to_E"].ds["w"].values[-1]
    assert {words[k] for k in np.argsort(weights)[:, -2:].ravel()} == {"cat", "dog", "planets", "stars"}
    assert "circuit     seung2018" in invoke("info", "map.zarr")


def test_topics_of_a_table_and_settings(invoke: Any, tmp_path: Path) -> None:
    """An empty row is a document without words. Rejects settings that are read and not used."""
    settings = ("--set", "data.text=body", "--set", "data.label=kind", "--set", "words.stop_words=none")
    text = invoke(
        "topics",
        "table.csv",
        "-k",
        "3",
        "--kappa",
        "0.01",
        "--p",
        "0.2",
        "--seed",
        "4",
        *settings,
        "-o",
        "m.html",
        *FAST,
    )
    assert "9 texts, 2 classes): 8 documents with" in text and "3 topics, seed 4" in text
    assert {"the", "and"} <= set(page_data(tmp_path / "m.html")["words"])
    page = (tmp_path / "m.html").read_text(encoding="ascii")
    assert "documents without any of the words: 1" in page
    for chosen in ("n_components=3", "kappa=0.01", "p=0.2", "random_state=4", "n_minibatches=150"):
        assert chosen in page
    assert "-o map.html writes" in invoke("topics", "table.csv", *settings, *FAST)


def test_topics_of_a_known_corpus(invoke: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists of words; those of the vocabulary that do not occur in this part are left out, as they have no share."""

    def m10(part: str = "all", *, download: bool = True) -> Corpus:
        lists = [tuple(text.lower().split()) for text in (PETS + STARS if part == "all" else PETS)]
        vocabulary = sorted({word for words in lists for word in words} | {"never"})
        return Corpus("m10", lists, vocabulary=vocabulary, labels=[0] * len(lists), label_names=["a"])

    monkeypatch.setattr(datasets, "m10", m10)
    invoke("topics", "m10", "-o", "a.html", *FAST)
    data = page_data(tmp_path / "a.html")
    assert "never" not in data["words"] and data["documents"][0]["name"].startswith("document ")
    assert "Corpus('m10', 4 lists of words" in invoke("topics", "m10", "--set", "data.part=train", "-k", "1", *FAST)
    (tmp_path / "m10").mkdir()
    (tmp_path / "m10" / "a.txt").write_text("own words\n", encoding="utf-8")
    assert "Corpus('m10', 1 texts)" in invoke("topics", "./m10", "-k", "1", *FAST)


USAGE = {
    "no corpus": ((), "Missing argument"),
    "unknown corpus": (("bbc_nws",), "Did you mean bbc_news?"),
    "no such folder": (("nowhere/texts",), "no file is called so"),
    "page of another kind": (("texts", "-o", "map.png"), "name a file that ends in .html"),
    "result of another kind": (("texts", "--save", "map.html2"), "stored as Zarr"),
    "no topics": (("texts", "-k", "0"), "-k"),
    "negative seed": (("texts", "--seed", "-1"), "--seed"),
    "unknown setting": (("texts", "--set", "kapa=1"), "Did you mean kappa"),
    "unknown setting of the reader": (("texts", "--set", "data.enc=utf-8"), "Did you mean encoding"),
    "unknown setting of the words": (("texts", "--set", "words.max_d=1"), "Did you mean max_df"),
}
PACKAGE = {
    "one document": (
        ("one",),
        r"only 1 of its documents have words, fewer than the 2 topics to be learned. Topics need more",
    ),
    "K above the documents": (
        ("texts", "-k", "9"),
        "only 8 of its documents have words, fewer than the 9 topics.*--topics 4",
    ),
    "empty documents": (("blank",), "holds 1 documents, all of them empty"),
    "empty vocabulary": (("stops",), r"empty vocabulary.*English stop words; other settings are --set words.key"),
    "words cut away": (("texts", "--set", "words.max_df=0.01"), "cannot be turned into counts of words"),
    "a word that is no number": (("texts", "--set", "words.min_df=few"), "'min_df' parameter"),
    "folder without texts": (("empty",), r"has no file '\*.txt'.*--set data.key=value"),
    "wrong encoding": (
        ("latin",),
        r"latin/b.txt' is not text in the encoding utf-8: byte 2 \(0xfc\).*latin-1.*--set data",
    ),
    "unknown encoding": (("latin", "--set", "data.encoding=utf-9"), "'utf-9' is unknown"),
    "truncated archive": (("archive.zip",), "neither a folder of text files nor a table"),
    "truncated table": (("torn.csv",), "line 2: "),
    "column not named": (("table.csv",), "several columns: 'body', 'kind'.*--set data.key=value"),
    "no such column": (("table.csv", "--set", "data.text=words"), "no column 'words' for text"),
    "negative kappa": (("texts", "--kappa", "-1"), "kappa: -1.0 is not a finite number"),
    "NaN": (("texts", "--kappa", "nan"), "kappa: nan is not a finite number"),
    "p above q": (("texts", "--p", "2"), "0 < p < q"),
    "two ways": (("texts", "--p", "0.2", "--set", "p=0.3"), "--set p: this has an option of its own, --p"),
    "topics as a setting": (("texts", "--set", "n_components=3"), "option of its own, --topics"),
    "page that is there": (("texts", "-o", "kept.html"), "Choose another name or pass --overwrite"),
    "folder that is not": (("texts", "-o", "no/map.html"), "does not exist or cannot be written"),
}


@pytest.mark.parametrize("name", USAGE)
def test_usage_errors(name: str, invoke: Any) -> None:
    arguments, words = USAGE[name]
    text = invoke("topics", *arguments, code=2)
    assert words in " ".join(text.split()) and "Traceback" not in text


@pytest.mark.parametrize("name", PACKAGE)
def test_errors_of_the_package(name: str, invoke: Any, tmp_path: Path) -> None:
    """Rejects a traceback of scikit-learn, a page that is written or replaced all the same, and errors without a way out."""
    arguments, words = PACKAGE[name]
    before = sorted(tmp_path.rglob("*"))
    text = invoke("topics", "-o", "map.html", *arguments, *FAST, code=1)
    assert re.search(words, " ".join(text.split())) and "Error: " in text and "Traceback" not in text
    assert sorted(tmp_path.rglob("*")) == before and (tmp_path / "kept.html").read_bytes() == b"mine"

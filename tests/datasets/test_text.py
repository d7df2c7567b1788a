"""Texts: the container and its vectorizers, folders and tables of a user, public corpora from small copies and as they are."""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurocircuits.datasets import Corpus, _newsgroups, _text, bbc_news, corpus, dataset_descriptions, m10, newsgroups20
from neurocircuits.errors import DataError, ValidationError

TEXTS = ["The cat saw 2 dogs.", "A dog, a Cat, a cat!", "", "Über-große Hunde"]
WORDS = [["cat", "dog"], ["dog", "dog", "bird"], []]


def md5(content: bytes) -> str:
    return "md5:" + hashlib.md5(content).hexdigest()


# --- the container


def test_documents_are_chosen_with_all_that_belongs_to_them() -> None:
    whole = Corpus("four", TEXTS, labels=[0, 1, 1, 0], label_names="ab", names=["w", "x", "y", "z"])
    assert repr(whole) == "Corpus('four', 4 texts, 2 classes)" and len(whole) == 4
    for part in (whole[2:], whole[[2, 3]], whole[np.array([False, False, True, True])]):
        assert part.documents == ("", "Über-große Hunde") and part.names == ("y", "z")
        assert part.labels.tolist() == [1, 0] and part.label_names == ("a", "b")
    with pytest.raises(ValidationError, match=r"corpus.documents\[k\]"):
        whole[2]
    with pytest.raises(ValueError, match="read-only"):
        whole.labels[0] = 1


def test_tf_idf_is_the_textbook_formula_in_unit_rows() -> None:
    """(1 + log count)(1 + log((1 + n)/(1 + df))), a loop over words. Rejects counts, plain idf and rows of other length."""
    texts = ["cat cat cat dog", "dog bird", "bird bird fish", ""]
    vectorizer = Corpus("four", texts).vectorizer()
    found = vectorizer.fit_transform(texts)
    assert found.format == "csr"
    names = vectorizer.get_feature_names_out().tolist()
    assert names == ["bird", "cat", "dog", "fish"]
    expected = np.zeros((4, 4))
    for row, text in enumerate(texts):
        for column, word in enumerate(names):
            count, with_it = text.split().count(word), sum(word in other.split() for other in texts)
            if count:
                expected[row, column] = (1 + np.log(count)) * (1 + np.log(5 / (1 + with_it)))
    expected[:3] /= np.linalg.norm(expected[:3], axis=1, keepdims=True)
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-12)


def test_words_of_texts() -> None:
    """Lower case, two letters or more, no digits, no English stop words; rare words go."""
    data = Corpus("four", TEXTS)
    assert data.vectorizer("counts").fit(data.documents).get_feature_names_out().tolist() == [
        "cat", "dog", "dogs", "große", "hunde", "saw", "über",
    ]  # fmt: skip
    many = ["common"] * 199 + ["common rare"]
    assert Corpus("many", many).vectorizer().fit(many).get_feature_names_out().tolist() == ["common", "rare"]
    many += ["common"]
    assert Corpus("many", many).vectorizer().fit(many).get_feature_names_out().tolist() == ["common"]
    changed = data.vectorizer("counts", stop_words=None, vocabulary=["the", "cat"])
    assert changed.fit_transform(data.documents).toarray()[:2].tolist() == [[1, 1], [0, 2]]


def test_words_that_others_chose_are_taken_as_they_are() -> None:
    """With the vocabulary of the corpus, its order, and no word left out. Rejects a second round of stop words."""
    data = Corpus("three", [["the", "cat"], ["x1", "cat", "cat"], []], vocabulary=["x1", "the", "cat", "never"])
    assert data.in_words and repr(data) == "Corpus('three', 3 lists of words)"
    counts = data.vectorizer("counts")
    assert counts.fit_transform(data.documents).toarray().tolist() == [[0, 1, 1, 0], [1, 0, 2, 0], [0, 0, 0, 0]]
    assert counts.get_feature_names_out().tolist() == ["x1", "the", "cat", "never"]
    again = pickle.loads(pickle.dumps(data.vectorizer().fit(data.documents)))
    assert again.transform([["unseen"], ["cat", "unseen"]]).toarray().tolist() == [[0] * 4, [0, 0, 1, 0]]


@pytest.mark.parametrize("settings", [{}, {"stop_words": None}])
def test_an_empty_vocabulary_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="empty vocabulary"):
        Corpus("none", ["", "1 2 3"]).vectorizer(**settings).fit(["", "1 2 3"])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"documents": "one text"}, "a single text"),
        ({"documents": ["text", ["list"]]}, "mixed"),
        ({"names": ["a"]}, "1 for 4 documents"),
        ({"labels": [0, 1]}, r"shape \(2,\)"),
        ({"labels": [0.0, 1.0, 0.5, 0.1]}, "whole number"),
        ({"labels": [0, 1, 2, 0], "label_names": ["a", "b"]}, "reach 2"),
    ],
)
def test_a_corpus_that_does_not_fit_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Corpus("bad", **({"documents": TEXTS} | given))


def test_other_values_are_refused() -> None:
    with pytest.raises(ValidationError, match="tf-idf, counts"):
        Corpus("four", TEXTS).vectorizer("bm25")


# --- a user's own texts


def test_a_folder_of_files(tmp_path: Path) -> None:
    for name, text in (("b/2.txt", "Two"), ("a/1.txt", "\ufeffEins, grün"), ("a/3.md", "no"), ("a/0.txt", "")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(text.encode())
    data = corpus(tmp_path)
    assert data.documents == ("", "Eins, grün", "Two") and data.names == ("a/0.txt", "a/1.txt", "b/2.txt")
    assert data.labels.tolist() == [0, 0, 1] and data.label_names == ("a", "b")
    flat = corpus(str(tmp_path / "a"), pattern="*.md")
    assert flat.documents == ("no",) and flat.labels is None


def test_a_table(tmp_path: Path) -> None:
    """Quoted line ends and separators stay; a long text is no error; the limit of the reader is put back."""
    import csv

    before, long = csv.field_size_limit(), "word " * 40_000
    (tmp_path / "a.csv").write_text(f'id, body ,kind\n1,"one, two\nthree\u2028four",x\n\n2,{long},y\n3,,x\n')
    data = corpus(tmp_path / "a.csv", text="body", label="kind", name="id")
    assert data.documents == ("one, two\nthree\u2028four", long, "") and data.names == ("1", "2", "3")
    assert data.labels.tolist() == [0, 1, 0] and data.label_names == ("x", "y")
    assert csv.field_size_limit() == before
    (tmp_path / "b.tsv").write_text("text\nwith, comma\n")
    assert corpus(tmp_path / "b.tsv").documents == ("with, comma",)


def test_other_encodings(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("grün".encode("latin-1"))
    with pytest.raises(DataError) as caught:
        corpus(tmp_path)
    for words in ("a.txt", "utf-8", "byte 2 (0xfc)", "encoding='latin-1'", "errors='replace'"):
        assert words in str(caught.value)
    assert corpus(tmp_path, encoding="latin-1").documents == ("grün",)
    assert corpus(tmp_path, errors="replace").documents == ("gr\ufffdn",)
    assert corpus(tmp_path, errors="ignore").documents == ("grn",)


@pytest.mark.parametrize(
    ("name", "content", "settings", "words"),
    [
        ("a.csv", None, {}, "does not exist"),
        ("a.pdf", b"x", {}, "end in .csv or .tsv"),
        ("a.csv", b"", {}, "no documents"),
        ("a.csv", b"text\n", {}, "no documents"),
        ("a.csv", b"text\n\n \n", {}, "all of them empty"),
        ("a.csv", b"id,body\n1,x\n", {}, "several columns: 'id', 'body'"),
        ("a.csv", b"id,body\n1,x\n", {"text": "words"}, "no column 'words' for text; it has 'id', 'body'"),
        ("a.csv", b"id,body\n1,x\n", {"text": "body", "label": "kind"}, "no column 'kind' for label"),
        ("a.csv", b"id,body\n1,x\n2\n", {"text": "body"}, "line 3: 1 fields, expected 2"),
        ("a.csv", b'text\n"open\n', {}, "line 2: "),
        ("a.csv", b"text\n\xff\xfe\n", {}, "is not text in the encoding utf-8: byte 5 (0xff)"),
        ("a.tsv", b"text\n\xff\n", {"encoding": "ascii"}, "encoding ascii"),
    ],
)
def test_other_tables_are_refused(
    tmp_path: Path, name: str, content: Any, settings: dict[str, str], words: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        corpus(tmp_path / name, **settings)
    assert words in str(caught.value) and name in str(caught.value)


def test_folders_and_settings_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file '\*.txt'"):
        corpus(tmp_path)
    (tmp_path / "a.txt").write_text(" \n")
    with pytest.raises(DataError, match="1 documents, all of them empty"):
        corpus(tmp_path)
    for settings, words in (
        ({"text": "body"}, "has no column 'body'"),
        ({"encoding": "utf-9"}, "'utf-9' is unknown"),
        ({"encoding": "rot13"}, "'rot13' is unknown"),
        ({"errors": "hide"}, "'hide' is unknown"),
    ):
        with pytest.raises(ValidationError, match=words):
            corpus(tmp_path, **settings)


# --- 20 Newsgroups, a small copy

POSTS = {"alt.atheism": (2, 1), "sci.space": (1, 1)}
POST = b"From: a@b\nSubject: c\n\nIn article <1> d writes:\n> quoted\nOwn w\xf6rds\n\nMore\n-- \nA signature"


def contents(part: str) -> dict[str, bytes]:
    numbers = {"train": [("alt.atheism", "100"), ("alt.atheism", "99"), ("sci.space", "7")]}.get(
        part, [("alt.atheism", "101"), ("sci.space", "8")]
    )
    return {f"20news-bydate-{part}/{group}/{number}": POST + number.encode() for group, number in numbers}


@pytest.fixture
def small(server: Any, cache: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Serve an archive of five posts."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in {**contents("test"), **contents("train"), "20news-bydate-train/other/5": b""}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("20news-bydate-test/sci.space/9")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    monkeypatch.setattr(_newsgroups, "ADDRESSES", (f"{server.address}/",))
    monkeypatch.setattr(_newsgroups, "POSTS", POSTS)
    monkeypatch.setitem(_newsgroups.HASHES, _newsgroups.ARCHIVE, md5(packed.getvalue()))
    (server.root / _newsgroups.ARCHIVE).write_bytes(packed.getvalue())
    return packed.getvalue()


def unpack(place: Path, *parts: str) -> Path:
    for name, content in {k: v for part in parts for k, v in contents(part).items()}.items():
        path = place / "20newsgroups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return place / "20newsgroups"


def test_posts_come_from_the_archive_in_the_order_of_their_numbers(small, server, cache: Path) -> None:
    """Rejects the order of the archive, of texts ("100" before "99"), links that are followed, and other groups."""
    for _ in range(2):
        train = newsgroups20("train", remove=())
    assert train.names == ("alt.atheism/99", "alt.atheism/100", "sci.space/7")
    assert train.labels.tolist() == [0, 0, 1] and train.label_names == tuple(POSTS)
    assert train.documents[0] == (POST + b"99").decode("latin-1")
    assert len(newsgroups20("test")) == 2
    assert server.requests == [f"/{_newsgroups.ARCHIVE}"]


def test_what_is_taken_out_of_posts(small) -> None:
    def left(*remove: str) -> str:
        return newsgroups20("train", remove=remove).documents[0]

    assert left("headers", "footers", "quotes") == "Own wörds\n\nMore"
    assert left("headers").startswith("In article") and left("headers").endswith("A signature99")
    assert left("quotes") == "From: a@b\nSubject: c\n\nOwn wörds\n\nMore\n-- \nA signature99"
    assert left("footers").endswith("More")


def test_folders_are_used_without_a_request(small, server, cache: Path, tmp_path: Path, monkeypatch) -> None:
    unpack(tmp_path / "mine", "train")
    unpack(cache, "test")
    monkeypatch.setenv("NEUROCIRCUITS_DATA", str(tmp_path / "mine"))
    assert [len(newsgroups20(part, download=False)) for part in ("train", "test")] == [3, 2]
    assert server.requests == []


def test_a_folder_without_all_posts_and_a_truncated_archive_are_refused(small, server, cache: Path) -> None:
    folder = unpack(cache, "train")
    (folder / "20news-bydate-train" / "alt.atheism" / "99").unlink()
    with pytest.raises(DataError, match=r"20news-bydate-train has 1 posts to alt.atheism, expected 2.*unpack"):
        newsgroups20("train")
    (server.root / _newsgroups.ARCHIVE).write_bytes(small[: len(small) // 2])
    with pytest.raises(DataError, match="could not be downloaded"):
        newsgroups20("test")
    (folder / _newsgroups.ARCHIVE).write_bytes(small[: len(small) // 2])
    with pytest.raises(DataError, match=r"corrupt in the cache .*20news-bydate-test beside"):
        newsgroups20("test", download=False)


def test_an_archive_that_is_none_is_an_error_also_with_its_checksum(small, cache: Path, monkeypatch) -> None:
    folder = cache / "20newsgroups"
    folder.mkdir(parents=True)
    for content, words in ((small[:-300], "cannot be read as an archive"), (b"no archive", "cannot be read")):
        (folder / _newsgroups.ARCHIVE).write_bytes(content)
        monkeypatch.setitem(_newsgroups.HASHES, _newsgroups.ARCHIVE, md5(content))
        with pytest.raises(DataError, match=words):
            newsgroups20("train", download=False)


def test_other_parts_are_refused() -> None:
    for load in (newsgroups20, bbc_news, m10):
        with pytest.raises(ValidationError, match="part 'dev' does not exist. Choose from: .*train"):
            load("dev")
    for remove in ("headers", ("header",)):
        with pytest.raises(ValidationError, match="is not allowed. Give some of"):
            newsgroups20("test", remove=remove)


# --- corpora of OCTIS and descriptions, small copies

TABLE = b"broad band\ttrain\ttech\nfilm star film\tval\tart\ngoal\ttest\tsport\nbank\ttrain\tart\n"
VOCABULARY = b"goal\nfilm\nband\nbroad\nstar\nbank\n"


@pytest.fixture
def octis(server: Any, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(_text, "OCTIS_ADDRESS", f"{server.address}/")

    def serve(table: bytes) -> Path:
        for file, content in (("corpus.tsv", table), ("vocabulary.txt", VOCABULARY)):
            monkeypatch.setitem(_text.HASHES["BBC_News"], file, md5(content))
            (server.root / "BBC_News").mkdir(exist_ok=True)
            (server.root / "BBC_News" / file).write_bytes(content)
        return cache / "topic-corpora" / "octis" / "BBC_News"

    return serve


def test_words_parts_and_classes_of_a_table_of_octis(octis, server) -> None:
    octis(TABLE)
    data = bbc_news()
    assert data.documents == (("broad", "band"), ("film", "star", "film"), ("goal",), ("bank",))
    assert data.label_names == ("art", "sport", "tech") and data.labels.tolist() == [2, 0, 1, 0]
    assert data.vocabulary == ("goal", "film", "band", "broad", "star", "bank")
    train = bbc_news("train", download=False)
    assert train.documents == (("broad", "band"), ("bank",)) and train.label_names == data.label_names
    assert sorted(server.requests) == ["/BBC_News/corpus.tsv", "/BBC_News/vocabulary.txt"]


def test_wrong_files_of_octis_are_refused(octis, server) -> None:
    octis(TABLE + b"goal\ttest\n")
    with pytest.raises(DataError, match="corpus.tsv, line 5: words, part and label"):
        bbc_news()
    octis(b"goal\xff\ttest\tsport\n")
    with pytest.raises(DataError, match="cannot be read as text"):
        bbc_news()
    octis(TABLE)
    (server.root / "BBC_News" / "corpus.tsv").write_bytes(TABLE[:-9])
    with pytest.raises(DataError, match="could not be downloaded"):
        bbc_news()
    with pytest.raises(DataError, match=r"corpus.tsv of topic-corpora/octis/M10 is not .*NEUROCIRCUITS_DATA"):
        m10(download=False)


def test_descriptions_come_from_the_archive_that_was_put_there(cache: Path, monkeypatch) -> None:
    with pytest.raises(DataError, match=r"voted-kaggle-dataset.csv.zip.*topic-corpora.*users with an account"):
        dataset_descriptions()
    rows = 'Title,Tags,Description\nFirst,"a,b","Two\nlines"\nSecond,,  \nThird,c,One line\n'
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("voted-kaggle-dataset.csv", rows)
    path = cache / "topic-corpora" / _text.DESCRIPTIONS
    path.parent.mkdir(parents=True)
    for content in (packed.getvalue()[:-10], packed.getvalue()):
        path.write_bytes(content)
        monkeypatch.setitem(_text.DESCRIPTIONS_HASHES, _text.DESCRIPTIONS, md5(content))
        if content == packed.getvalue():
            data = dataset_descriptions()
            assert data.documents == ("Two\nlines", "One line") and data.names == ("First", "Third")
        else:
            with pytest.raises(DataError, match="cannot be read as an archive"):
                dataset_descriptions()


# --- the real files


def real(load: Any) -> Corpus:
    try:
        return load()
    except DataError as error:
        pytest.skip(str(error))


def test_the_real_corpora_of_octis_hold_what_their_metadata_say() -> None:
    news = real(lambda: bbc_news(download=False))
    assert (len(news), len(news.vocabulary), len(news.label_names)) == (2225, 2949, 5)
    assert np.bincount(news.labels).tolist() == [510, 386, 417, 511, 401]
    assert np.mean([len(words) for words in news.documents]) == pytest.approx(120.12, abs=0.005)
    assert news.vectorizer().fit_transform(news.documents).shape == (2225, 2949)
    titles = real(lambda: m10(download=False))
    assert (len(titles), len(titles.vocabulary), len(titles.label_names)) == (8355, 1696, 10)
    assert [len(m10(part, download=False)) for part in ("train", "validation", "test")] == [5847, 1254, 1254]
    assert np.mean([len(words) for words in titles.documents]) == pytest.approx(5.91, abs=0.005)


def test_the_real_descriptions() -> None:
    data = real(dataset_descriptions)
    assert len(data) == 2145 and data.names[0] == "Credit Card Fraud Detection"
    assert all(text.strip() for text in data.documents)


@pytest.mark.slow
def test_the_real_posts_are_cut_as_scikit_learn_cuts_them() -> None:
    reference = pytest.importorskip("sklearn.datasets._twenty_newsgroups")
    whole = real(lambda: newsgroups20("test", (), download=False))
    assert len(whole) == 7532 and whole.label_names[7] == "rec.autos"
    cut = newsgroups20("test", download=False).documents
    for k in range(0, 7532, 7):
        text = reference.strip_newsgroup_footer(reference.strip_newsgroup_header(whole.documents[k]))
        assert cut[k] == reference.strip_newsgroup_quoting(text)

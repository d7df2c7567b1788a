"""Public corpora that were split into words by others, and descriptions of data sets, from their published files."""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from pathlib import Path

import numpy as np

from neurocircuits.datasets._corpus import Corpus
from neurocircuits.datasets._fetch import locate
from neurocircuits.errors import DataError, ValidationError

OCTIS = "topic-corpora/octis"
OCTIS_ADDRESS = "https://raw.githubusercontent.com/MIND-Lab/OCTIS/master/preprocessed_datasets/"
PARTS = {"train": "train", "validation": "val", "test": "test"}
HASHES = {
    "BBC_News": {
        "corpus.tsv": "md5:1442f9f223c4fd36f6982b8a8975e057",
        "vocabulary.txt": "md5:45052e9a235dfc1704dec0eb313921c9",
    },
    "M10": {
        "corpus.tsv": "md5:fcad59548170c8124b3b060dbc2fcb9d",
        "vocabulary.txt": "md5:b027ae025e20900c0efde959e1d4c85e",
    },
}
_CITATION = "Terragni et al. (2021) OCTIS, EACL demonstrations 263-270, doi:10.18653/v1/2021.eacl-demos.31"

DESCRIPTIONS = "voted-kaggle-dataset.csv.zip"
DESCRIPTIONS_PAGE = "https://www.kaggle.com/datasets/canggih/voted-kaggle-dataset/"
DESCRIPTIONS_HASHES = {DESCRIPTIONS: "md5:13a1bd5bab3ec8fe5b5acf28c0d6ff8e"}


def bbc_news(part: str = "all", *, download: bool = True) -> Corpus:
    """Load 2225 news articles of the BBC as lists of words, in the form of OCTIS.

    Punctuation and stop words were removed, words lemmatised, and those in fewer than 0.5 % or more than 35 % of the
    articles left out. Files are looked for in ``NEUROCIRCUITS_DATA/topic-corpora/octis/BBC_News``, then in the cache,
    and are used only with their checksums.

    Parameters
    ----------
    part : {"all", "train", "validation", "test"}
        All articles, or one of the parts of OCTIS (1556, 334 and 335).
    download : bool
        Whether missing files may be downloaded.

    Returns
    -------
    Corpus
        Lists of words of a vocabulary of 2949; classes business, entertainment, politics, sport, tech.

    Raises
    ------
    DataError
        If the files cannot be had or are damaged; the message says how to get them.
    ValidationError
        If there is no such part.

    References
    ----------
    Greene D, Cunningham P (2006) Practical solutions to the problem of diagonal dominance in kernel document
    clustering, ICML 377-384, doi:10.1145/1143844.1143892, for the articles. Terragni et al. (2021),
    doi:10.18653/v1/2021.eacl-demos.31, for their words.
    """
    terms = "the articles are given for non-commercial research"
    return _octis("bbc_news", "BBC_News", part, download, terms, "Greene, Cunningham (2006) ICML 377-384")


def m10(part: str = "all", *, download: bool = True) -> Corpus:
    """Load 8355 titles of scientific papers (CiteSeer M10) as lists of words, in the form of OCTIS.

    Punctuation and stop words were removed, words lemmatised, and those in fewer than 0.05 % of the titles left out. A
    title has 6 words in the mean. Files are looked for as those of :func:`bbc_news`, in the folder ``M10``.

    Parameters
    ----------
    part : {"all", "train", "validation", "test"}
        All titles, or one of the parts of OCTIS (5847, 1254 and 1254).
    download : bool
        Whether missing files may be downloaded.

    Returns
    -------
    Corpus
        Lists of words of a vocabulary of 1696; classes "0" to "9", fields of research.

    Raises
    ------
    DataError
        If the files cannot be had or are damaged; the message says how to get them.
    ValidationError
        If there is no such part.

    References
    ----------
    Pan S, Wu J, Zhu X, Zhang C, Wang Y (2016) Tri-party deep network representation, IJCAI 1895-1901, for the titles.
    Terragni et al. (2021), doi:10.18653/v1/2021.eacl-demos.31, for their words.
    """
    return _octis("m10", "M10", part, download, "no terms stated", "Pan et al. (2016) IJCAI 1895-1901")


def dataset_descriptions() -> Corpus:
    """Load the descriptions of 2145 public data sets, those that users of Kaggle voted for most.

    Kaggle gives the file to users with an account, so that it cannot be downloaded here: put
    ``voted-kaggle-dataset.csv.zip`` into ``NEUROCIRCUITS_DATA/topic-corpora``.

    Returns
    -------
    Corpus
        Descriptions as texts, those that are empty left out; their names are the titles of the data sets.

    Raises
    ------
    DataError
        If the file is not there, is another one or is damaged.

    References
    ----------
    Kaggle, "Most voted datasets" by user canggih, https://www.kaggle.com/datasets/canggih/voted-kaggle-dataset.
    """
    path = _descriptions_path()
    try:
        with zipfile.ZipFile(path) as archive:
            content = archive.read("voted-kaggle-dataset.csv")
        rows = list(csv.reader(io.StringIO(content.decode("utf-8"), newline="")))
    except (zipfile.BadZipFile, zlib.error, KeyError, OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as an archive with one table: {error}. Get the file anew.") from error
    title, text = rows[0].index("Title"), rows[0].index("Description")
    kept = [row for row in rows[1:] if row[text].strip()]
    return Corpus(
        name="dataset_descriptions",
        documents=[row[text] for row in kept],
        names=[row[title] for row in kept],
        source=f"Kaggle, {DESCRIPTIONS_PAGE}; terms not known",
    )


def _descriptions_path() -> Path:
    try:
        return locate("topic-corpora", [DESCRIPTIONS], [DESCRIPTIONS_PAGE], DESCRIPTIONS_HASHES, download=False)[0]
    except DataError as error:
        raise DataError(f"{error} The page {DESCRIPTIONS_PAGE} gives it to users with an account.") from error


def _octis(name: str, folder: str, part: str, download: bool, terms: str, citation: str) -> Corpus:
    if part != "all" and part not in PARTS:
        raise ValidationError(f"{name}: part {part!r} does not exist. Choose from: all, {', '.join(PARTS)}.")
    files, address = ["corpus.tsv", "vocabulary.txt"], f"{OCTIS_ADDRESS}{folder}/"
    documents, words = locate(f"{OCTIS}/{folder}", files, [address], HASHES[folder], download=download)
    rows = [line.split("\t") for line in _lines(documents)]
    if bad := [k for k, row in enumerate(rows, 1) if len(row) != 3]:
        raise DataError(f"{documents}, line {bad[0]}: words, part and label are needed, separated by tabs.")
    kept = [row for row in rows if part == "all" or row[1] == PARTS[part]]
    classes = sorted({row[2] for row in rows})
    return Corpus(
        name=name if part == "all" else f"{name} {part}",
        documents=[tuple(row[0].split()) for row in kept],
        labels=np.array([classes.index(row[2]) for row in kept], dtype=int),
        label_names=classes,
        vocabulary=[line.strip() for line in _lines(words)],
        source=f"OCTIS, {address} (repository under the MIT licence); {terms}",
        citation=f"{citation}; {_CITATION}",
    )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text: {error}. Replace it or remove it.") from error

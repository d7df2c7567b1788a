"""20 Newsgroups, sorted by date: 18 846 posts, from the canonical archive or its unpacked folders."""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from neurocircuits.datasets import _fetch
from neurocircuits.datasets._corpus import Corpus
from neurocircuits.errors import DataError, ValidationError

NAME = "20newsgroups"
ARCHIVE = "20news-bydate.tar.gz"
ADDRESSES = ("https://people.csail.mit.edu/jrennie/20Newsgroups/", "http://qwone.com/~jason/20Newsgroups/")
HASHES = {ARCHIVE: "sha256:8f1b2514ca22a5ade8fbb9cfa5727df95fa587f4c87b786e15c759fa66d95610"}
# No checksum of the unpacked folders is published, so what is known of them is how many posts each group has.
POSTS = {
    "alt.atheism": (480, 319),
    "comp.graphics": (584, 389),
    "comp.os.ms-windows.misc": (591, 394),
    "comp.sys.ibm.pc.hardware": (590, 392),
    "comp.sys.mac.hardware": (578, 385),
    "comp.windows.x": (593, 395),
    "misc.forsale": (585, 390),
    "rec.autos": (594, 396),
    "rec.motorcycles": (598, 398),
    "rec.sport.baseball": (597, 397),
    "rec.sport.hockey": (600, 399),
    "sci.crypt": (595, 396),
    "sci.electronics": (591, 393),
    "sci.med": (594, 396),
    "sci.space": (593, 394),
    "soc.religion.christian": (599, 398),
    "talk.politics.guns": (546, 364),
    "talk.politics.mideast": (564, 376),
    "talk.politics.misc": (465, 310),
    "talk.religion.misc": (377, 251),
}
PARTS = ("train", "test")
_QUOTED = re.compile(r"(writes in|writes:|wrote:|says:|said:|^In article|^Quoted from|^\||^>)")

Post = tuple[str, str, bytes]


def newsgroups20(
    part: Literal["train", "test"] = "train",
    remove: Collection[str] = ("headers", "footers", "quotes"),
    *,
    download: bool = True,
) -> Corpus:
    """Load the posts to 20 newsgroups, downloading the archive once (14 MB) if it is not on this machine.

    The folders ``20news-bydate-train`` and ``20news-bydate-test`` or the archive ``20news-bydate.tar.gz`` are looked
    for in ``NEUROCIRCUITS_DATA/20newsgroups``, then in the cache. The archive is used only with its checksum, a folder
    only with as many posts in each group as were published.

    Parameters
    ----------
    part : {"train", "test"}
        11 314 earlier or 7532 later posts.
    remove : collection of {"headers", "footers", "quotes"}
        What to take out of each post, as scikit-learn does: all before the first empty line, a signature after a last
        line of dashes or without text, lines that quote. Labels are harder to tell without them.
    download : bool
        Whether the archive may be downloaded.

    Returns
    -------
    Corpus
        Texts in the order of groups, and of numbers of posts within a group; what is left of a post may be empty.

    Raises
    ------
    DataError
        If the posts cannot be had or are not all there; the message says how to get them.
    ValidationError
        If there is no such part, or nothing of that name to remove.

    References
    ----------
    Lang K (1995) NewsWeeder: learning to filter netnews, ICML 331-339.
    """
    if part not in PARTS:
        raise ValidationError(f"newsgroups20: part {part!r} does not exist. Choose from: {', '.join(PARTS)}.")
    unknown = [remove] if isinstance(remove, str) else [what for what in remove if what not in _REMOVERS]
    if unknown:
        raise ValidationError(
            f"newsgroups20: remove {unknown[0]!r} is not allowed. Give some of {tuple(_REMOVERS)} in a tuple."
        )
    posts = sorted(_posts(part, download), key=lambda post: (post[0], int(post[1])))
    texts = []
    for _, _, content in posts:
        text = content.decode("latin-1")  # every byte is a letter there, so nothing is lost
        for what, remover in _REMOVERS.items():
            text = remover(text) if what in remove else text
        texts.append(text)
    groups = tuple(POSTS)
    return Corpus(
        name=f"newsgroups20 {part}",
        documents=texts,
        labels=np.array([groups.index(group) for group, _, _ in posts]),
        label_names=groups,
        names=[f"{group}/{number}" for group, number, _ in posts],
        source="20 Newsgroups sorted by date, http://qwone.com/~jason/20Newsgroups/; no terms stated for the posts",
        citation="Lang (1995) NewsWeeder: learning to filter netnews, ICML 331-339",
    )


def _posts(part: str, download: bool) -> list[Post]:
    """Return group, number and content of the posts of the first folder that there is, or of the archive."""
    for place in (_fetch.data_folder(), _fetch.cache_folder()):
        folder = None if place is None else place / NAME / f"20news-bydate-{part}"
        if folder is not None and folder.is_dir():
            return _counted(_from_folder(folder), part, f"The folder {folder}")
    try:
        (archive,) = _fetch.locate(NAME, [ARCHIVE], ADDRESSES, HASHES, download=download)
    except DataError as error:
        raise DataError(f"{error} The unpacked folder 20news-bydate-{part} beside that place does as well.") from error
    return _counted(_from_archive(archive, part), part, f"The archive {archive}")


def _counted(posts: Iterable[Post], part: str, origin: str) -> list[Post]:
    found = list(posts)
    groups = [group for group, _, _ in found]
    for group, numbers in POSTS.items():
        n_posts, expected = groups.count(group), numbers[PARTS.index(part)]
        if n_posts != expected:
            raise DataError(
                f"{origin} has {n_posts} posts to {group}, expected {expected}. It is incomplete or another version: "
                f"remove it, and unpack {ADDRESSES[0]}{ARCHIVE} anew."
            )
    return found


def _from_folder(folder: Path) -> Iterator[Post]:
    for group in POSTS:
        for path in (folder / group).glob("[0-9]*"):
            try:
                yield group, path.name, path.read_bytes()
            except OSError as error:
                raise DataError(f"{path} cannot be read: {error}. Replace it or remove {folder}.") from error


def _from_archive(path: Path, part: str) -> Iterator[Post]:
    """Read regular files whose name is that of a post; nothing is written and no link followed."""
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                folder, _, rest = member.name.removeprefix("./").partition("/")
                group, _, number = rest.partition("/")
                if folder == f"20news-bydate-{part}" and group in POSTS and number.isdecimal():
                    opened = archive.extractfile(member) if member.isreg() else None
                    if opened is not None:
                        yield group, number, opened.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read as an archive: {error}. Remove it, so that it is fetched anew."
        ) from error


def _without_header(text: str) -> str:
    return text.partition("\n\n")[2]


def _without_footer(text: str) -> str:
    lines = text.strip().split("\n")
    blank = [k for k, line in enumerate(lines) if not line.strip().strip("-")]
    return "\n".join(lines[: blank[-1]]) if blank and blank[-1] > 0 else text


def _without_quotes(text: str) -> str:
    return "\n".join(line for line in text.split("\n") if not _QUOTED.search(line))


_REMOVERS: dict[str, Callable[[str], str]] = {
    "headers": _without_header,
    "footers": _without_footer,
    "quotes": _without_quotes,
}

"""CIFAR-10: 60 000 colour photographs of 32 x 32 pixels, from the canonical archive or its unpacked folder.

The batches are pickles. They are read after their checksums are right, by an unpickler that knows NumPy arrays and
nothing else; of the archive, files are read by name and nothing is written.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurocircuits.datasets import _fetch
from neurocircuits.datasets.dataset import Dataset
from neurocircuits.errors import DataError, ValidationError

NAME = "cifar-10"
ARCHIVE = "cifar-10-python.tar.gz"
FOLDER = "cifar-10-batches-py"
ADDRESSES = ("https://www.cs.toronto.edu/~kriz/",)
HASHES = {
    ARCHIVE: "md5:c58f30108f718f92721af3b95e74349a",
    "data_batch_1": "md5:c99cafc152244af753f735de768cd75f",
    "data_batch_2": "md5:d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "md5:54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "md5:634d18415352ddfa80567beed471001a",
    "data_batch_5": "md5:482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "md5:40351d587109b95175f43aff81a1287e",
}
BATCHES = {"train": tuple(f"data_batch_{k}" for k in range(1, 6)), "test": ("test_batch",)}
IMAGE_SHAPE = (3, 32, 32)
N_FEATURES = 3072
N_CLASSES = 10

# All that a pickled array asks for. NumPy 2 moved the function, which an array itself names without a private import.
_RECONSTRUCT = np.empty(0).__reduce__()[0]
GLOBALS = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


def cifar10(part: Literal["train", "test"] = "train", *, download: bool = True, dtype: str = "float64") -> Dataset:
    """Load the CIFAR-10 photographs, downloading the archive once (170 MB) if it is not on this machine.

    The folder ``cifar-10-batches-py`` or the archive ``cifar-10-python.tar.gz`` is looked for in
    ``NEUROCIRCUITS_DATA/cifar-10``, then in the cache; every file is used only with its checksum. The folder is read
    faster than the archive, which is unpacked anew, in memory, by each call. Photographs stay bytes (154 MB for the
    training part); ``values`` of the rows asked for are scaled to 0 to 1.

    Parameters
    ----------
    part : {"train", "test"}
        50 000 or 10 000 photographs, in the order of the files.
    download : bool
        Whether the archive may be downloaded.
    dtype : {"float64", "float32"}
        Type of the values. All training photographs take 1.2 GB as float64, half of it as float32.

    Returns
    -------
    Dataset
        3072 values in 0 to 1, as stored: 32 x 32 red pixels, then green, then blue, so that ``images`` has the shape
        (n, 3, 32, 32); ``images.transpose(0, 2, 3, 1)`` is what Matplotlib draws in colour. Labels 0 to 9 (uint8):
        airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck.

    Raises
    ------
    DataError
        If the files cannot be had, are damaged, or hold anything but arrays, text and numbers; the message says how
        to get them.
    ValidationError
        If there is no such part.

    References
    ----------
    Krizhevsky A (2009) Learning Multiple Layers of Features from Tiny Images. Technical report, University of Toronto,
    chapter 3.
    """
    if part not in BATCHES:
        raise ValidationError(f"cifar10: part {part!r} does not exist. Choose from: {', '.join(BATCHES)}.")
    files = BATCHES[part]
    batches = {file: _parsed(content, file, origin) for file, content, origin in _contents(files, download)}
    return Dataset(
        name=f"cifar10 {part}",
        stored=np.concatenate([batches[file][0] for file in files]),
        labels=np.concatenate([batches[file][1] for file in files]),
        image_shape=IMAGE_SHAPE,
        scale=1 / 255,
        dtype=dtype,
        source="CIFAR-10, https://www.cs.toronto.edu/~kriz/cifar.html; no terms stated there but to cite the report",
        citation="Krizhevsky (2009) Learning Multiple Layers of Features from Tiny Images, University of Toronto",
    )


def _contents(files: Sequence[str], download: bool) -> Iterator[tuple[str, bytes, str]]:
    """Return name, content and origin (for messages) of each file, of the first folder that has all, or the archive."""
    lacking = ""
    for place in (_fetch.data_folder(), _fetch.cache_folder()):
        folder = None if place is None else place / NAME / FOLDER
        if folder is not None and folder.is_dir():
            absent = [file for file in files if not (folder / file).exists()]
            if not absent:
                return _from_folder(folder, files)
            lacking += f" {folder} lacks {', '.join(absent)}."
    try:
        (archive,) = _fetch.locate(NAME, [ARCHIVE], ADDRESSES, HASHES, download=download)
    except DataError as error:
        raise DataError(f"{error} Its unpacked folder {FOLDER} beside that place does as well.{lacking}") from error
    return _from_archive(archive, files)


def _from_folder(folder: Path, files: Sequence[str]) -> Iterator[tuple[str, bytes, str]]:
    for file in files:
        try:
            content = (folder / file).read_bytes()
        except OSError as error:
            raise DataError(f"{folder / file} cannot be read: {error}. Replace it or remove {folder}.") from error
        yield file, content, str(folder / file)


def _from_archive(path: Path, files: Sequence[str]) -> Iterator[tuple[str, bytes, str]]:
    """Read regular files by their exact name; links, and names that lead elsewhere, are never followed."""
    wanted = {f"{FOLDER}/{file}": file for file in files}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                opened = archive.extractfile(member) if member.isreg() and member.name in wanted else None
                if opened is not None:
                    yield wanted.pop(member.name), opened.read(), f"{member.name} in {path}"
                if not wanted:
                    return
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read as an archive: {error}. Remove it, so that it is fetched anew."
        ) from error
    raise DataError(f"{path} does not contain the file {next(iter(wanted))}. It is another archive: remove it.")


def _parsed(content: bytes, file: str, origin: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return images, shape (n, 3072), and labels, shape (n,), of a batch with the right checksum."""
    found = "md5:" + hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != HASHES[file]:
        raise DataError(
            f"{origin} is not the file {file} of {NAME}: checksum {found}, expected {HASHES[file]}. It is "
            f"incomplete or another version. Unpack {ADDRESSES[0]}{ARCHIVE} anew, or remove the folder {FOLDER}."
        )
    try:
        batch = _ArraysOnly(content, origin).load()
    except (
        *(pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError),
        *(AttributeError, ArithmeticError, MemoryError),
    ) as error:
        raise DataError(f"{origin} cannot be read as a pickle: {error!r}. It is cut off or damaged.") from error
    images, labels = (batch.get(key) if isinstance(batch, dict) else None for key in (b"data", b"labels"))
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != (N_FEATURES,):
        shown = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise DataError(
            f"{origin} holds {shown} as b'data', expected uint8 (n, {N_FEATURES}). It is no batch of CIFAR-10."
        )
    if (
        not isinstance(labels, list)
        or len(labels) != len(images)
        or not all(isinstance(label, int) and 0 <= label < N_CLASSES for label in labels)
    ):
        raise DataError(
            f"{origin} has no list b'labels' with a class 0 to {N_CLASSES - 1} for each of its {len(images)} images. "
            "It is no batch of CIFAR-10."
        )
    return images, np.array(labels, dtype=np.uint8)


class _ArraysOnly(pickle.Unpickler):
    """Read a pickle of Python 2 in which every global must be one that arrays need; nothing else is imported."""

    def __init__(self, content: bytes, origin: str) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self._origin = origin

    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) not in GLOBALS:
            raise DataError(
                f"{self._origin} asks for {module}.{name}, which no array needs; it was not run. The file is not the "
                "published one: remove it."
            )
        return GLOBALS[module, name]

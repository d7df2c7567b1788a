"""MNIST: the parser on damaged files, the loader on a small copy from a server, and the real files."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from neurocircuits.datasets import _mnist, mnist
from neurocircuits.datasets._idx import read_idx
from neurocircuits.errors import DataError, ValidationError


def idx(array: np.ndarray, type_code: int = 8) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, type_code, array.ndim]) + sizes + array.tobytes()


IMAGES = np.arange(3 * 28 * 28).astype(np.uint8).reshape(3, 28, 28)
LABELS = np.array([5, 0, 4], dtype=np.uint8)


def test_an_array_is_read_back_with_rows_before_columns(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(idx(IMAGES[:, :20]), mtime=0))
    np.testing.assert_array_equal(read_idx(path, 3), IMAGES[:, :20])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (idx(IMAGES), "cannot be read as a gzip file"),
        (gzip.compress(idx(IMAGES), mtime=0)[:-200], "cannot be read as a gzip file"),
        (gzip.compress(idx(IMAGES), mtime=0)[:8], "cannot be read as a gzip file"),
        (
            gzip.compress(idx(IMAGES), mtime=0)[:40] + b"xxxx" + gzip.compress(idx(IMAGES), mtime=0)[44:],
            "cannot be read as a gzip file",
        ),
        (gzip.compress(b"", mtime=0), "fewer than an IDX header"),
        (gzip.compress(idx(LABELS), mtime=0), "fewer than an IDX header"),
        (gzip.compress(idx(IMAGES, type_code=0x0D), mtime=0), "magic number 0x00000d03, expected 0x00000803"),
        (gzip.compress(idx(IMAGES[0]), mtime=0), "magic number 0x00000802"),
        (gzip.compress(b"PK\x03\x04" * 50, mtime=0), "another file"),
        (gzip.compress(idx(IMAGES)[:-1], mtime=0), "holds 2351 values, but its header states 3 x 28 x 28 = 2352"),
        (gzip.compress(idx(IMAGES) + b"\0", mtime=0), "holds 2353 values"),
        (gzip.compress(b"\0\0\x08\x03" + b"\xff" * 12, mtime=0), "cut off or damaged"),
    ],
)
def test_a_damaged_or_foreign_file_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "odd.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"odd.gz .*{words}"):
        read_idx(path, 3)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.gz"):
        read_idx(tmp_path / "absent.gz", 3)


@pytest.fixture
def small(server, cache: Path, monkeypatch: pytest.MonkeyPatch):
    """Serve three digits under the names of MNIST; return a function that replaces a file and its checksum."""
    monkeypatch.setattr(_mnist, "ADDRESSES", (f"{server.address}/",))

    def serve(file: str, array: np.ndarray) -> None:
        content = gzip.compress(idx(array), mtime=0)
        (server.root / file).write_bytes(content)
        monkeypatch.setitem(_mnist.HASHES, file, "sha256:" + hashlib.sha256(content).hexdigest())

    serve("t10k-images-idx3-ubyte.gz", IMAGES)
    serve("t10k-labels-idx1-ubyte.gz", LABELS)
    return serve


def test_the_loader_downloads_parses_and_scales(small, cache: Path) -> None:
    data = mnist("test", dtype="float32")
    assert repr(data) == "Dataset('mnist test', 3 x 784, images 28 x 28, labelled)"
    np.testing.assert_allclose(data.images, IMAGES / 255, rtol=1e-6)
    assert data.stored.dtype == np.uint8
    assert data.labels.tolist() == [5, 0, 4]
    assert sorted(path.name for path in (cache / "mnist").iterdir()) == [
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    ]


@pytest.mark.parametrize(
    ("file", "array"),
    [("t10k-labels-idx1-ubyte.gz", LABELS[:2]), ("t10k-images-idx3-ubyte.gz", IMAGES[:, :14])],
)
def test_files_that_do_not_belong_together_are_refused(small, file: str, array: np.ndarray) -> None:
    small(file, array)
    with pytest.raises(DataError, match="do not belong together"):
        mnist("test")


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"'valid' does not exist. Choose from: train, test"):
        mnist("valid")


@pytest.fixture(scope="module")
def real():
    return {part: mnist(part, download=False) for part in ("train", "test")}


@pytest.mark.data
def test_the_real_files_hold_what_the_field_knows(real) -> None:
    """Rejects swapped parts, shifted labels, transposed images and a wrong scale."""
    train, test = real["train"], real["test"]
    assert (train.stored.shape, test.stored.shape) == ((60_000, 784), (10_000, 784))
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert np.bincount(train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    values = train.values
    assert (values.min(), values.max()) == (0, 1)
    assert values.mean() == pytest.approx(0.1307, abs=5e-5)  # the constants that every MNIST script normalises with
    assert values.std() == pytest.approx(0.3081, abs=5e-5)
    one = train[train.labels == 1].images.mean(axis=0)
    assert np.ptp(np.flatnonzero(one.max(axis=1) > 0.2)) > np.ptp(np.flatnonzero(one.max(axis=0) > 0.2))


@pytest.mark.data
def test_unit_power_of_the_real_digits(real) -> None:
    train, test = real["train"], real["test"]
    scaled, constant = train.unit_power()
    power = (train.stored.astype(np.int64) ** 2).sum() / 255**2 / 60_000
    assert constant == pytest.approx(1 / np.sqrt(power), rel=1e-12)
    held_out = np.mean(np.sum(test.scaled(constant).values ** 2, axis=1))
    assert held_out == pytest.approx(1, abs=0.03)
    assert scaled.labels is not None

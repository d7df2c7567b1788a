"""A user's own stimuli: read from NumPy files and comma-separated numbers, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neurocircuits.datasets import Corpus, corpus, from_file
from neurocircuits.errors import DataError, ValidationError

U = np.random.default_rng(0).random((5, 12))


def test_arrays_come_back(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", U)
    np.savez(tmp_path / "b.npz", X=U, y=np.arange(5))
    np.savetxt(tmp_path / "c.csv", U, delimiter=",")
    np.savetxt(tmp_path / "d.csv", U, delimiter=",", header=",".join("abcdefghijkl"), comments="")
    np.savetxt(tmp_path / "e.tsv", U, delimiter="\t")
    np.savetxt(tmp_path / "F.CSV", U, delimiter=",")
    for name in ("a.npy", "b.npz", "c.csv", "d.csv", "e.tsv", "F.CSV"):
        np.testing.assert_allclose(from_file(tmp_path / name).values, U, rtol=1e-15)
    np.testing.assert_array_equal(from_file(tmp_path / "b.npz").labels, np.arange(5))


def test_images_of_bytes_keep_their_shape_and_count_as_0_to_1(tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 256, (4, 3, 5)).astype(np.uint8)
    np.save(tmp_path / "images.npy", images)
    data = from_file(tmp_path / "images.npy", dtype="float32")
    assert data.image_shape == (3, 5) and data.stored.dtype == np.uint8 and data.values.dtype == np.float32
    np.testing.assert_allclose(data.values, images.reshape(4, -1) / 255, rtol=1e-6)


@pytest.mark.parametrize("first", [b"", b"\xef\xbb\xbf", b"a,b,c\n", b"\xef\xbb\xbfa,b,c\n"])
def test_only_a_line_of_names_is_left_out(tmp_path: Path, first: bytes) -> None:
    """Rejects a first row that is lost to the mark that Excel writes before it."""
    (tmp_path / "rows.csv").write_bytes(first + b"1,2,3\n4,5,6\n")
    assert from_file(tmp_path / "rows.csv").values.tolist() == [[1, 2, 3], [4, 5, 6]]


def save(path: Path, name: str, content: object) -> Path:
    if isinstance(content, bytes):
        (path / name).write_bytes(content)
    elif isinstance(content, dict):
        np.savez(path / name, **content)
    elif content is not None:
        np.save(path / name, content)
    return path / name


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"1,2", "end in .npy, .npz, .csv, .tsv"),
        ("a.npy", None, "does not exist"),
        ("a.npy", b"no array", "cannot be read"),
        ("a.npy", np.ones(5), "shape (5,)"),
        ("a.npy", np.array([["a", "b"]]), "numbers of shape"),
        ("a.npy", np.array([[{}, None]], dtype=object), "cannot be read"),
        ("a.npz", {"weights": U}, "it holds weights, but none of values"),
        ("a.npz", {"X": U, "y": np.arange(3)}, "labels of shape (3,) do not fit 5 stimuli"),
        ("a.csv", b"1,2\n\n3,x\n", "line 3, column 2: 'x' is no number"),
        ("a.csv", b"a,b\n1,2\n3,4,5\n", "line 3 has 3 columns, those before have 2"),
        ("a.csv", b"1,,3\n4,5,6\n", "cannot be read"),
        ("a.csv", b"1,NA,3\n4,5,6\n", "line 1, column 2: 'NA' is no number"),
        ("a.npz", b"PK\x03\x04 half of one", "cannot be read as .npz of numbers"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: object, words: str) -> None:
    with pytest.raises(DataError) as caught:
        from_file(save(tmp_path, name, content))
    assert words in str(caught.value) and name in str(caught.value)


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        from_file(save(tmp_path, "a.npy", np.array([[1.0, np.nan]])))


@pytest.mark.parametrize("gap", [float("nan"), None, 1])
def test_a_gap_among_documents_is_named(gap: object) -> None:
    """A column of a table with a value missing."""
    with pytest.raises(ValidationError, match=rf"Corpus\('gap'\)\.documents: number 1 is {gap}. Give texts"):
        Corpus("gap", ["cat dog", gap])  # type: ignore[list-item]


@pytest.mark.parametrize("pattern", ["", "/etc/*"])
def test_patterns_are_names_of_files(pattern: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"pattern '.*' is none of names of files in .*such as '\*\.txt'"):
        corpus(tmp_path, pattern=pattern)

"""CIFAR-10: a small copy as folder and as archive, files that are wrong or mean harm, and the real files."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurocircuits.datasets import _cifar10, cifar10
from neurocircuits.errors import DataError, ValidationError

ARCHIVE, FOLDER = "cifar-10-python.tar.gz", "cifar-10-batches-py"
FILES = [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]
IMAGES = {file: np.random.default_rng(k).integers(0, 256, (2, 3072), dtype=np.uint8) for k, file in enumerate(FILES)}
LABELS = {file: [k, 9 - k] for k, file in enumerate(FILES)}


def pickled(content: object, protocol: int = 3) -> bytes:
    """Pickle with the names that the published files have, whatever version of NumPy runs here."""
    return pickle.dumps(content, protocol=protocol).replace(b"cnumpy._core.", b"cnumpy.core.")


def batch(file: str = "test_batch", **replaced: object) -> dict[bytes, object]:
    content = {"batch_label": b"small", "labels": LABELS[file], "data": IMAGES[file], "filenames": [b"a.png", b"b.png"]}
    return {key.encode(): value for key, value in (content | replaced).items()}


def tar(members: Mapping[str, bytes], links: Mapping[str, str] | None = None, kind: bytes = tarfile.SYMTYPE) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    return packed.getvalue()


class Small:
    """Six batches of two photographs; what is put anywhere gets its own checksum."""

    def __init__(self, served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._served, self._monkeypatch = served, monkeypatch
        self.contents = {file: pickled(batch(file)) for file in FILES}
        for file, content in self.contents.items():
            self.vouch(file, content)
        self.serve(tar({f"{FOLDER}/readme.html": b"read me"} | self.members(*reversed(FILES))))

    def members(self, *files: str) -> dict[str, bytes]:
        return {f"{FOLDER}/{file}": self.contents[file] for file in files}

    def vouch(self, file: str, content: bytes) -> None:
        self._monkeypatch.setitem(_cifar10.HASHES, file, "md5:" + hashlib.md5(content).hexdigest())

    def serve(self, archive: bytes) -> None:
        (self._served / ARCHIVE).write_bytes(archive)
        self.vouch(ARCHIVE, archive)

    def unpack(self, place: Path, *files: str) -> Path:
        folder = place / "cifar-10" / FOLDER
        folder.mkdir(parents=True)
        for file in files or FILES:
            (folder / file).write_bytes(self.contents[file])
        return folder


@pytest.fixture
def small(server: Any, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    monkeypatch.setattr(_cifar10, "ADDRESSES", (f"{server.address}/",))
    return Small(server.root, monkeypatch)


def below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_the_archive_is_downloaded_once_and_read_in_the_order_of_the_files(small, server, cache: Path) -> None:
    """Rejects photographs in the order of the archive, which is another, and labels of another file."""
    for _ in range(2):
        data = cifar10("train", dtype="float32")
        assert repr(data) == "Dataset('cifar10 train', 10 x 3072, images 3 x 32 x 32, labelled)"
        np.testing.assert_array_equal(data.stored, np.concatenate([IMAGES[file] for file in FILES[:5]]))
        assert data.labels.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]
    assert (data.stored.dtype, data.labels.dtype, data.values.dtype) == ("uint8", "uint8", "float32")
    assert server.requests == [f"/{ARCHIVE}"]
    assert below(cache) == ["cifar-10", f"cifar-10/{ARCHIVE}"]


def test_colours_come_before_rows_and_rows_before_columns(small) -> None:
    data = cifar10("test")
    np.testing.assert_allclose(data.images[1, 2, 5, 7], IMAGES["test_batch"][1, 2 * 1024 + 5 * 32 + 7] / 255)
    assert data.labels.tolist() == [5, 4]


@pytest.mark.parametrize("named", [True, False])
def test_a_folder_is_used_without_a_request(small, server, cache: Path, tmp_path: Path, monkeypatch, named) -> None:
    place = tmp_path / "mine" if named else cache
    small.unpack(place)
    if named:
        monkeypatch.setenv("NEUROCIRCUITS_DATA", str(place))
    for part, files in (("train", FILES[:5]), ("test", FILES[5:])):
        stored = cifar10(part, download=False).stored
        np.testing.assert_array_equal(stored, np.concatenate([IMAGES[file] for file in files]))
    assert server.requests == []


def test_an_archive_put_there_by_hand_is_used_where_it_is(small, server, cache: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("NEUROCIRCUITS_DATA", str(tmp_path / "mine"))
    (tmp_path / "mine" / "cifar-10").mkdir(parents=True)
    (server.root / ARCHIVE).rename(tmp_path / "mine" / "cifar-10" / ARCHIVE)
    assert len(cifar10("test", download=False)) == 2
    assert below(tmp_path / "mine") == ["cifar-10", f"cifar-10/{ARCHIVE}"]
    assert not cache.exists()


def test_a_folder_that_lacks_files_gives_way_to_the_archive_and_is_named_without_one(small, cache: Path) -> None:
    folder = small.unpack(cache, *FILES[1:])
    assert len(cifar10("test", download=False)) == 2
    with pytest.raises(DataError) as caught:
        cifar10("train", download=False)
    assert f"{folder} lacks data_batch_1." in str(caught.value)
    assert len(cifar10("train")) == 10


def test_what_is_missing_comes_with_its_remedy(cache: Path) -> None:
    with pytest.raises(DataError) as caught:
        cifar10("test", download=False)
    for words in (
        f"{ARCHIVE} of cifar-10 is not on this machine, and download=False. ",
        f"Get https://www.cs.toronto.edu/~kriz/{ARCHIVE}",
        str(cache / "cifar-10" / ARCHIVE),
        "NEUROCIRCUITS_DATA",
        FOLDER,
    ):
        assert words in str(caught.value)


@pytest.mark.parametrize("kept", [-1, 0])
def test_a_truncated_or_wrong_file_is_refused_and_kept(small, server, cache: Path, kept: int) -> None:
    path = small.unpack(cache) / "data_batch_3"
    path.write_bytes(small.contents["data_batch_3"][:kept])
    found = "md5:" + hashlib.md5(path.read_bytes()).hexdigest()
    with pytest.raises(DataError) as caught:
        cifar10("train")
    for words in (str(path), found, _cifar10.HASHES["data_batch_3"], f"Unpack {server.address}/{ARCHIVE} anew"):
        assert words in str(caught.value)
    assert path.read_bytes() == small.contents["data_batch_3"][:kept]
    assert server.requests == []


def test_a_batch_is_checked_in_an_archive_with_the_right_checksum_too(small) -> None:
    small.serve(tar({f"{FOLDER}/test_batch": small.contents["data_batch_1"]}))
    with pytest.raises(DataError, match=f"{FOLDER}/test_batch in .*{ARCHIVE} is not the file test_batch"):
        cifar10("test")


def test_a_download_with_another_checksum_is_not_kept(small, server, cache: Path) -> None:
    (server.root / ARCHIVE).write_bytes(b"<html>moved</html>")
    with pytest.raises(DataError, match="could not be downloaded"):
        cifar10("test")
    assert below(cache) == ["cifar-10"]


def test_a_folder_in_place_of_a_file_is_named(small, cache: Path) -> None:
    path = small.unpack(cache, "data_batch_1") / "test_batch"
    path.mkdir()
    with pytest.raises(DataError, match="test_batch cannot be read"):
        cifar10("test")


@pytest.mark.parametrize("damage", [lambda packed: packed[:-300], lambda packed: b"PK\x03\x04" + packed, lambda _: b""])
def test_an_archive_that_cannot_be_unpacked_is_named(small, damage) -> None:
    small.serve(damage(tar(small.members("data_batch_1", "test_batch"))))
    with pytest.raises(DataError, match=f"{ARCHIVE} cannot be read as an archive"):
        cifar10("test")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["{outside}", f"{FOLDER}/data_batch_1", "data_batch_1"])
def test_links_in_an_archive_are_not_followed(small, tmp_path: Path, kind: bytes, target: str) -> None:
    """The file at the other end has the right checksum, so that following the link would load it."""
    small.vouch("test_batch", small.contents["data_batch_1"])
    outside = tmp_path / "outside"
    outside.write_bytes(small.contents["data_batch_1"])
    links = {f"{FOLDER}/test_batch": target.format(outside=outside)}
    small.serve(tar(small.members("data_batch_1"), links, kind))
    with pytest.raises(DataError, match=f"does not contain the file {FOLDER}/test_batch"):
        cifar10("test")


def test_paths_that_lead_out_of_an_archive_are_not_written(small, cache: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("../escaped", f"{FOLDER}/../../escaped", str(tmp_path / "escaped"), "escaped")
    evil = tar(dict.fromkeys(names, b"out") | small.members("test_batch"), {f"{FOLDER}/up": str(tmp_path)})
    small.serve(evil)
    before = below(tmp_path)
    assert len(cifar10("test")) == 2
    assert set(below(tmp_path)) - set(before) == {"cache", "cache/cifar-10", f"cache/cifar-10/{ARCHIVE}"}


def test_only_the_exact_name_counts(small, tmp_path: Path) -> None:
    outer = {f"{prefix}{FOLDER}/test_batch": small.contents["test_batch"] for prefix in ("../", "/", "other/")}
    small.serve(tar(outer))
    with pytest.raises(DataError, match="does not contain the file"):
        cifar10("test")


class Harm:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


class Code(Harm):
    """The same through the built-in that runs text."""

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (f"__import__('os').mkdir({str(self.path)!r})",)


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
@pytest.mark.parametrize(
    ("kind", "words"), [(Harm, rf"{os.mkdir.__module__}\.mkdir"), (Code, r"(__)?builtins?(__)?\.eval")]
)
def test_a_pickle_that_means_harm_is_refused_and_not_run(
    small, cache: Path, tmp_path: Path, kind: type[Harm], words: str, protocol: int
) -> None:
    harmed = tmp_path / "harmed"
    content = pickle.dumps({"labels": [3, 4], "data": kind(harmed)}, protocol=protocol)
    (small.unpack(cache) / "test_batch").write_bytes(content)
    small.vouch("test_batch", content)
    with pytest.raises(DataError, match=rf"test_batch asks for {words}, .*not run"):
        cifar10("test")
    assert not harmed.exists()
    pickle.loads(content)  # the test would notice: read without care, it does the harm
    assert harmed.exists()


def test_the_names_of_both_versions_of_numpy_are_read_and_no_others(small, cache: Path) -> None:
    folder = small.unpack(cache)
    published = small.contents["test_batch"]
    assert b"cnumpy.core.multiarray\n_reconstruct\n" in published
    for module, fine in ((b"numpy._core.multiarray", True), (b"numpy.core.numeric", False)):
        content = published.replace(b"numpy.core.multiarray", module)
        (folder / "test_batch").write_bytes(content)
        small.vouch("test_batch", content)
        if fine:
            np.testing.assert_array_equal(cifar10("test").stored, IMAGES["test_batch"])
        else:
            with pytest.raises(DataError, match=r"asks for numpy\.core\.numeric\._reconstruct"):
                cifar10("test")


WHOLE = pickled(batch())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (WHOLE[:-1], "cannot be read as a pickle"),
        (WHOLE[: len(WHOLE) // 2], "cannot be read as a pickle"),
        (b"", "cannot be read as a pickle"),
        (b"<html>moved</html>", "cannot be read as a pickle"),
        (b"\x80\x03}(h\x05K\x01u.", "cannot be read as a pickle"),
        (b"cnumpy\nndarray\nK\x01\x85R.", "holds NoneType as b'data'"),
        (b"cnumpy\nndarray\nX\x01\x00\x00\x00a\x85R.", "cannot be read as a pickle"),
        (b"cnumpy\nndarray\n\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x40\x85R.", "cannot be read as a pickle"),
        (pickled([1, 2]), "holds NoneType as b'data'"),
        (pickled({b"labels": [1]}), "holds NoneType as b'data'"),
        (pickled(batch(data=[1, 2])), "holds list as b'data'"),
        (pickled(batch(data=np.zeros((2, 784), dtype=np.uint8))), r"holds uint8 \(2, 784\) as b'data', expected uint8"),
        (pickled(batch(data=np.zeros((2, 3072), dtype=np.int8))), r"holds int8 \(2, 3072\)"),
        (pickled(batch(data=np.zeros(3072, dtype=np.uint8))), r"holds uint8 \(3072,\)"),
        (pickled(batch(labels=[1])), "b'labels' with a class 0 to 9 for each of its 2 images"),
        (pickled(batch(labels=[1, 10])), "a class 0 to 9"),
        (pickled(batch(labels=[1, -1])), "a class 0 to 9"),
        (pickled(batch(labels=[1, 1.0])), "a class 0 to 9"),
        (pickled(batch(labels=None)), "b'labels'"),
    ],
)
def test_a_damaged_or_foreign_batch_is_named(small, cache: Path, content: bytes, words: str) -> None:
    (small.unpack(cache) / "test_batch").write_bytes(content)
    small.vouch("test_batch", content)
    with pytest.raises(DataError, match=f"test_batch .*{words}"):
        cifar10("test")


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"'valid' does not exist. Choose from: train, test"):
        cifar10("valid")


@pytest.fixture(scope="module")
def real():
    try:
        return {part: cifar10(part, download=False, dtype="float32") for part in ("train", "test")}
    except DataError as error:
        pytest.skip(str(error))


@pytest.mark.data
def test_the_real_files_hold_what_the_field_knows(real) -> None:
    """Rejects swapped parts, batches in another order, shifted labels, and colours or rows in another order."""
    train, test = real["train"], real["test"]
    assert (train.stored.shape, test.stored.shape) == ((50_000, 3072), (10_000, 3072))
    assert np.bincount(train.labels).tolist() == [5000] * 10
    assert np.bincount(test.labels).tolist() == [1000] * 10
    assert train.labels[:5].tolist() == [6, 9, 9, 4, 1]  # a frog, two trucks, a deer, a car
    assert test.labels[:5].tolist() == [3, 8, 8, 0, 6]  # a cat, two ships, an airplane, a frog
    frog = np.rint(255 * train[:1].images[0]).astype(int)
    assert frog[:, 0, 0].tolist() == [59, 62, 63]
    assert frog[:, 0, 1].tolist() == [43, 46, 45]
    assert frog[:, 1, 0].tolist() == [16, 20, 20]
    # The constants that every CIFAR-10 script normalises with.
    for colour, mean, deviation in ((0, 0.4914, 0.2470), (1, 0.4822, 0.2435), (2, 0.4465, 0.2616)):
        pixels = np.bincount(train.stored[:, 1024 * colour : 1024 * (colour + 1)].ravel(), minlength=256)
        values = np.arange(256) / 255
        found = np.average(values, weights=pixels)
        assert found == pytest.approx(mean, abs=1e-4)
        assert np.sqrt(np.average((values - found) ** 2, weights=pixels)) == pytest.approx(deviation, abs=1e-4)


@pytest.mark.data
def test_the_real_photographs_have_a_direction_and_split_for_tuning(real) -> None:
    unit = real["test"].unit_length()
    np.testing.assert_allclose(np.linalg.norm(unit.values, axis=1), 1, rtol=1e-6)
    first, second = real["train"].split(5000, seed=0, stratified=True)
    assert (len(first), len(second)) == (45_000, 5000)
    assert np.bincount(second.labels).tolist() == [500] * 10

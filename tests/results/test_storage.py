"""What is saved comes back equal; nothing good is lost; what is damaged or foreign is named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from neurocircuits.errors import StorageError, ValidationError
from neurocircuits.results import load, save, storage
from neurocircuits.results.storage import read_tree, seal, write_tree
from tests.analysis.conftest import ROOT, make_tree

NAMES = ("run.zarr", "run.zip", "run", "new/deeper/run.zarr")


def small(seed: int = 0) -> xr.DataTree:
    """Return a legal tree that is written quickly."""
    pathway = make_tree()["/synapses/S_to_E"].to_dataset()
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=ROOT | {"seed": seed}), "/synapses/S_to_E": pathway})


@pytest.fixture(autouse=True)
def quiet() -> object:
    """Zarr and xarray may not warn: every warning is an error here."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("name", NAMES)
def test_a_tree_comes_back_identical(tmp_path: Path, name: str) -> None:
    tree = make_tree(label=np.array(["é", "", "long label"] * 4), seed=2**40)
    path = save(tree, tmp_path / name)
    again = load(path)
    xr.testing.assert_identical(again, tree)
    for node in tree.subtree:
        for variable, array in node.to_dataset(inherit=False).variables.items():
            assert again[node.path].to_dataset(inherit=False)[variable].dtype == array.dtype, (node.path, variable)
    assert dict(again["/synapses/I_to_E"].attrs) == {"pre": "I", "post": "E", "sign": -1, "tied_to": "E_to_I"}
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@settings(max_examples=15)
@given(
    data=st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=1, max_size=5),
    words=st.lists(st.text(max_size=4).filter(lambda text: "\x00" not in text), min_size=1, max_size=4),
    name=st.sampled_from(["a.zarr", "a.zip"]),
)
def test_values_round_trip_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, data: list[float], words: list[str], name: str
) -> None:
    values = np.array(data)
    tree = xr.DataTree.from_dict(
        {
            "/a/b": xr.Dataset(
                {"x": ("n", values), "x32": ("n", values.astype("f4")), "t": ("m", np.array(words, dtype=str))}
            ),
            "/c": xr.Dataset(
                {"i": ("n", np.zeros(len(data), int)), "b": ("n", np.ones(len(data), bool))}, attrs={"é": [1, 2.5, "x"]}
            ),
        }
    )
    path = write_tree(tree, tmp_path_factory.mktemp("store") / name)
    again = read_tree(path)
    xr.testing.assert_identical(again, tree)
    signs = (np.copysign(1.0, x) * ~np.isnan(x) for x in (again["/a/b"]["x"].values, values))
    np.testing.assert_array_equal(*signs)
    assert again["/c"]["i"].dtype == tree["/c"]["i"].dtype


def test_what_was_loaded_can_be_saved_in_either_form(tmp_path: Path) -> None:
    tree = small()
    save(load(save(load(save(tree, tmp_path / "a.zip")), tmp_path / "b.zarr")), tmp_path / "c.zip")
    xr.testing.assert_identical(load(tmp_path / "c.zip"), tree)


def test_attributes_and_storage_of_other_writers_do_not_change_values(tmp_path: Path) -> None:
    """Units in words would become time differences, and a compressor of another format would refuse the second save."""
    values = {
        "x": ("n", np.arange(3.0), {"units": "seconds"}),
        "d": ("n", np.arange(3.0), {"units": "days since 2000-01-01"}),
    }
    tree = xr.DataTree.from_dict({"/a": xr.Dataset(values)})
    tree.to_zarr(tmp_path / "other", zarr_format=3, consolidated=False)
    write_tree(read_tree(tmp_path / "other"), tmp_path / "run.zarr")
    xr.testing.assert_identical(read_tree(tmp_path / "run.zarr"), tree)


def test_a_store_opens_without_this_package(tmp_path: Path) -> None:
    tree = make_tree()
    save(tree, tmp_path / "run.zarr")
    with xr.open_datatree(tmp_path / "run.zarr", engine="zarr") as opened:
        xr.testing.assert_identical(opened.load(), tree)


@pytest.mark.parametrize("name", ["run.zarr", "run.zip"])
def test_an_existing_result_is_replaced_only_when_asked(tmp_path: Path, name: str) -> None:
    first, second = small(1), small(2)
    save(first, tmp_path / name)
    with pytest.raises(StorageError, match="overwrite=True"):
        save(second, tmp_path / name)
    assert load(tmp_path / name).attrs["seed"] == 1
    save(second, tmp_path / name, overwrite=True)
    assert load(tmp_path / name).attrs["seed"] == 2
    assert [p.name for p in tmp_path.iterdir()] == [name]


def a_folder_of_files(path: Path) -> None:
    path.mkdir()
    (path / "thesis.txt").write_text("years of work")


def a_file(path: Path) -> None:
    path.write_text("years of work")


def a_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thesis.txt", "years of work")


def a_link(path: Path) -> None:
    (path.parent / "elsewhere").mkdir()
    path.symlink_to(path.parent / "elsewhere")


@pytest.mark.parametrize("make", [a_folder_of_files, a_file, a_zip, a_link])
@pytest.mark.parametrize("name", ["run.zarr", "run.zip"])
def test_what_is_not_a_result_is_never_replaced(tmp_path: Path, make: Callable[[Path], None], name: str) -> None:
    path = tmp_path / name
    make(path)
    with pytest.raises(StorageError, match="is not a stored result, so it is not replaced"):
        save(small(), path, overwrite=True)
    if make is a_link:
        assert path.is_symlink()
    else:
        kept = path / "thesis.txt" if make is a_folder_of_files else path
        assert b"years of work" in kept.read_bytes()


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "run.zarr").mkdir()
    with pytest.raises(StorageError, match="exists"):
        save(small(), tmp_path / "run.zarr")
    save(small(), tmp_path / "run.zarr", overwrite=True)
    load(tmp_path / "run.zarr")


@pytest.mark.parametrize("name", ["run.zarr", "run.zip"])
@pytest.mark.parametrize("step", ["_write_folder", "seal", "os.replace"])
@pytest.mark.parametrize("error", [OSError("No space left on device"), KeyboardInterrupt()])
def test_a_failure_in_the_middle_keeps_the_earlier_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, step: str, error: BaseException
) -> None:
    """A writer that empties the destination first would lose the run of last night."""
    path = save(small(1), tmp_path / name)
    replace = os.replace

    def fail(*arguments: object, **keywords: object) -> None:
        moved = Path(str(arguments[0])).name  # Zarr renames files too, and the earlier result steps aside
        if step == "os.replace" and not (moved.startswith(".run.") and moved.endswith(".partial")):
            replace(*arguments)  # type: ignore[arg-type]
            return
        if step == "_write_folder":
            Path(str(arguments[1])).mkdir()
            (Path(str(arguments[1])) / "half").write_text("written")
        raise error

    monkeypatch.setattr(storage.os if step == "os.replace" else storage, step.split(".")[-1], fail)
    with pytest.raises(StorageError if isinstance(error, OSError) else KeyboardInterrupt):
        save(small(2), path, overwrite=True)
    monkeypatch.undo()
    assert load(path).attrs["seed"] == 1
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_an_illegal_tree_is_not_stored(tmp_path: Path) -> None:
    tree = make_tree()
    tree["/synapses/S_to_E"].dataset = (
        -tree["/synapses/S_to_E"].to_dataset(inherit=False).assign_attrs(tree["/synapses/S_to_E"].attrs)
    )
    with pytest.raises(ValidationError):
        save(tree, tmp_path / "run.zarr")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["run.nc", "run.h5", "run.NPZ"])
def test_names_of_other_formats_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError, match=r"stored as Zarr.*'run\.zarr'"):
        save(small(), tmp_path / name)


@pytest.mark.parametrize("name", ["run.zarr", "run.zip"])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, name: str) -> None:
    """A file where a folder should be stops root too, unlike permissions."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=rf"file/{name}' cannot be written.*\n.*Choose a folder"):
        save(small(), tmp_path / "file" / name)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere; run as a user")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StorageError, match="cannot be written"):
            save(small(), tmp_path / "run.zarr")
    finally:
        tmp_path.chmod(0o700)


def test_what_cannot_be_stored_is_named(tmp_path: Path) -> None:
    tree = xr.DataTree(xr.Dataset(attrs={"circuit": object()}))
    with pytest.raises(StorageError, match="cannot be stored.*\n.*attributes are JSON"):
        write_tree(tree, tmp_path / "run.zarr")
    assert list(tmp_path.iterdir()) == []


def parts(path: Path) -> list[Path]:
    """Return every data file of a store, the largest first."""
    files = [p for p in path.rglob("*") if p.is_file() and not p.name.startswith(".")]
    return sorted(files, key=lambda p: -p.stat().st_size)


def lose_a_part(path: Path) -> None:
    parts(path)[0].unlink()


def cut_a_part(path: Path) -> None:
    content = parts(path)[0].read_bytes()
    parts(path)[0].write_bytes(content[: len(content) // 2])


def flip_a_bit(path: Path) -> None:
    content = bytearray(parts(path)[0].read_bytes())
    content[-1] ^= 1
    parts(path)[0].write_bytes(content)


def lose_metadata(path: Path) -> None:
    (path / ".zmetadata").unlink()


@pytest.mark.parametrize("damage", [lose_a_part, cut_a_part, flip_a_bit, lose_metadata])
def test_damage_to_a_folder_is_noticed(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """Zarr by itself reads a lost part as zeros or NaN, so the result would load with wrong numbers."""
    path = save(small(), tmp_path / "run.zarr")
    damage(path)
    with pytest.raises(StorageError, match=r"run\.zarr' is (incomplete|damaged).*its part.*run again"):
        load(path)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_zip_file_is_noticed(tmp_path: Path, keep: float) -> None:
    path = save(small(), tmp_path / "run.zip")
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(StorageError, match=r"run\.zip' is not a stored result"):
        load(path)


def test_every_flipped_byte_of_a_zip_file_is_noticed_or_harmless(tmp_path: Path) -> None:
    tree = small()
    content = save(tree, tmp_path / "run.zip").read_bytes()
    for position in np.random.default_rng(0).integers(len(content), size=60):
        changed = bytearray(content)
        changed[position] ^= 0x55
        (tmp_path / "run.zip").write_bytes(changed)
        try:
            again = load(tmp_path / "run.zip")
        except StorageError:
            continue
        xr.testing.assert_identical(again, tree)


def nothing(path: Path) -> None:
    pass


def a_foreign_store(path: Path) -> None:
    xr.DataTree(xr.Dataset({"x": ("n", [1.0])})).to_zarr(path, zarr_format=2)


def a_broken_root(path: Path) -> None:
    save(small(), path)
    (path / ".neurocircuits.json").unlink()
    (path / ".zmetadata").write_text("{")


def a_broken_list(path: Path) -> None:
    save(small(), path)
    (path / ".neurocircuits.json").write_text("{")


def a_newer_schema(path: Path) -> None:
    save(small(), path)
    for name in (".zattrs", ".zmetadata"):
        text = (path / name).read_text().replace('"schema_version": 1', '"schema_version": 9')
        (path / name).write_text(text)
    seal(path)


FOREIGN = {
    "nothing there": (nothing, "does not exist"),
    "a folder of files": (a_folder_of_files, "is not a stored result"),
    "a text file": (a_file, "is not a stored result"),
    "a zip of something": (a_zip, "is not a stored result"),
    "another Zarr store": (a_foreign_store, "not a neurocircuits result.*\n.*open_datatree"),
    "broken metadata": (a_broken_root, "cannot be read.*\n.*damaged"),
    "broken list": (a_broken_list, "cannot be read.*\n.*damaged"),
    "newer schema": (a_newer_schema, "departs from the schema.*'schema_version' is 9"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_is_no_result_is_refused_by_name(tmp_path: Path, case: str) -> None:
    make, words = FOREIGN[case]
    make(tmp_path / "thing")
    with pytest.raises(StorageError, match=words) as error:
        load(tmp_path / "thing")
    assert "thing" in str(error.value)


def test_a_store_written_piece_by_piece_can_be_sealed(tmp_path: Path) -> None:
    path = save(make_tree(label=np.arange(1, 13)), tmp_path / "run.zarr")
    (path / ".neurocircuits.json").unlink()
    lost = path / "populations" / "E" / "label" / "0"
    content = lost.read_bytes()
    lost.unlink()
    assert (load(path)["/populations/E"]["label"] == 0).all()  # wrong, and nothing shows it: hence the list
    lost.write_bytes(content)
    seal(path)
    lost.unlink()
    with pytest.raises(StorageError, match="incomplete"):
        load(path)


def test_a_moved_store_still_loads(tmp_path: Path) -> None:
    shutil.move(save(small(), tmp_path / "a.zarr"), tmp_path / "b.zarr")
    load(tmp_path / "b.zarr")
    assert set(json.loads((tmp_path / "b.zarr" / ".neurocircuits.json").read_text())) == {"files"}


def test_importing_results_does_not_import_xarray_or_zarr() -> None:
    heavy = ("xarray", "zarr", "pandas", "brian2")
    code = f"import sys, neurocircuits.results; print([m for m in {heavy} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"

"""Storage of result trees as Zarr: a folder, or one zip file where the name ends in ``.zip``.

A store is written beside its destination and renamed when it is whole, so a failure leaves what was there before. It
carries a list of its files with size and CRC-32: Zarr reads a missing file as zeros or NaN, so a store that lost a part
would otherwise load as data. The format is Zarr 2, whose specification includes fixed-width text and consolidated
metadata; ``xarray.open_datatree(path, engine="zarr")`` opens a store without this package.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurocircuits.errors import StorageError, ValidationError
from neurocircuits.results.schema import validate

if TYPE_CHECKING:
    import xarray as xr

_FILE_LIST = ".neurocircuits.json"
_ROOT_FILES = (".zgroup", "zarr.json")
_OTHER_FORMATS = (".nc", ".nc4", ".h5", ".hdf5", ".npz", ".pkl", ".json")
_READING_ERRORS = (OSError, EOFError, ValueError, LookupError, TypeError, RuntimeError, zipfile.BadZipFile, zlib.error)


def save(tree: xr.DataTree, path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Store a result tree.

    Parameters
    ----------
    tree : xarray.DataTree
        The result of one run.
    path : str or path-like
        Destination: a folder, or a zip file if the name ends in ``.zip``. Folders above it are made.
    overwrite : bool
        Whether an earlier result at the destination is replaced. Anything else there is never replaced.

    Returns
    -------
    pathlib.Path
        The destination.

    Raises
    ------
    ValidationError
        If the tree departs from the schema.
    StorageError
        If the destination exists or cannot be written.
    """
    return write_tree(validate(tree), path, overwrite)


def load(path: str | os.PathLike[str]) -> xr.DataTree:
    """Read a stored result tree into memory.

    Parameters
    ----------
    path : str or path-like
        What `save` wrote.

    Returns
    -------
    xarray.DataTree
        Equal to the tree that was saved, dtypes and attributes included.

    Raises
    ------
    StorageError
        If there is nothing, something else, a damaged store, or a tree that departs from the schema.
    """
    tree = read_tree(path)
    if "schema_version" not in tree.attrs:
        message = f"'{path}' is a Zarr store, but not a neurocircuits result: it has no attribute 'schema_version'.\n  "
        raise StorageError(message + 'Open it with xarray.open_datatree(path, engine="zarr").')
    try:
        return validate(tree)
    except ValidationError as error:
        raise StorageError(f"'{path}' departs from the schema of results: {error}") from error


def write_tree(tree: xr.DataTree, path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Store any tree, of results of several runs for example; as `save`, without the schema.

    Parameters
    ----------
    tree : xarray.DataTree
        Text must be fixed-width (NumPy kind "U"), attributes JSON.
    path : str or path-like
        Destination, as for `save`.
    overwrite : bool
        As for `save`.

    Returns
    -------
    pathlib.Path
        The destination.

    Raises
    ------
    StorageError
        If the destination exists or cannot be written, or if the tree cannot be stored.
    """
    path = Path(path)
    check_destination(path, overwrite)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    folder = partial.with_name(partial.name + ".folder") if _is_zip(path) else partial
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_folder(tree, folder)
        if _is_zip(path):
            _pack(folder, partial)
        _replace(partial, path)
    except OSError as error:
        remedy = "Choose a folder that exists, can be written and has room; what was there before is untouched."
        raise StorageError(f"'{path}' cannot be written: {error}.\n  {remedy}") from error
    except (TypeError, ValueError) as error:
        remedy = "Variables are numbers, bool or fixed-width text; attributes are JSON."
        raise StorageError(f"the tree cannot be stored at '{path}': {error}.\n  {remedy}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return path


def write_parts(
    frame: dict[str, xr.Dataset], parts: Iterable[dict[str, xr.Dataset]], path: str | os.PathLike[str]
) -> Path:
    """Store a tree that does not fit into memory: a frame of groups, then parts appended along their first dimension.

    Parameters
    ----------
    frame : dict of str to xarray.Dataset
        Groups by path, as they are before anything is appended.
    parts : iterable of dict of str to xarray.Dataset
        Groups by path; equal groups have equal variables.
    path : str or path-like
        A folder; an earlier result there is replaced.

    Returns
    -------
    pathlib.Path
        The destination.

    Raises
    ------
    StorageError
        If the destination cannot be written.
    """
    import xarray as xr

    path = Path(path)
    check_destination(path, overwrite=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        xr.DataTree.from_dict(frame).to_zarr(partial, mode="w-", zarr_format=2, consolidated=False)
        begun: set[str] = set()
        for part in parts:
            for group, dataset in part.items():
                append: dict[str, Any] = {"append_dim": next(iter(dataset.sizes))} if group in begun else {}
                dataset.to_zarr(partial, group=group, mode="a", zarr_format=2, consolidated=False, **append)
                begun.add(group)
        _consolidate(partial)
        seal(partial)
        _replace(partial, path)
    except OSError as error:
        remedy = "Choose a folder that exists, can be written and has room; what was there before is untouched."
        raise StorageError(f"'{path}' cannot be written: {error}.\n  {remedy}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return path


def _consolidate(folder: Path) -> None:
    import zarr

    zarr.consolidate_metadata(str(folder), zarr_format=2)


def read_tree(path: str | os.PathLike[str]) -> xr.DataTree:
    """Read any stored tree into memory; as `load`, without the schema.

    Parameters
    ----------
    path : str or path-like
        What `write_tree` wrote, or another Zarr store.

    Returns
    -------
    xarray.DataTree
        The tree.

    Raises
    ------
    StorageError
        If there is nothing, something else, or a damaged store.
    """
    path = Path(path)
    try:
        if not path.exists():
            raise StorageError(f"'{path}' does not exist; the current folder is '{Path.cwd()}'.")
        if not _has_part(path, *_ROOT_FILES):
            raise StorageError(
                f"'{path}' is not a stored result: it is neither a Zarr folder nor a whole zip file of one."
            )
        _check_files(path)
        return _read(path)
    except StorageError:
        raise
    except _READING_ERRORS as error:
        remedy = "It is truncated or damaged, or its permissions forbid reading. Restore it from a copy or run again."
        raise StorageError(f"'{path}' cannot be read: {error}.\n  {remedy}") from error


def stored_hash(path: str | os.PathLike[str]) -> str | None:
    """Return the identity of the run whose result is stored at a path, without reading its data.

    Parameters
    ----------
    path : str or path-like
        What `save` wrote, or anything else.

    Returns
    -------
    str or None
        The root attribute ``content_hash``; empty if a store has none or cannot be read, None if there is no store.
    """
    import zarr

    path = Path(path)
    if not _has_part(path, *_ROOT_FILES):
        return None
    try:
        with _opened(path) as store:
            return str(zarr.open_group(store, mode="r").attrs.get("content_hash", ""))
    except _READING_ERRORS:
        return ""


def seal(folder: str | os.PathLike[str]) -> None:
    """List the files of a store that was written piece by piece, so that `load` notices what is missing.

    Parameters
    ----------
    folder : str or path-like
        A Zarr folder that is complete.
    """
    folder = Path(folder)
    names = (file.relative_to(folder).as_posix() for file in sorted(folder.rglob("*")) if file.is_file())
    files = {name: _size_and_sum(folder / name) for name in names if name != _FILE_LIST}
    (folder / _FILE_LIST).write_text(json.dumps({"files": files}), encoding="utf-8")


def _size_and_sum(file: Path | zipfile.Path) -> list[int]:
    content = file.read_bytes()
    return [len(content), zlib.crc32(content)]


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip"


def _has_part(path: Path, *names: str) -> bool:
    """Whether a folder or zip file holds one of these files at its root; not so for what is neither."""
    if path.is_dir():
        return any((path / name).is_file() for name in names)
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name in archive.NameToInfo for name in names)


def check_destination(path: Path, overwrite: bool) -> None:
    """Refuse a destination that `save` would refuse.

    Parameters
    ----------
    path : pathlib.Path
        Destination.
    overwrite : bool
        As for `save`.

    Raises
    ------
    StorageError
        If it names another format, or something is there that is not replaced.
    """
    if path.suffix.lower() in _OTHER_FORMATS:
        raise StorageError(
            f"'{path}': results are stored as Zarr. Name a folder, such as '{path.stem}.zarr', or '{path.stem}.zip'."
        )
    if not path.exists() and not path.is_symlink():
        return
    empty = path.is_dir() and not any(path.iterdir())
    if path.is_symlink() or not (empty or _has_part(path, *_ROOT_FILES)):
        raise StorageError(f"'{path}' exists and is not a stored result, so it is not replaced. Remove it yourself.")
    if not overwrite:
        raise StorageError(f"'{path}' exists. Choose another name or pass overwrite=True.")


def _write_folder(tree: xr.DataTree, folder: Path) -> None:
    import xarray as xr

    groups = {node.path: node.to_dataset(inherit=False).drop_encoding() for node in tree.subtree}
    xr.DataTree.from_dict(groups).to_zarr(folder, mode="w-", zarr_format=2, consolidated=True)
    seal(folder)


def _pack(folder: Path, file: Path) -> None:
    with zipfile.ZipFile(file, "x", zipfile.ZIP_STORED) as archive:
        for part in sorted(folder.rglob("*")):
            if part.is_file():
                archive.write(part, part.relative_to(folder).as_posix())


def _replace(partial: Path, path: Path) -> None:
    """Move a finished store to its place; an earlier folder steps aside first and comes back if the move fails."""
    if not path.is_dir():
        os.replace(partial, path)
        return
    earlier = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.earlier")
    os.replace(path, earlier)
    try:
        os.replace(partial, path)
    finally:
        if not path.exists():
            os.replace(earlier, path)
    shutil.rmtree(earlier, ignore_errors=True)


def _check_files(path: Path) -> None:
    """Compare a store with its own list of files, if it has one."""
    remedy = "Restore it from a copy or run again."
    archive = zipfile.ZipFile(path) if path.is_file() else contextlib.nullcontext()
    with archive as opened:
        root = path if opened is None else zipfile.Path(opened)
        if not (root / _FILE_LIST).is_file():
            return
        for name, expected in json.loads((root / _FILE_LIST).read_text(encoding="utf-8"))["files"].items():
            if not (root / name).is_file():
                raise StorageError(f"'{path}' is incomplete: its part '{name}' is missing. {remedy}")
            if _size_and_sum(root / name) != expected:
                raise StorageError(f"'{path}' is damaged: its part '{name}' is not what was written. {remedy}")


def _read(path: Path) -> xr.DataTree:
    import xarray as xr

    consolidated = _has_part(path, ".zmetadata")
    with (
        _opened(path) as store,
        xr.open_datatree(store, engine="zarr", decode_times=False, consolidated=consolidated) as tree,
    ):
        return tree.load()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Yield what xarray opens: the folder itself, or the store in a zip file, closed afterwards."""
    if path.is_dir():
        yield path
        return
    import zarr

    with contextlib.closing(zarr.storage.ZipStore(path, mode="r")) as store:
        yield store

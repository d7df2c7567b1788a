"""Checkpoints: a folder from which another process continues a run to the bit.

``run.json`` holds the declarations and ``arrays.npz`` their large arrays, both written once; ``state-<n>.npz`` holds
everything that changes, and ``latest.json``, replaced in one step, says which state counts. Recorded rows are spooled
into ``parts`` before a state is written, so a state always fits the parts that it counts.
"""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from neurocircuits.declare.serialise import from_dict, to_dict
from neurocircuits.errors import StorageError

_FORMAT = 1


class Checkpoint:
    """A checkpoint folder.

    Parameters
    ----------
    folder : str or Path
        Folder, made if missing.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    @property
    def parts(self) -> Path:
        """Folder of recorded parts."""
        return self.folder / "parts"

    def create(self, circuit: Any, protocol: Any, engine: Any, seed: int, settings: dict[str, Any]) -> None:
        """Write the declarations of a run.

        Raises
        ------
        StorageError
            If the folder cannot be written or holds something else.
        """
        arrays: dict[str, Any] = {}
        data = {
            "format": _FORMAT,
            "circuit": to_dict(circuit, arrays),
            "protocol": to_dict(protocol, arrays),
            "engine": to_dict(engine, arrays),
            "seed": seed,
            "settings": settings,
        }
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if any(self.folder.iterdir()):
                raise StorageError(
                    f"Checkpoint folder '{self.folder}' is not empty. Resume it, remove it, or name another folder."
                )
            sparse = {key: value for key, value in arrays.items() if hasattr(value, "indptr")}
            plain = {key: np.asarray(value) for key, value in arrays.items() if key not in sparse}
            for key, value in sparse.items():
                plain |= {f"{key}.{part}": getattr(value, part) for part in ("data", "indices", "indptr")}
                plain[f"{key}.shape"] = np.array(value.shape)
            with open(self.folder / "arrays.npz", "wb") as file:
                np.savez(file, **plain)  # type: ignore[arg-type]
            _write(self.folder / "run.json", json.dumps(data))
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(
                f"Checkpoint folder '{self.folder}' cannot be written: {error}. Name a folder that you may write to."
            ) from error

    def declarations(self) -> dict[str, Any]:
        """Return circuit, protocol, engine, seed and settings of a run.

        Raises
        ------
        StorageError
            If the folder is no checkpoint, or damaged.
        """
        if not (self.folder / "run.json").exists():
            raise StorageError(
                f"'{self.folder}' is not a checkpoint folder: it has no run.json. Pass the folder given as checkpoint=."
            )
        try:
            data = json.loads((self.folder / "run.json").read_text())
            with np.load(self.folder / "arrays.npz") as file:
                arrays = _with_sparse({key: file[key] for key in file.files})
            if data["format"] != _FORMAT:
                raise StorageError(f"'{self.folder}' has checkpoint format {data['format']}, not {_FORMAT}.")
            built = {key: from_dict(data[key], arrays) for key in ("circuit", "protocol", "engine")}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"'{self.folder}' is damaged: {error}. Start the run again.") from error
        return {**built, "seed": data["seed"], "settings": data["settings"]}

    def save(self, state: dict[str, np.ndarray], cursor: dict[str, Any]) -> None:
        """Write a state and make it the one that counts."""
        number = int(cursor["number"])
        name = f"state-{number:06d}.npz"
        partial = self.folder / f".{name}"
        try:
            with open(partial, "wb") as file:
                np.savez(file, **{key.replace("/", "|"): value for key, value in state.items()})  # type: ignore[arg-type]
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, self.folder / name)
            _write(self.folder / "latest.json", json.dumps({"state": name, "cursor": cursor}))
            for old in self.folder.glob("state-*.npz"):
                if old.name != name:
                    old.unlink()
        except OSError as error:
            raise StorageError(
                f"Checkpoint '{self.folder}' cannot be written: {error}. Free space, or name another folder."
            ) from error

    def latest(self) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """Return the state that counts and its cursor, or None before the first.

        Raises
        ------
        StorageError
            If they cannot be read.
        """
        pointer = self.folder / "latest.json"
        if not pointer.exists():
            return None
        try:
            data = json.loads(pointer.read_text())
            with np.load(self.folder / data["state"]) as file:
                return {key.replace("|", "/"): file[key] for key in file.files}, data["cursor"]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise StorageError(f"Checkpoint '{self.folder}' is damaged: {error}. Start the run again.") from error


def _with_sparse(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    from scipy.sparse import csr_array

    whole: dict[str, Any] = {key: value for key, value in arrays.items() if "." not in key}
    for key in {key.partition(".")[0] for key in arrays if "." in key}:
        parts = [arrays[f"{key}.{part}"] for part in ("data", "indices", "indptr")]
        whole[key] = csr_array(tuple(parts), shape=tuple(arrays[f"{key}.shape"]))
    return whole


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}")
    with open(partial, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)

"""Find the files of a public data set, or download them once, and vouch for their checksums.

Owns the order of the search (the folder named by ``NEUROCIRCUITS_DATA``, the cache, the addresses in turn) and the
messages. It knows no data set by name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from neurocircuits.errors import DataError

VARIABLE = "NEUROCIRCUITS_DATA"
TIMEOUT = 30.0


def cache_folder() -> Path:
    """Return the folder that downloads are kept in, by the rules of the platform; it need not exist yet."""
    import pooch

    return Path(pooch.os_cache("neurocircuits"))


def data_folder() -> Path | None:
    """Return the folder that ``NEUROCIRCUITS_DATA`` names, or None where it is not set.

    Raises
    ------
    DataError
        If the variable names something that is not a folder.
    """
    setting = os.environ.get(VARIABLE)
    if not setting:
        return None
    folder = Path(setting).expanduser()
    if not folder.is_dir():
        raise DataError(f"{VARIABLE}={setting!r} is not a folder. Correct the variable or unset it.")
    return folder


def locate(
    name: str, files: Sequence[str], addresses: Sequence[str], hashes: Mapping[str, str], *, download: bool = True
) -> list[Path]:
    """Return the paths of verified files, downloading what is not on this machine.

    Parameters
    ----------
    name : str
        Name of the set, and of its folder below the data and cache folders.
    files : sequence of str
        Names of the files wanted.
    addresses : sequence of str
        Where the files can be had: the address of a file is one of these with its name added. Tried in turn.
    hashes : mapping of str to str
        Checksum of each file, as ``"sha256:..."`` or ``"md5:..."``.
    download : bool
        Whether a file may be downloaded; if not, one that is missing is an error.

    Returns
    -------
    list of Path
        The files, in the order asked for. Every one has its checksum.

    Raises
    ------
    DataError
        If a file cannot be had, or one that was put there by hand is not the file it should be.
    """
    given = data_folder()
    paths = []
    for file in files:
        if given is not None and (path := given / name / file).exists():
            found = _checksum(path, hashes[file])
            if found != hashes[file]:
                raise DataError(
                    f"{path} is not the file {file} of {name}: checksum {found}, expected {hashes[file]}. It is "
                    f"incomplete or another version. Replace it by {addresses[0]}{file}, or remove it."
                )
        else:
            path = _from_cache(name, file, addresses, hashes[file], download)
        paths.append(path)
    return paths


def _from_cache(name: str, file: str, addresses: Sequence[str], expected: str, download: bool) -> Path:
    path = cache_folder() / name / file
    found = _checksum(path, expected) if path.exists() else None
    if found == expected:
        return path
    state = "is not on this machine" if found is None else f"is corrupt in the cache (checksum {found})"
    if not download:
        raise DataError(
            f"The file {file} of {name} {state}, and download=False. {_remedy(name, file, addresses, path)}"
        )
    failures = ""
    for address in addresses:
        failure = _retrieve(address + file, path, expected)
        if failure is None:
            return path
        failures += f"\n  {address}{file}: {failure}"
    raise DataError(
        f"The file {file} of {name} {state} and could not be downloaded (expected checksum {expected}):{failures}\n"
        f"{_remedy(name, file, addresses, path)}"
    )


def _retrieve(address: str, path: Path, expected: str) -> str | None:
    """Download to a temporary file, which replaces ``path`` only if it has its checksum; return what went wrong."""
    import pooch
    from tqdm.auto import tqdm

    # The total is a placeholder: pooch replaces it, but before that asks for the truth of the bar, which needs one.
    with tqdm(desc=path.name, total=1, unit="B", unit_scale=True, delay=2, leave=False) as progress:
        downloader = pooch.HTTPDownloader(
            progressbar=progress,
            timeout=TIMEOUT,
            headers={"Accept-Encoding": "identity"},  # else a server may compress again what is hashed as it is stored
        )
        try:
            pooch.retrieve(address, known_hash=expected, fname=path.name, path=path.parent, downloader=downloader)
        except (OSError, ValueError) as error:  # no connection, refused, folder not writable; wrong checksum
            return str(error)
    return None


def _checksum(path: Path, expected: str) -> str:
    import pooch

    algorithm = expected.partition(":")[0]
    try:
        return f"{algorithm}:{pooch.file_hash(str(path), alg=algorithm)}"
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}. Replace it or remove it.") from error


def _remedy(name: str, file: str, addresses: Sequence[str], path: Path) -> str:
    return (
        f"Get {addresses[0]}{file} on a machine that can, and put it at {path}, or at DIR/{name}/{file} in a folder "
        f"DIR that the environment variable {VARIABLE} names (now {os.environ.get(VARIABLE) or 'not set'})."
    )

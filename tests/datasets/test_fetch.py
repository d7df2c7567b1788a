"""The download, against a real server: good, corrupt, missing, mirrored and already present files."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from neurocircuits.datasets import cache_folder, data_folder
from neurocircuits.datasets._fetch import locate
from neurocircuits.errors import DataError

GOOD = b"spikes" * 5000
HASHES = {"a.gz": "sha256:" + hashlib.sha256(GOOD).hexdigest(), "b.gz": "md5:" + hashlib.md5(GOOD).hexdigest()}


def put(folder: Path, file: str, content: bytes = GOOD) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(content)
    return folder / file


def test_a_good_file_is_downloaded_once(server, cache: Path) -> None:
    for file in HASHES:
        put(server.root / "mirror", file)
    for _ in range(2):
        paths = locate("toy", ["b.gz", "a.gz"], [f"{server.address}/mirror/"], HASHES)
        assert paths == [cache / "toy" / "b.gz", cache / "toy" / "a.gz"]
        assert all(path.read_bytes() == GOOD for path in paths)
    assert server.requests == ["/mirror/b.gz", "/mirror/a.gz"]
    assert sorted(os.listdir(cache / "toy")) == ["a.gz", "b.gz"]


def test_a_mirror_is_tried_only_after_the_first_fails(server, cache: Path) -> None:
    put(server.root / "corrupt", "a.gz", GOOD[:-1])
    put(server.root / "cut", "a.gz")
    put(server.root / "good", "a.gz")
    put(server.root / "never", "a.gz")
    addresses = [f"{server.address}/{folder}/" for folder in ("absent", "corrupt", "cut", "good", "never")]
    assert locate("toy", ["a.gz"], addresses, HASHES)[0].read_bytes() == GOOD
    asked = list(dict.fromkeys(server.requests))  # a refusal is logged twice
    assert asked == [f"/{folder}/a.gz" for folder in ("absent", "corrupt", "cut", "good")]
    assert os.listdir(cache / "toy") == ["a.gz"]


def test_when_every_address_fails_the_message_says_what_and_how_to_get_it(server, cache: Path) -> None:
    put(server.root / "corrupt", "a.gz", b"<html>moved</html>")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        unreachable = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        addresses = [f"{server.address}/absent/", f"{server.address}/corrupt/", unreachable]
        with pytest.raises(DataError) as caught:
            locate("toy", ["a.gz"], addresses, HASHES)
    message = str(caught.value)
    wrong = hashlib.sha256(b"<html>moved</html>").hexdigest()
    for words in (
        "a.gz of toy",
        "404",
        wrong,
        HASHES["a.gz"],
        "refused",
        f"Get {addresses[0]}a.gz",
        str(cache / "toy" / "a.gz"),
        "NEUROCIRCUITS_DATA",
    ):
        assert words in message
    assert os.listdir(cache / "toy") == []


def test_a_corrupt_file_in_the_cache_is_replaced(server, cache: Path) -> None:
    put(server.root, "a.gz")
    path = put(cache / "toy", "a.gz", GOOD[:100])
    with pytest.raises(DataError, match=r"corrupt in the cache .*download=False"):
        locate("toy", ["a.gz"], [f"{server.address}/"], HASHES, download=False)
    assert locate("toy", ["a.gz"], [f"{server.address}/"], HASHES) == [path]
    assert path.read_bytes() == GOOD


def test_files_already_there_are_used_without_a_request(server, cache: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("NEUROCIRCUITS_DATA", str(tmp_path / "mine"))
    path = put(tmp_path / "mine" / "toy", "a.gz")
    put(server.root, "b.gz")
    paths = locate("toy", ["a.gz", "b.gz"], [f"{server.address}/"], HASHES)
    assert paths == [path, cache / "toy" / "b.gz"]
    assert server.requests == ["/b.gz"]


def test_a_wrong_file_put_there_by_hand_is_refused_and_kept(server, cache: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("NEUROCIRCUITS_DATA", str(tmp_path))
    path = put(tmp_path / "toy", "b.gz", b"other")
    put(server.root, "b.gz")
    with pytest.raises(DataError) as caught:
        locate("toy", ["b.gz"], [f"{server.address}/"], HASHES)
    for words in (str(path), "md5:" + hashlib.md5(b"other").hexdigest(), HASHES["b.gz"], "Replace it"):
        assert words in str(caught.value)
    assert path.read_bytes() == b"other"
    assert server.requests == []


def test_without_download_a_missing_file_is_an_error_that_helps(cache: Path) -> None:
    with pytest.raises(DataError, match=r"not on this machine, and download=False. Get http://x/a.gz .*now not set"):
        locate("toy", ["a.gz"], ["http://x/"], HASHES, download=False)


def test_a_cache_that_cannot_be_written_is_named(server, cache: Path) -> None:
    put(server.root, "a.gz")
    cache.write_text("a file where the folder should be")
    with pytest.raises(DataError, match="could not be downloaded"):
        locate("toy", ["a.gz"], [f"{server.address}/"], HASHES)


def test_a_folder_in_place_of_a_file_is_named(cache: Path) -> None:
    (cache / "toy" / "a.gz").mkdir(parents=True)
    with pytest.raises(DataError, match="cannot be read"):
        locate("toy", ["a.gz"], [], HASHES)


def test_a_variable_that_names_no_folder_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("NEUROCIRCUITS_DATA", str(tmp_path / "typo"))
    with pytest.raises(DataError, match=r"NEUROCIRCUITS_DATA=.*typo.* is not a folder"):
        data_folder()
    monkeypatch.setenv("NEUROCIRCUITS_DATA", "")
    assert data_folder() is None


@pytest.mark.skipif(sys.platform != "linux", reason="the cache folder of Linux is checked")
def test_the_cache_is_where_the_platform_keeps_caches(monkeypatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path("~/.cache/neurocircuits").expanduser()


def test_import_is_light_and_opens_no_connection() -> None:
    script = (
        "import socket, sys\n"
        "socket.socket.connect = None\n"
        "import neurocircuits.datasets\n"
        "print([name for name in ('pooch', 'requests', 'sklearn', 'tqdm', 'matplotlib') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "[]"

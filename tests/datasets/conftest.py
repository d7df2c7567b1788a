"""A real web server on this machine, and a cache and environment of the test's own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

import pytest


class Server:
    """Serve ``root``; ``requests`` lists the paths asked for, and what lies below ``/cut/`` is sent by half."""

    def __init__(self, root: Path) -> None:
        requests: list[str] = []

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, *arguments: object) -> None:
                requests.append(self.path)

            def copyfile(self, source: IO[bytes], outputfile: IO[bytes]) -> None:
                content = source.read()
                outputfile.write(content[: len(content) // 2] if self.path.startswith("/cut/") else content)

        self.root = root
        self.requests = requests
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root)))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    root = tmp_path / "served"
    root.mkdir()
    running = Server(root)
    yield running
    running.close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and no folder of data."""
    folder = tmp_path / "cache"
    monkeypatch.delenv("NEUROCIRCUITS_DATA", raising=False)
    monkeypatch.setattr("neurocircuits.datasets._fetch.cache_folder", lambda: folder)
    return folder

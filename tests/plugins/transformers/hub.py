"""A hub without network: its cache on this machine laid out by hand, and a server that speaks as much as is needed."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def cached(cache: Path, repository: str, files: Path) -> Path:
    """Lay out a repository in a hub cache as the hub's client does; return the snapshot."""
    place = cache / f"models--{repository.replace('/', '--')}"
    snapshot = place / "snapshots" / COMMIT
    shutil.copytree(files, snapshot)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(COMMIT)
    return snapshot


@contextlib.contextmanager
def served(repository: str, files: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve a folder as a repository on the loopback; yield the address, and the requests as they come."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            path = self.path.partition("?")[0]
            requests.append(f"{self.command} {path}")
            start, _, name = path.partition("/resolve/")
            place = files / name.partition("/")[2]
            if start == f"/api/models/{repository}" or start.startswith(f"/api/models/{repository}/revision/"):
                siblings = [{"rfilename": one.name} for one in files.iterdir()]
                self.send(json.dumps({"id": repository, "sha": COMMIT, "siblings": siblings}).encode(), body=body)
            elif start == f"/{repository}" and place.is_file():
                self.send(place.read_bytes(), body=body)
            else:
                self.send(b"", body=body, code=404, error="EntryNotFound")

        def send(self, data: bytes, *, body: bool, code: int = 200, error: str = "") -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{len(data)}"')
            if error:
                self.send_header("X-Error-Code", error)
            self.end_headers()
            if body:
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""A server on this machine that speaks the part of the model hub's protocol that ``pull`` uses."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class HubRepository:
    """Files of one repository, and how the server misbehaves with them.

    ``lfs`` names the large files; ``corrupt`` those sent with a changed byte; ``breaks`` how many
    answers to a file are cut off in the middle; ``requests`` what was asked for, in order.
    """

    name: str
    files: dict[str, bytes]
    lfs: set[str] = field(default_factory=lambda: {"model.bin"})
    corrupt: set[str] = field(default_factory=set)
    breaks: dict[str, int] = field(default_factory=dict)
    honours_range: bool = True
    states_digests: bool = True
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)

    def siblings(self) -> list[dict[str, object]]:
        """The files as the hub's model information lists them."""
        found: list[dict[str, object]] = []
        for name, content in self.files.items():
            entry: dict[str, object] = {"rfilename": name}
            if self.states_digests:
                blob = b"blob %d\0" % len(content) + content
                entry |= {"size": len(content), "blobId": hashlib.sha1(blob).hexdigest()}
                if name in self.lfs:
                    digest = hashlib.sha256(content).hexdigest()
                    entry["lfs"] = {"size": len(content), "sha256": digest, "pointerSize": 134}
            found.append(entry)
        return found


@contextmanager
def serve_hub(repository: HubRepository) -> Iterator[str]:
    """The address of a hub that holds ``repository`` alone."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing: the test's output stays its own."""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            repository.requests.append((path, self.headers.get("Range")))
            repository.authorizations.append(self.headers.get("Authorization"))
            if path == f"/api/models/{repository.name}":
                self._send_information()
            elif match := re.fullmatch(f"/{repository.name}/resolve/{REVISION}/(.+)", path):
                # The real hub sends large files from another address.
                if match[1] in repository.lfs:
                    self._redirect(f"/cdn/{match[1]}")
                else:
                    self._send_file(match[1])
            elif path.startswith("/cdn/"):
                self._send_file(path.removeprefix("/cdn/"))
            else:
                self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

        def _send_information(self) -> None:
            information = {
                "_id": "1",
                "id": repository.name,
                "modelId": repository.name,
                "sha": REVISION,
                "private": False,
                "tags": [],
                "downloads": 0,
                "likes": 0,
                "siblings": repository.siblings(),
            }
            headers = {"Content-Type": "application/json"}
            self._send(200, json.dumps(information).encode(), headers)

        def _send_file(self, name: str) -> None:
            content = repository.files.get(name)
            if content is None:
                self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
                return
            if name in repository.corrupt:
                content = bytes([content[0] ^ 1]) + content[1:]
            status, start = 200, 0
            headers = {"X-Repo-Commit": REVISION, "ETag": f'"{name}"', "Accept-Ranges": "bytes"}
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
            if asked and repository.honours_range:
                status, start = 206, int(asked[1])
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._send(status, content[start:], headers, breaks_on=name)

        def _redirect(self, location: str) -> None:
            self._send(302, b"", {"Location": location, "X-Repo-Commit": REVISION})

        def _send(
            self, status: int, body: bytes, headers: dict[str, str], breaks_on: str = ""
        ) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if repository.breaks.get(breaks_on, 0) > 0:
                repository.breaks[breaks_on] -= 1
                body = body[: len(body) // 2]
                self.close_connection = True
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""The style sheet and the modules, kept in memory, under an address with the digest of them all.

One digest for the whole folder: modules import each other by relative paths and stay within one version.
"""

from __future__ import annotations

import hashlib
from importlib.abc import Traversable
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
FOREVER = "public, max-age=31536000, immutable"
DIGEST_CHARACTERS = 16


class StaticFiles:
    """Read at the start; a few dozen kilobytes."""

    def __init__(self) -> None:
        self._files = dict(sorted(_read(files("proxyapi.console").joinpath("static"), "")))
        digest = hashlib.sha256()
        for name, body in self._files.items():
            digest.update(name.encode() + b"\0" + body + b"\0")
        self.digest = digest.hexdigest()[:DIGEST_CHARACTERS]

    def address(self, name: str) -> str:
        """Of a file, as `css/console.css`. KeyError if there is none."""
        if name not in self._files:
            raise KeyError(name)
        return f"/console/static/{self.digest}/{name}"

    async def serve(self, request: Request) -> Response:
        """A page of the version before may still ask with its digest: it gets the file, but not forever."""
        name = request.path_params["name"]
        body = self._files.get(name)
        if body is None:
            return Response(status_code=404)
        kept = FOREVER if request.path_params["digest"] == self.digest else "no-cache"
        kind = TYPES[name[name.rindex(".") :]]
        return Response(body, headers={"content-type": kind, "cache-control": kept})


def _read(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _read(entry, f"{prefix}{entry.name}/")
        elif entry.name[entry.name.rindex(".") :] in TYPES:
            found.append((prefix + entry.name, entry.read_bytes()))
    return found

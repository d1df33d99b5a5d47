"""A road to PostgreSQL that can be closed, or break within a COMMIT. A Unix socket in front of the server's."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

SOCKET = ".s.PGSQL.5432"
PIECE_BYTES = 65_536
COMMIT = b"COMMIT\0"
EXACTLY = b"SELECT 1 / CASE"
"""Of the statements that are whole transactions."""


class Cut(Exception):
    """This connection is to be cut."""


class Proxy:
    """`with Proxy(url, folder) as proxy:`; `proxy.url` is the same database by way of the proxy."""

    def __init__(self, url: str, folder: Path) -> None:
        parts = urlsplit(url)
        host = parse_qs(parts.query)["host"][0]
        self._server = f"{host}/{SOCKET}"
        self.url = url.replace(quote(host, safe=""), quote(str(folder), safe=""))
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / SOCKET))
        self._listener.listen(64)
        self._road = threading.Event()
        self._road.set()
        self._connections: list[socket.socket] = []
        self._over = False
        self.cut_share = 0.0
        """Of so many COMMITs the connection is cut, before the server gets it or after it has done it."""
        self.cuts = 0
        self._chance = random.Random(7)

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self.open()
        self._listener.close()
        for connection in self._connections:
            connection.close()

    def close(self) -> None:
        """Nothing passes any more, in both directions; connections stay."""
        self._road.clear()

    def open(self) -> None:
        self._road.set()

    def _accept(self) -> None:
        with suppress(OSError):
            while not self._over:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                self._connections += [client, server]
                try:
                    server.connect(self._server)
                except OSError:
                    client.close()
                    continue
                answered = _Answers()
                for work in (
                    lambda c=client, s=server, a=answered: self._forward(c, s, a),
                    lambda c=client, s=server, a=answered: self._back(s, c, a),
                ):
                    threading.Thread(target=_until_cut, args=(work, client, server), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket, answers: _Answers) -> None:
        """Message by message, as long as nothing is cut."""
        file = client.makefile("rb")
        transactions = _Transactions()
        startup = file.read(4)
        server.sendall(startup + file.read(int.from_bytes(startup, "big") - 4))
        while kind := file.read(1):
            length = file.read(4)
            message = file.read(int.from_bytes(length, "big") - 4)
            self._road.wait()
            if transactions.end_with(kind, message) and self._chance.random() < self.cut_share:
                self.cuts += 1
                if self._chance.random() < 0.5:
                    answers.wanted = True
                    server.sendall(kind + length + message)
                    answers.seen.wait(5)
                raise Cut
            server.sendall(kind + length + message)

    def _back(self, server: socket.socket, client: socket.socket, answers: _Answers) -> None:
        while data := server.recv(PIECE_BYTES):
            self._road.wait()
            if answers.wanted:
                answers.seen.set()
                return
            client.sendall(data)


class _Transactions:
    """Where they end, in what a client says."""

    def __init__(self) -> None:
        self._prepared: set[bytes] = set()
        self._bound = False

    def end_with(self, kind: bytes, message: bytes) -> bool:
        """Query, Parse, Bind and Sync, as in PostgreSQL's documentation, "Message Formats"."""
        if kind == b"P" and EXACTLY in message:
            self._prepared.add(message.partition(b"\0")[0])
        elif kind == b"B":
            self._bound = message.split(b"\0", 2)[1] in self._prepared
        return (kind == b"Q" and message == COMMIT) or (kind == b"S" and self._bound)


class _Answers:
    """What the server says to a COMMIT that nobody is to hear of."""

    def __init__(self) -> None:
        self.wanted = False
        self.seen = threading.Event()


def _until_cut(work: Callable[[], None], *ends: socket.socket) -> None:
    try:
        work()
    except (Cut, OSError, ValueError):
        pass
    finally:
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

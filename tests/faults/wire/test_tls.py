"""TLS on both sides, with certificates made by the test."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from proxyapi.wire.client import Origin
from proxyapi.wire.errors import ConnectFailed, ConnectionLost
from proxyapi.wire.server import Exchange

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made with openssl")
HEAD = b"POST /up HTTP/1.1\r\nHost: u\r\nContent-Length: 2\r\n\r\n"


def make_certificate(folder: Path, name: str, alternative: str) -> Path:
    path = folder / f"{name}.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", f"/CN={name}"),
            *("-addext", f"subjectAltName={alternative}"),
            *("-keyout", str(folder / f"{name}.key"), "-out", str(path)),
        ],
        check=True,
        capture_output=True,
    )
    return path


def serving(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return context


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"), "local", "IP:127.0.0.1,DNS:localhost")


async def echo(exchange: Exchange) -> None:
    exchange.respond(200, b"", await exchange.read(1 << 24))


def test_exchanges_run_over_tls_on_both_sides(lab: Any, local: Path) -> None:
    async def main() -> None:
        trusting = ssl.create_default_context(cafile=str(local))
        async with (
            lab.server(echo, ssl=serving(local)) as (_, port),
            lab.pool(ssl=trusting) as pool,
        ):
            origin = Origin("https", "127.0.0.1", port)
            for size in (2, 10_000, 5_000_000):
                head = b"POST / HTTP/1.1\r\nHost: u\r\nContent-Length: %d\r\n\r\n" % size
                response = await pool.send(origin, head, b"x" * size, method="POST")
                assert await response.read(1 << 24) == b"x" * size
            assert pool.connections == 1

    lab.run(main)


def test_a_certificate_that_nobody_vouches_for_is_refused(lab: Any, local: Path) -> None:
    async def main() -> None:
        async with lab.server(echo, ssl=serving(local)) as (_, port), lab.pool() as pool:
            with pytest.raises(ConnectFailed, match="certificate"):
                await pool.send(Origin("https", "127.0.0.1", port), HEAD, b"hi", method="POST")
            assert pool.connections == 0

    lab.run(main)


def test_a_certificate_for_another_name_is_refused(lab: Any, tmp_path: Path) -> None:
    other = make_certificate(tmp_path, "other", "DNS:other.example")

    async def main() -> None:
        trusting = ssl.create_default_context(cafile=str(other))
        async with lab.server(echo, ssl=serving(other)) as (_, port), lab.pool(ssl=trusting) as pool:
            with pytest.raises(ConnectFailed, match="certificate"):
                await pool.send(Origin("https", "127.0.0.1", port), HEAD, b"hi", method="POST")

    lab.run(main)


def test_plain_bytes_where_tls_is_expected_are_a_connect_failure(lab: Any) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    async def main() -> None:
        async with lab.upstream(script) as origin, lab.pool() as pool:
            with pytest.raises(ConnectFailed):
                await pool.send(origin._replace(scheme="https"), HEAD, b"hi", method="POST")

    lab.run(main)


def test_a_tls_hello_on_a_plain_port_is_answered_400(lab: Any) -> None:
    async def main() -> None:
        async with lab.server(echo) as (_, port):
            client = await lab.connect(port)
            client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 200)
            assert (await client.answer())[0] == 400
            assert await client.end() == b""

    lab.run(main)


def test_a_client_that_does_not_finish_its_handshake_is_cut(lab: Any, local: Path) -> None:
    async def main() -> None:
        async with lab.server(echo, ssl=serving(local), head_seconds=0.05) as (_, port):
            client = await lab.connect(port)
            assert await client.end() == b""

    lab.run(main)


def test_a_tls_client_that_closes_is_noticed(lab: Any, local: Path) -> None:
    gone = asyncio.Event()

    async def handler(exchange: Exchange) -> None:
        exchange.on_gone(gone.set)
        await gone.wait()

    async def main() -> None:
        trusting = ssl.create_default_context(cafile=str(local))
        async with lab.server(handler, ssl=serving(local)) as (server, port):
            client = await lab.connect(port, ssl=trusting)
            client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            await lab.until(lambda: server.exchanges == 1)
            client.writer.close()
            await gone.wait()
            await lab.until(lambda: server.connections == 0)

    lab.run(main)


def test_a_stream_over_tls_that_is_cut_is_not_taken_for_whole(lab: Any, local: Path) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        await writer.drain()

    async def main() -> None:
        trusting = ssl.create_default_context(cafile=str(local))
        async with lab.upstream(script, ssl=serving(local)) as origin, lab.pool(ssl=trusting) as pool:
            response = await pool.send(origin, HEAD, b"hi", method="POST")
            with pytest.raises(ConnectionLost):
                await response.pipe(lambda data, framed: None)

    lab.run(main)

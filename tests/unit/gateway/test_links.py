"""Files by address, fetched for providers that fetch nothing: from public addresses only, and not too much."""

from __future__ import annotations

import asyncio
import re
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from proxyapi.dialects.model import (
    Document,
    FileRef,
    Image,
    Inline,
    Link,
    Message,
    Request,
    Text,
    ToolResult,
    Video,
)
from proxyapi.errors import InvalidRequest
from proxyapi.gateway.links import AT_ONCE_MAX, LINKS_MAX, Links, is_public
from proxyapi.wire.client import Pool, Timeouts

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
FILMS = re.compile("https://youtu")
PICTURE = Inline(b64encode(PNG).decode(), "image/png")


@pytest.fixture
def server(upstreams: Any) -> Iterator[Any]:
    with upstreams.FakeUpstream(upstreams.Reply(headers={"content-type": "image/png"}, body=PNG)) as fake:
        yield fake


def inlined(request: Request, *, admits: Callable[[str], bool] = lambda _address: True, bytes_max: int = 1_000) -> Any:
    async def main() -> Request:
        pool = Pool(loop=asyncio.get_running_loop(), timeouts=Timeouts(), admits=admits)
        try:
            return await Links(pool, bytes_max=bytes_max).inlined(request, but=FILMS)
        finally:
            await pool.close()

    return asyncio.run(main())


def asked(*parts: Any) -> Request:
    return Request(model="m", messages=(Message(role="user", parts=parts),))


def test_files_stand_in_place_of_their_addresses_wherever_they_are(server: Any) -> None:
    link = Link(f"{server.url}/a.png?size=1")
    document = Document(source=None, parts=(Text("see"), Image(link)))
    request = asked(Text("What is it?"), Image(link, detail="low"), ToolResult("c", (Image(link), document)))
    (message,) = inlined(request).messages
    assert message.parts == (
        Text("What is it?"),
        Image(PICTURE, detail="low"),
        ToolResult("c", (Image(PICTURE), Document(source=None, parts=(Text("see"), Image(PICTURE))))),
    )
    assert [(request.method, request.path) for request in server.asked] == [("GET", "/a.png?size=1")]
    assert not {"authorization", "cookie"} & server.asked[0].headers.keys()


def test_a_request_without_addresses_is_left_alone() -> None:
    request = asked(Image(PICTURE), Image(FileRef("files/1")), Text("https://example.com/a.png"))
    assert inlined(request) is request


def test_addresses_that_the_provider_fetches_itself_are_left_to_it(server: Any) -> None:
    film, picture = "https://youtu.be/x", f"{server.url}/a.png"
    request = asked(Video(Link(film)), Image(Link(picture)))
    assert inlined(request).messages[0].parts == (Video(Link(film)), Image(PICTURE))


def test_the_type_is_what_the_bytes_are_else_what_the_server_says(server: Any, upstreams: Any) -> None:
    server.reply = lambda _asked: upstreams.Reply(headers={"content-type": "image/jpeg; q=1"}, body=PNG)
    assert inlined(asked(Image(Link(server.url)))).messages[0].parts == (Image(PICTURE),)
    server.reply = lambda _asked: upstreams.Reply(headers={"content-type": "text/CSV; charset=utf-8"}, body=b"a,b")
    source = inlined(asked(Document(source=Link(server.url)))).messages[0].parts[0].source
    assert source == Inline(b64encode(b"a,b").decode(), "text/csv")


def test_a_redirection_is_followed_and_looked_at(server: Any, upstreams: Any) -> None:
    def reply(asked: Any) -> Any:
        if asked.path == "/old":
            return upstreams.Reply(302, {"location": "/new"})
        if asked.path == "/round":
            return upstreams.Reply(302, {"location": "/round"})
        if asked.path == "/away":
            return upstreams.Reply(302, {"location": "file:///etc/passwd"})
        if asked.path == "/broken":
            return upstreams.Reply(302, {"location": "http://[::1"})
        return upstreams.Reply(body=PNG)

    server.reply = reply
    assert inlined(asked(Image(Link(f"{server.url}/old")))).messages[0].parts == (Image(PICTURE),)
    refused = (("/round", "again and again"), ("/away", "no address such as"), ("/broken", "to what is no address"))
    for path, why in refused:
        with pytest.raises(InvalidRequest, match=why):
            inlined(asked(Image(Link(server.url + path))))


@pytest.mark.parametrize(
    "url",
    [
        "http://{host}/a.png",
        "http://localhost:{port}/a.png",
        "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://127.1:{port}/",
        "http://2130706433:{port}/",
    ],
)
def test_the_operators_own_network_is_not_reached(server: Any, url: str) -> None:
    host = server.url.removeprefix("http://")
    with pytest.raises(InvalidRequest, match="nobody answers at a public address"):
        inlined(asked(Image(Link(url.format(host=host, port=host.partition(":")[2])))), admits=is_public)
    assert server.asked == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
        ("::7f00:1", False),
        ("::ffff:0:7f00:1", False),
        ("64:ff9b:1::7f00:1", False),
        ("fec0::1", False),
        ("192.88.99.1", False),
        ("3fff::1", False),
        ("nonsense", False),
    ],
)
def test_what_is_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/a",
        "https:///a",
        "https://user:word@example.com/a",
        "http://example.com:25/",
        "http://a b/",
        "x",
    ],
)
def test_what_is_no_address_of_a_file_is_refused_and_nobody_is_asked(url: str) -> None:
    with pytest.raises(InvalidRequest, match="no address such as"):
        inlined(asked(Image(Link(url))))


def test_a_path_cannot_smuggle_a_header(server: Any) -> None:
    with pytest.raises(InvalidRequest):
        inlined(asked(Image(Link(f"{server.url}/a b"))))
    inlined(asked(Image(Link(f"{server.url}/a%0d%0ax-evil:1"))))
    assert [request.path for request in server.asked] == ["/a%0d%0ax-evil:1"]


def test_too_much_is_refused(server: Any, upstreams: Any) -> None:
    server.reply = lambda _asked: upstreams.Reply(body=PNG + bytes(600))
    one, two = Image(Link(f"{server.url}/1")), Image(Link(f"{server.url}/2"))
    assert inlined(asked(one)).messages
    with pytest.raises(InvalidRequest, match="all files together may have 1000 bytes"):
        inlined(asked(one, two))
    server.reply = lambda _asked: upstreams.Reply(chunks=[bytes(500)] * 4)
    with pytest.raises(InvalidRequest, match="more than 1000 bytes"):
        inlined(asked(one))
    with pytest.raises(InvalidRequest, match=f"more than {LINKS_MAX}"):
        inlined(asked(*(Image(Link(f"{server.url}/{number}")) for number in range(LINKS_MAX + 1))))


def test_a_server_that_refuses_is_named_with_its_status(server: Any, upstreams: Any) -> None:
    server.reply = lambda _asked: upstreams.Reply(404)
    with pytest.raises(InvalidRequest, match=r"/gone\.png could not be fetched: its server answered with status 404"):
        inlined(asked(Image(Link(f"{server.url}/gone.png"))))


def test_nothing_is_fetched_where_the_operator_wants_nothing_fetched(server: Any) -> None:
    request = asked(Image(Link(server.url)))
    assert inlined(request, bytes_max=0) is request
    assert server.asked == []


def test_several_files_are_fetched_at_once(server: Any, upstreams: Any) -> None:
    together = threading.Barrier(AT_ONCE_MAX)
    server.reply = lambda _asked: upstreams.Reply(body=PNG, before=lambda: together.wait(10))
    inlined(asked(*(Image(Link(f"{server.url}/{number}")) for number in range(AT_ONCE_MAX))))

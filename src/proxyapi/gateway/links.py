"""Pictures, sounds and files that a request gives by address, for providers that fetch nothing themselves.

The gateway fetches them, from public addresses only: whoever may send a request must not reach the operator's own
network through it. Each name is resolved here, and the connection goes to an address that was looked at.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import msgspec

from proxyapi.dialects.media import sniffed
from proxyapi.dialects.model import (
    Audio,
    Document,
    Image,
    Inline,
    Link,
    Message,
    Part,
    Request,
    ToolResult,
    Video,
)
from proxyapi.errors import InvalidRequest
from proxyapi.identity.addresses import parse_address
from proxyapi.wire.client import Origin, Timeouts
from proxyapi.wire.errors import BodyTooLarge, WireError

if TYPE_CHECKING:
    from proxyapi.wire.client import Pool, Response

LINKS_MAX = 16
"""Of one request."""
AT_ONCE_MAX = 4
"""Of one request; each may be as large as all together may be."""
RUNNING_MAX = 32
"""Of this process."""
SECONDS_MAX = 30.0
REDIRECTS_MAX = 3
URL_CHARACTERS_MAX = 4_096
TIMEOUTS = Timeouts(connect_seconds=5.0, first_byte_seconds=10.0, idle_seconds=10.0)

_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}
_USER_PORTS = 1_024
"""Below are mail, shells and the like; files come from the two usual ports, or from here on."""
_PUBLIC_V6 = ipaddress.ip_network("2000::/3")
"""All that was ever given to the internet at large (IANA, IPv6 address space). What lies outside leads to IPv4
addresses, whichever (::/96, 64:ff9b::/96), into sites (fec0::/10) or through an operator's network (5f00::/16)."""
_SPECIAL = tuple(map(ipaddress.ip_network, ("2002::/16", "3fff::/20", "192.88.99.0/24")))
"""Ways from IPv6 to IPv4 (RFC 3056, RFC 7526) and examples (RFC 9637), which Python 3.11 takes for public."""

Linked = Image | Audio | Video | Document


def is_public(text: str) -> bool:
    """Whether an address belongs to the internet at large, and not to a private, local or special network."""
    address = parse_address(text)
    if address is None or not address.is_global or address.is_multicast:
        return False
    if address.version == 6 and address not in _PUBLIC_V6:
        return False
    return not any(address in network for network in _SPECIAL)


class Links:
    def __init__(self, pool: Pool, *, bytes_max: int) -> None:
        """`pool` admits public addresses only. `bytes_max`: of all files of one request; 0: nothing is fetched."""
        self._pool = pool
        self._bytes_max = bytes_max
        self._running = asyncio.Semaphore(RUNNING_MAX)

    async def inlined(self, request: Request, *, but: re.Pattern[str]) -> Request:
        """The request with the files themselves in place of their addresses. InvalidRequest: one can't be had.

        `but`: how addresses begin that the provider fetches itself.
        """
        found = (url for message in request.messages for url in _addresses(message.parts))
        urls = dict.fromkeys(url for url in found if not but.match(url))
        if not urls or not self._bytes_max:
            return request
        if len(urls) > LINKS_MAX:
            raise InvalidRequest(f"This model is given files, not addresses: more than {LINKS_MAX} are not fetched.")
        files = await self._fetch_all(list(urls))
        messages = tuple(_with_files(message, files) for message in request.messages)
        return msgspec.structs.replace(request, messages=messages)

    async def _fetch_all(self, urls: list[str]) -> dict[str, Inline]:
        at_once = asyncio.Semaphore(AT_ONCE_MAX)
        total = 0

        async def fetch(url: str) -> Inline:
            nonlocal total
            async with at_once, self._running:
                data, media_type = await self._fetch(url)
            total += len(data)
            if total > self._bytes_max:
                raise _refusal(url, f"all files together may have {self._bytes_max} bytes")
            text = b64encode(data).decode()
            return Inline(text, sniffed(text, media_type))

        tasks = [asyncio.create_task(fetch(url)) for url in urls]
        try:
            async with asyncio.timeout(SECONDS_MAX):
                return dict(zip(urls, await asyncio.gather(*tasks), strict=True))
        except TimeoutError:
            raise InvalidRequest(
                f"The files of this request could not be fetched in {SECONDS_MAX:g} seconds."
            ) from None
        finally:
            for task in tasks:
                task.cancel()

    async def _fetch(self, url: str) -> tuple[bytes, str]:
        """Content, and the type that its server names."""
        at = url
        for _ in range(REDIRECTS_MAX + 1):
            origin, head = _request(at, url)
            try:
                response = await self._pool.send(origin, head, b"", method="GET", timeouts=TIMEOUTS)
            except WireError as error:
                raise _refusal(url, "nobody answers at a public address of that name") from error
            try:
                if response.status not in _REDIRECTS:
                    return await self._content(response, url)
                at = _moved(at, (response.header(b"location") or b"").decode("latin-1"), url)
            finally:
                response.close()
        raise _refusal(url, "it is redirected again and again")

    async def _content(self, response: Response, url: str) -> tuple[bytes, str]:
        if response.status != 200:
            raise _refusal(url, f"its server answered with status {response.status}")
        try:
            data = await response.read(self._bytes_max)
        except BodyTooLarge as error:
            raise _refusal(url, f"it has more than {self._bytes_max} bytes") from error
        except WireError as error:
            raise _refusal(url, "its server broke off") from error
        media_type = (response.header(b"content-type") or b"").decode("latin-1").partition(";")[0]
        return data, media_type.strip().lower()


def _request(url: str, asked: str) -> tuple[Origin, bytes]:
    """Where to, and what to send. `asked`: the address as the client gave it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme, 0)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        name = (host or "").encode("idna").decode() if host and not host.isascii() else host
        target = path.encode("ascii")
    except ValueError:
        raise _refusal(asked, "it is no address") from None
    odd = len(url) > URL_CHARACTERS_MAX or parts.username is not None or any(byte <= 32 for byte in target)
    odd = odd or not _HOST.fullmatch(name or "") or (port not in _PORTS.values() and port < _USER_PORTS)
    if parts.scheme not in _PORTS or name is None or odd:
        raise _refusal(asked, "it is no address such as https://example.com/picture.png")
    shown = f"[{name}]" if ":" in name else name
    place = shown if port == _PORTS[parts.scheme] else f"{shown}:{port}"
    head = b"GET %b HTTP/1.1\r\nhost: %b\r\naccept: */*\r\naccept-encoding: identity\r\nuser-agent: proxyapi\r\n\r\n"
    return Origin(parts.scheme, name, port), head % (target, place.encode("ascii", "replace"))


def _moved(at: str, location: str, asked: str) -> str:
    try:
        return urljoin(at, location)
    except ValueError:
        raise _refusal(asked, "it is redirected to what is no address") from None


def _refusal(url: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"This model is given files, not addresses, and {url[:200]} could not be fetched: {why}.")


def _addresses(parts: Iterable[Part]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Image | Audio | Video | Document) and isinstance(part.source, Link):
            yield part.source.url
        if isinstance(part, Document | ToolResult):
            yield from _addresses(part.parts)


def _with_files(message: Message, files: Mapping[str, Inline]) -> Message:
    parts = tuple(_with_file(part, files) for part in message.parts)
    return msgspec.structs.replace(message, parts=parts)


def _with_file(part: Part, files: Mapping[str, Inline]) -> Part:
    if isinstance(part, Image | Audio | Video | Document) and isinstance(part.source, Link):
        file = files.get(part.source.url)
        part = part if file is None else msgspec.structs.replace(part, source=file)
    if isinstance(part, Document | ToolResult) and part.parts:
        return msgspec.structs.replace(part, parts=tuple(_with_file(inner, files) for inner in part.parts))
    return part

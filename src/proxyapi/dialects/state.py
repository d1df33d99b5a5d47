"""Reasoning states on their way through a client of another dialect: sealed texts that only this gateway opens.

    gw1.<kind>.<origin>.<id>.<form><data>.<mac>

Only `[A-Za-z0-9._-]` occurs, so every place that a client echoes takes it: a signature, an encrypted content, an id.
`origin` and `id` are base64url. The data is base64 already, so its alphabet is exchanged instead of growing by a third:
`form` says which alphabet it had. The MAC covers everything before it: a state that was changed, or was never ours, is
no state. It is no secret: who holds the text holds what the provider had encrypted itself.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import get_args, get_type_hints

from proxyapi.dialects.model import ReasoningState

STATE_CHARACTERS_MAX = 1_048_576
"""Longer states are not carried. The longest recorded one has 139,340 characters."""
SEALED_CHARACTERS_MAX = 2 * STATE_CHARACTERS_MAX
"""Longer texts are not looked at."""

_VERSION = "gw1"
_MAC_BYTES = 16
_STANDARD = re.compile(r"[A-Za-z0-9+/]*(={0,2})")
_URL_SAFE = re.compile(r"[A-Za-z0-9_-]*(={0,2})")
_KINDS = frozenset(get_args(get_type_hints(ReasoningState)["kind"]))


_MARK, _MARK_BASE64 = b'"gw1.', b'"Z3cxL'
"""How a sealed text begins in JSON, as it is and in base64 (Gemini)."""


def holds_sealed(body: bytes) -> bool:
    """Whether a request may hold what this gateway sealed: its provider could make nothing of it."""
    # Not `in`: that asks first whether the mark is a number, and drops the exception that says no.
    return body.find(_MARK) >= 0 or body.find(_MARK_BASE64) >= 0


class Sealer:
    """Seals and opens with one key. Two gateways that share the key open each other's."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, state: ReasoningState) -> str:
        """As text that a client of another dialect echoes."""
        body = f"{_VERSION}.{state.kind}.{_encoded(state.origin)}.{_encoded(state.id)}.{_packed(state.data)}"
        return f"{body}.{self._mac(body)}"

    def unseal(self, text: str) -> ReasoningState | None:
        """What `seal` made this of. None: it is none of ours, or was changed."""
        if not text.startswith(_VERSION) or len(text) > SEALED_CHARACTERS_MAX or not text.isascii():
            return None
        body, _, mac = text.rpartition(".")
        fields = body.split(".")
        if len(fields) != 5 or not hmac.compare_digest(mac, self._mac(body)):
            return None
        _, kind, origin, identity, data = fields
        if kind not in _KINDS:
            return None
        return ReasoningState(kind, _unpacked(data), _decoded(origin), _decoded(identity))  # type: ignore[arg-type]

    def _mac(self, body: str) -> str:
        return _encoded_bytes(hmac.digest(self._key, body.encode(), "sha256")[:_MAC_BYTES])


def _packed(data: str) -> str:
    """Base64 of any alphabet in the envelope's, its padding counted in front; anything else encoded once more."""
    if match := _STANDARD.fullmatch(data):
        return f"s{len(match[1])}" + data.rstrip("=").replace("+", "-").replace("/", "_")
    if match := _URL_SAFE.fullmatch(data):
        return f"u{len(match[1])}" + data.rstrip("=")
    return "x" + _encoded(data)


def _unpacked(text: str) -> str:
    form, data = text[:1], text[2:]
    if form == "s":
        return data.replace("-", "+").replace("_", "/") + "=" * int(text[1])
    if form == "u":
        return data + "=" * int(text[1])
    return _decoded(text[1:])


def _encoded(text: str) -> str:
    return _encoded_bytes(text.encode())


def _encoded_bytes(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> str:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()

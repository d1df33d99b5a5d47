"""Somebody who visits the console: keeps cookies, sends the forms that pages show."""

from __future__ import annotations

import re
from html import unescape
from itertools import count
from typing import Any

import requests

_TOKEN = re.compile(r'name="_csrf" value="([0-9a-f]+)"')
_LINK = re.compile(r"(https?://\S+/console/(?:confirm|reset)\?token=[0-9a-f]+)")
TIMEOUT_SECONDS = 20
_numbers = count(1)


class Visitor:
    """`page = visitor.get("/keys")`; `visitor.post("/keys", name="x")` sends a form of the page that was seen last."""

    def __init__(self, url: str, *, language: str = "en") -> None:
        self.url = url
        self.session = requests.Session()
        self.session.headers["accept-language"] = language
        self.session.headers["accept"] = "text/html"
        # Each comes from an address of its own, where the gateway trusts us to say so: limits are per address.
        self.session.headers["x-forwarded-for"] = f"10.1.{(number := next(_numbers)) // 250}.{number % 250 + 1}"
        self.token = ""

    def get(self, path: str, **options: Any) -> requests.Response:
        return self._seen(self.session.get(self._address(path), timeout=TIMEOUT_SECONDS, **options))

    def post(self, path: str, fields: dict[str, Any] | None = None, **more: Any) -> requests.Response:
        """With the token of the page seen last, unless `_csrf` is given."""
        data = {"_csrf": self.token, **(fields or {}), **more}
        return self._seen(self.session.post(self._address(path), data=data, timeout=TIMEOUT_SECONDS))

    def sign_in(self, email: str, password: str, **more: Any) -> requests.Response:
        self.get("/signin")
        return self.post("/signin", email=email, password=password, **more)

    def _address(self, path: str) -> str:
        return path if path.startswith("http") else f"{self.url}/console{path}"

    def _seen(self, response: requests.Response) -> requests.Response:
        response.encoding = "utf-8"
        found = _TOKEN.search(response.text)
        if found:
            self.token = found[1]
        return response


def mailed(log: str, to: str) -> str:
    """The link in the last message that was printed for an address."""
    _, said, part = log.rpartition(f"a message to {to} is printed")
    found = _LINK.search(part) if said else None
    return found[1] if found else ""


def text_of(response: requests.Response) -> str:
    """What a person reads of a page."""
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", response.text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)))

"""One request of the admin API from its bytes to the bytes of its answer. Blocking, and without a web framework.

A repeated POST with an `Idempotency-Key` is answered as the first one was. Its mark is a column of the act itself, so
that it is written if and only if the act is done: also when the process dies before it could keep the answer.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from proxyapi.admin.acts import SQL, Operator, key_of
from proxyapi.admin.api.openapi import PREFIX, Problem
from proxyapi.admin.api.routes import ROUTES, Asked, Route
from proxyapi.admin.office import Office
from proxyapi.admin.tokens import Token, Tokens
from proxyapi.admin.views import encode
from proxyapi.errors import (
    Conflict,
    Forbidden,
    GatewayError,
    InsufficientFunds,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    StoreUnavailable,
    Unauthenticated,
)
from proxyapi.money import format_amount
from proxyapi.store.errors import ConstraintViolated, OutcomeUnknown, StoreFailure

BODY_BYTES_MAX = 2**20
KEY_CHARACTERS_MAX = 255
REPLIES_KEPT_MS = 86_400_000

_FIELD = re.compile(r" - at `\$\.?([^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `([^`]+)`")
_MISSING = re.compile(r"missing required field `([^`]+)`")
_JSON = ("content-type", "application/json")
_PROBLEM = ("content-type", "application/problem+json")


class Question(Struct, frozen=True, kw_only=True):
    """A request as it came."""

    method: str
    path: str
    """Decoded."""
    query: str = ""
    body: bytes = b""
    token: str = ""
    """What the Authorization header carries."""
    idempotency_key: str = ""
    address: str = ""


class Answer(Struct, frozen=True, kw_only=True):
    status: int
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""


class _Found(Struct, frozen=True):
    route: Route
    path: dict[str, str]


def _pattern(route: Route) -> re.Pattern[str]:
    """`{model}` takes the rest of the path."""
    path = re.escape(PREFIX + route.path).replace(r"\{", "{").replace(r"\}", "}")
    return re.compile(re.sub(r"\{(\w+)\}", lambda name: f"(?P<{name[1]}>{_PARTS.get(name[1], '[^/]+')})", path))


_PARTS = {"model": ".+"}
_TABLE = [(route, _pattern(route)) for route in ROUTES]
_BODIES = {route.body: msgspec.json.Decoder(route.body) for route in ROUTES if route.body is not None}


class Api:
    """Answers, one after the other."""

    def __init__(self, office: Office, tokens: Tokens) -> None:
        self._office = office
        self._tokens = tokens

    def answer(self, question: Question) -> Answer:
        """Never raises but for bugs."""
        try:
            return self._answer(question)
        except GatewayError as error:
            return problem(error)
        except OutcomeUnknown:
            return problem(StoreUnavailable("The store was lost in the middle: look whether it was done."))
        except StoreFailure:
            return problem(StoreUnavailable("The store cannot be reached. Nothing was changed; try again."))

    def prune(self) -> None:
        """Forget answers that are a day old."""
        with self._office.database.transaction() as transaction:
            transaction.execute(SQL["replies_prune"], (self._office.clock_ms() - REPLIES_KEPT_MS,))

    def _answer(self, question: Question) -> Answer:
        token = self._tokens.check(question.token)
        if token is None:
            raise Unauthenticated("An operator's token is needed: Authorization: Bearer op-…")
        found = _find(question)
        if found.route.scope == "write" and token.scope != "write":
            raise Forbidden("This token may read only.")
        if question.method == "POST" and question.idempotency_key:
            return self._answer_once(question, found, token)
        return self._act(question, found, Operator(name=_name(token), address=question.address))

    def _act(self, question: Question, found: _Found, operator: Operator) -> Answer:
        route = found.route
        body = None if route.body is None else _body(route.body, question.body)
        asked = Asked(self._office, operator, found.path, _query(route.query, question.query), body)
        reply = route.act(asked)
        if route.reply is None:
            return Answer(status=route.status)
        return Answer(status=route.status, headers=[_JSON], body=encode(reply))

    def _answer_once(self, question: Question, found: _Found, token: Token) -> Answer:
        if len(question.idempotency_key) > KEY_CHARACTERS_MAX:
            raise InvalidRequest(f"an Idempotency-Key has up to {KEY_CHARACTERS_MAX} characters")
        key = key_of(_name(token), question.idempotency_key)
        digest = hashlib.sha256(b"%b\n%b" % (question.path.encode("utf-8", "replace"), question.body)).digest()
        before = self._before(key, digest)
        if before is not None:
            return before
        operator = Operator(name=_name(token), address=question.address, request_key=key)
        try:
            answer = self._act(question, found, operator)
        except ConstraintViolated:  # the same request in another process was quicker
            before = self._before(key, digest)
            if before is None:
                raise
            return before
        kept = None if found.route.shows_secret else answer.body
        with self._office.database.transaction() as transaction:
            values = (key, digest, answer.status, kept, self._office.clock_ms())
            transaction.execute(SQL["reply_add"], values)
        return answer

    def _before(self, key: bytes, digest: bytes) -> Answer | None:
        """The answer to the first request with this key; None: this is the first."""
        database = self._office.database
        rows = database.fetch_now(SQL["reply"], (key,))
        if rows:
            first, status, body = rows[0]
            if first != digest:
                raise _OtherBody("This Idempotency-Key was used for another request.")
            if body is None:
                raise Conflict("This was done already. What its answer showed is shown once.")
            return Answer(status=status, headers=[_JSON, ("idempotency-replayed", "true")], body=body)
        done = database.fetch_now(SQL["act_of_request"], (key,))
        if done:
            raise Conflict(f"This was done already, and its answer is lost: see act {done[0][0]}.")
        return None


class _OtherBody(GatewayError):
    status, code = 422, "idempotency_key_reused"


def problem(error: GatewayError) -> Answer:
    """RFC 9457."""
    status = 409 if isinstance(error, InsufficientFunds) else error.status
    detail = error.detail
    if isinstance(error, InsufficientFunds):
        detail = f"Only {format_amount(max(0, error.available))} is free on the account."
    headers = [_PROBLEM]
    if isinstance(error, Unauthenticated):
        headers.append(("www-authenticate", "Bearer"))
    if isinstance(error, _NoMethod):
        headers.append(("allow", ", ".join(error.allowed)))
    if error.retry_after_seconds is not None:
        headers.append(("retry-after", str(error.retry_after_seconds)))
    body = Problem(type="about:blank", title=error.code, status=status, detail=detail, field=error.param)
    return Answer(status=status, headers=headers, body=encode(body))


class _NoMethod(MethodNotAllowed):
    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(f"Allowed here: {', '.join(allowed)}.")
        self.allowed = allowed


def _find(question: Question) -> _Found:
    allowed = []
    for route, pattern in _TABLE:
        match = pattern.fullmatch(question.path)
        if match is not None:
            if route.method == question.method:
                return _Found(route, match.groupdict())
            allowed.append(route.method)
    if allowed:
        raise _NoMethod(sorted(allowed))
    raise NotFound("There is no such operation: see /admin/v1/openapi.json.")


def _query(kind: type[Struct], text: str) -> Any:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=50)
    except ValueError:
        raise InvalidRequest("the query cannot be read") from None
    values = dict(pairs)
    if len(values) != len(pairs):
        raise InvalidRequest("a parameter is given twice")
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(error) from None


def _body(kind: type[Struct], content: bytes) -> Any:
    try:
        return _BODIES[kind].decode(content or b"{}")
    except msgspec.ValidationError as error:
        raise _invalid(error) from None
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None


def _invalid(error: msgspec.ValidationError) -> InvalidRequest:
    text = str(error)
    place = _FIELD.search(text)
    named = _UNKNOWN.search(text) or _MISSING.search(text)
    field = ".".join(part for part in (place[1] if place else "", named[1] if named else "") if part)
    return InvalidRequest(_FIELD.sub("", text), param=field or None)


def _name(token: Token) -> str:
    return f"token {token.name}"


def bearer(header: str) -> str:
    """The token of an Authorization header."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def question_of(method: str, path: str, query: str, headers: Mapping[str, str], body: bytes, address: str) -> Question:
    """`headers` with lower-cased names."""
    return Question(
        method=method, path=path, query=query, body=body, token=bearer(headers.get("authorization", "")),
        idempotency_key=headers.get("idempotency-key", ""), address=address,
    )  # fmt: skip

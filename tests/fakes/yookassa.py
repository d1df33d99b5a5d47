"""YooKassa's HTTP API on loopback, as far as it is used: payments, refunds, idempotence keys; and faults on demand."""

from __future__ import annotations

import base64
import json
import threading
import uuid
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

SHOP, SECRET = "100500", "test_secret_that_nobody_may_see"

Json = dict[str, Any]


class FakeYooKassa:
    """`faults`: what happens to the next requests: `refuse`, `500`, `202`, `429`, `cut` (before it is done), `lost`
    (done, but the answer is cut), `garbage`, `redirect`; or "" for none."""

    def __init__(self) -> None:
        self.payments: dict[str, Json] = {}
        self.refunds: dict[str, Json] = {}
        self.faults: deque[str] = deque()
        self.asked: list[tuple[str, str, Json]] = []
        """Method, path, body."""
        self.refund_state = "succeeded"
        self._by_key: dict[str, Json] = {}
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"api": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v3"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    # --- what customers and the shop's office do ---------------------------------------------------------------------

    def pay(self, id: str, *, amount: str | None = None, state: str = "succeeded", currency: str = "RUB") -> Json:
        payment = self.payments[id]
        payment["status"], payment["paid"] = state, True
        payment["amount"] = {"value": amount or payment["amount"]["value"], "currency": currency}
        return self.notice(f"payment.{state}", payment)

    def cancel(self, id: str, reason: str = "expired_on_confirmation") -> Json:
        payment = self.payments[id]
        payment["status"] = "canceled"
        payment["cancellation_details"] = {"party": "yoo_money", "reason": reason}
        return self.notice("payment.canceled", payment)

    def refund_in_office(self, id: str, amount: str) -> Json:
        refund = self._refund({"payment_id": id, "amount": {"value": amount, "currency": "RUB"}})
        return self.notice("refund.succeeded", refund)

    @staticmethod
    def notice(event: str, subject: Json) -> Json:
        return {"type": "notification", "event": event, "object": dict(subject)}

    # --- the API -----------------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, key: str, body: Json) -> tuple[int, Json]:
        with self._lock:
            self.asked.append((method, path, body))
            if method == "GET":
                return self._get(path)
            if key in self._by_key:
                return 200, self._by_key[key]
            made = self._post(path.removeprefix("/v3"), body)
            if made is None:
                return 404, _error("not_found")
            self._by_key[key] = made
            return 200, made

    def _get(self, path: str) -> tuple[int, Json]:
        parts = urlsplit(path)
        kind, _, id = parts.path.removeprefix("/v3/").partition("/")
        if kind == "refunds" and not id:
            payment = parse_qs(parts.query)["payment_id"][0]
            return 200, {"type": "list", "items": [r for r in self.refunds.values() if r["payment_id"] == payment]}
        found = (self.payments if kind == "payments" else self.refunds).get(id)
        return (200, found) if found is not None else (404, _error("not_found"))

    def _post(self, path: str, body: Json) -> Json | None:
        if path == "/payments":
            return self._payment(body)
        if path == "/refunds":
            return self._refund(body) if body["payment_id"] in self.payments else None
        id, _, action = path.removeprefix("/payments/").partition("/")
        if action == "capture":
            self.payments[id]["status"] = "succeeded"
            return self.payments[id]
        return None

    def _payment(self, body: Json) -> Json:
        id = str(uuid.uuid4())
        self.payments[id] = {
            "id": id,
            "status": "pending",
            "paid": False,
            "amount": body["amount"],
            "description": body["description"],
            "metadata": body["metadata"],
            "confirmation": {"type": "redirect", "confirmation_url": f"https://pay.example/{id}"},
            "recipient": {"account_id": SHOP, "gateway_id": "1"},
            "refundable": False,
            "test": True,
        }
        return self.payments[id]

    def _refund(self, body: Json) -> Json:
        id = str(uuid.uuid4())
        self.refunds[id] = {
            "id": id,
            "payment_id": body["payment_id"],
            "status": self.refund_state,
            "amount": body["amount"],
            "metadata": body.get("metadata", {}),
        }
        return self.refunds[id]


_STATUSES: dict[str, tuple[int, str]] = {
    "refuse": (400, "invalid_request"), "500": (500, "internal_server_error"), "202": (202, "processing"),
    "429": (429, "too_many_requests"), "401": (401, "invalid_credentials"), "redirect": (302, ""),
}  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    api: FakeYooKassa
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def _answer(self, method: str) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}") or {}
        fault = self.api.faults.popleft() if self.api.faults else ""
        expected = "Basic " + base64.b64encode(f"{SHOP}:{SECRET}".encode()).decode()
        if self.headers.get("authorization") != expected:
            self._send(401, _error("invalid_credentials"))
        elif fault == "cut":
            self.close_connection = True
        elif fault in _STATUSES:
            status, code = _STATUSES[fault]
            self._send(status, _error(code))
        else:
            key = self.headers.get("idempotence-key") or ""
            status, answer = self.api.answer(method, self.path, key, body)
            self._send(status, answer, fault)

    def _send(self, status: int, answer: Json, fault: str = "") -> None:
        content = json.dumps(answer).encode()
        if fault == "garbage":
            content = b"<html>"
        self.send_response(status)
        if status == 302:
            self.send_header("location", "http://127.0.0.1:9/elsewhere")
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if fault == "lost" else content)
        self.close_connection = True

    log_message: Callable[..., None] = lambda *_: None


def _error(code: str) -> Json:
    return {"type": "error", "id": str(uuid.uuid4()), "code": code, "description": "What went wrong", "parameter": "x"}

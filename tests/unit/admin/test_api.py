"""The admin API: every operation of its document, tokens and scopes, problems, paging, repeated requests."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

import proxyapi
from proxyapi.admin.api.routes import ROUTES
from proxyapi.console.users import Users

ROUBLE = 10**9


def _check(value: Any, schema: Any, components: Any, place: str = "$") -> None:
    """Is a value what a schema of the document says? As much of JSON Schema as the document uses."""
    if "$ref" in schema:
        schema = components[schema["$ref"].rsplit("/", 1)[1]]
    if "anyOf" in schema:
        errors = []
        for one in schema["anyOf"]:
            try:
                return _check(value, one, components, place)
            except AssertionError as error:
                errors.append(str(error))
        raise AssertionError(f"{place}: none of {errors}")
    kinds = {
        "object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool,
        "null": type(None),
    }  # fmt: skip
    if "type" in schema:
        assert isinstance(value, kinds[schema["type"]]), f"{place}: {value!r} is no {schema['type']}"
    if "enum" in schema:
        assert value in schema["enum"], f"{place}: {value!r}"
    if isinstance(value, dict):
        assert set(schema.get("required", ())) <= value.keys(), place
        for name, item in value.items():
            known = schema.get("properties", {})
            if name in known:
                _check(item, known[name], components, f"{place}.{name}")
            else:
                assert "additionalProperties" in schema or not known, f"{place}: {name} is not in the document"
    if isinstance(value, list):
        for at, item in enumerate(value):
            _check(item, schema.get("items", {}), components, f"{place}[{at}]")
    return None


@pytest.fixture
def client(house: Any) -> Any:
    return TestClient(Starlette(routes=house.back.server().routes()), raise_server_exceptions=True)


@pytest.fixture
def document(client: Any) -> Any:
    return client.get("/admin/v1/openapi.json").json()


def _examples(house: Any) -> dict[str, dict[str, Any]]:
    """For every operation: parameters of the path, query and body that it succeeds with, in an order that works."""
    account = house.account("walked", deposit="500")
    payment = house.back.cashier.start(account, 100 * ROUBLE, provider="yookassa")
    house.back.payments.notice("yookassa", json.dumps(house.api.pay(payment.provider_id)).encode(), "192.0.2.1")
    key = house.do("POST", f"/accounts/{account}/keys", {"name": "a"})["settings"]["id"]
    batch = house.do("POST", "/vouchers", {"name": "b", "amount": 5, "number": 2, "days": 1})["batch"]["id"]
    users = Users(house.database, time.time)
    user = users.add("maria@example.com", "hashed", account_id=account, confirmed=True)
    users.set_factor(user.id, b"secret")
    here = {
        "path": {
            "account": account, "key": key, "batch": batch, "payment": _text(payment.id), "user": user.id,
            "request": _text(asyncio.run(house.spend(account))),
        }
    }  # fmt: skip
    model = {"path": {"model": "openai/gpt-4o"}}
    return {
        "createAccount": {"body": {"name": "new"}},
        "changeAccount": here | {"body": {"blocked": True, "when_short": "shorten"}},
        "getRequest": here, "getUser": here, "resetFactor": here, "signOut": here,
        "changeUser": here | {"body": {"blocked": True, "role": "operator"}},
        "deposit": here | {"body": {"amount": 12.34, "reference": "r-1", "note": "by bank"}},
        "adjust": here | {"body": {"amount": -0.000000001, "reason": "a nano too much"}},
        "listEntries": here, "listKeys": here, "getAccount": here, "getKey": here, "getPayment": here,
        "createKey": here | {"body": {"budget": 10, "period": "day", "networks": ["192.0.2.0/24"]}},
        "changeKey": here | {"body": {"name": "b", "budget": None, "expires_at": "2099-01-01T00:00:00Z"}},
        "switchKey": here | {"body": {"status": "disabled"}},
        "getPrice": model,
        "setPrice": model | {"body": {"prices": {"input_tokens": 300, "output_tokens": 1200.5}}},
        "resetPrice": model,
        "setPricing": {"body": {"markup": 0.25}},
        "whatIf": {"query": {"exchange_rate": "92.5", "markup": "0.3"}},
        "getProvider": {"path": {"provider": "openai"}},
        "switchProvider": {"path": {"provider": "openai"}, "body": {"enabled": False}},
        "makeVouchers": {"body": {"name": "spring", "amount": 100, "number": 3, "days": 30}},
        "getVouchers": here, "revokeVouchers": here,
        "refund": here | {"body": {"amount": 40, "reason": "asked for it"}},
        "runAudit": {"body": {}},
    }  # fmt: skip


def _text(id: bytes) -> str:
    from proxyapi.ids import format_id

    return format_id(id)


ORDER = ("setPrice", "resetPrice", "runAudit", "getAudit")


def test_every_operation_of_the_document_works_and_answers_what_it_says(house: Any, client: Any, document: Any) -> None:
    examples = _examples(house)
    operations = {
        operation["operationId"]: (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert {route.name for route in ROUTES} == operations.keys()
    names = sorted(operations, key=lambda name: ORDER.index(name) if name in ORDER else -1)
    for name in names:
        method, path, operation = operations[name]
        example = examples.get(name, {})
        path = re.sub(r"\{(\w+)\}", lambda found, at=example: str(at["path"][found[1]]), path)
        answer = client.request(
            method, path, params=example.get("query"), json=example.get("body"),
            headers={"authorization": f"Bearer {house.write}"},
        )  # fmt: skip
        expected = next(status for status in operation["responses"] if status != "default")
        assert str(answer.status_code) == expected, (name, answer.text)
        if answer.content:
            schema = operation["responses"][expected]["content"]["application/json"]["schema"]
            _check(answer.json(), schema, document["components"]["schemas"], name)
            assert answer.json() != {}, name


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_operation_asks_for_a_token_with_its_scope(house: Any, route: Any) -> None:
    path = re.sub(r"\{\w+\}", "1", route.path)
    for token in ("", "op-wrong", "sk-" + "a" * 40, "op-" + "é"):
        answer = house.ask(route.method, path, token=token)
        assert answer.status == 401
        assert ("www-authenticate", "Bearer") in answer.headers
    answer = house.ask(route.method, path, token=house.read)
    assert (answer.status == 403) == (route.method != "GET")


def test_the_document_is_valid_enough_to_be_read(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    text = json.dumps(document)
    for name in set(re.findall(r'"#/components/schemas/(\w+)"', text)):
        assert name in document["components"]["schemas"]
    assert document["components"]["schemas"]["AccountView"]["properties"]["balance"]["type"] == "number"


def test_a_revoked_token_opens_nothing(house: Any) -> None:
    from proxyapi.admin.acts import Operator

    tokens = house.back.api._tokens
    token, text = tokens.create(Operator(name="ann"), "short-lived", "write", expires_at=None)
    assert house.ask("GET", "/accounts", token=text).status == 200
    tokens.revoke(Operator(name="ann"), token.id)
    assert house.ask("GET", "/accounts", token=text).status == 401
    _, text = tokens.create(Operator(name="ann"), "old", "write", expires_at=1)
    assert house.ask("GET", "/accounts", token=text).status == 401
    assert text not in repr(house.database.fetch_now("SELECT * FROM operator_token"))


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("POST", "/accounts", {}, 400, "name"),
        ("POST", "/accounts", {"name": "x", "extra": 1}, 400, "extra"),
        ("POST", "/accounts", {"name": 5}, 400, "name"),
        ("POST", "/accounts", {"name": "7"}, 400, "name"),
        ("POST", "/accounts", {"name": "taken"}, 409, "name"),
        ("GET", "/accounts/999", None, 404, None),
        ("GET", "/accounts/x", None, 404, None),
        ("GET", "/accounts/99999999999999999999", None, 404, None),
        ("GET", "/nothing", None, 404, None),
        ("PUT", "/accounts", {}, 405, None),
        ("POST", "/accounts/TAKEN/deposits", {"amount": 0}, 400, "amount"),
        ("POST", "/accounts/TAKEN/deposits", {"amount": "ten"}, 400, "amount"),
        ("POST", "/accounts/TAKEN/deposits", {"amount": 0.0000000001}, 400, "amount"),
        ("POST", "/accounts/TAKEN/adjustments", {"amount": -1, "reason": "more than there is"}, 409, None),
        ("POST", "/accounts/TAKEN/deposits", {"amount": 1, "reference": "voucher:1"}, 400, "reference"),
        ("POST", "/accounts/TAKEN/adjustments", {"amount": 1, "reason": " "}, 400, "reason"),
        ("POST", "/accounts/TAKEN/keys", {"networks": ["nowhere"]}, 400, "networks"),
        ("POST", "/accounts/999/keys", {}, 404, None),
        ("PUT", "/prices/nothing", {"prices": {"input_tokens": 1}}, 400, "model"),
        ("PUT", "/prices/openai/gpt-4o", {"prices": {"apples": 1}}, 400, "prices.apples"),
        ("PUT", "/prices/openai/gpt-4o", {"prices": {"input_tokens": -1}}, 400, "prices.input_tokens"),
        ("DELETE", "/prices/openai/gpt-4o", None, 404, None),
        ("PATCH", "/pricing", {"markup": -0.1}, 400, "markup"),
        ("PATCH", "/pricing", {"exchange_rate": 0}, 400, "exchange_rate"),
        ("PATCH", "/providers/nobody", {"enabled": True}, 404, None),
        ("PATCH", "/providers/sandbox", {"enabled": True}, 404, None),
        ("GET", "/audit", None, 404, None),
        ("GET", "/payments/nonsense", None, 404, None),
        ("DELETE", "/vouchers/5", None, 404, None),
    ],
)
def test_what_is_wrong_is_told_as_a_problem_that_names_the_field(
    house: Any, method: str, path: str, body: Any, status: int, field: str | None
) -> None:
    taken = house.account("taken")
    answer = house.ask(method, path.replace("TAKEN", str(taken)), body)
    problem = msgspec.json.decode(answer.body)
    assert (answer.status, problem["field"]) == (status, field), problem
    assert ("content-type", "application/problem+json") in answer.headers
    assert problem["status"] == status and problem["detail"]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "state=odd", "what=1", "limit=1&limit=2", "&&=="])
def test_a_wrong_parameter_is_refused(house: Any, query: str) -> None:
    assert house.ask("GET", "/accounts", query=query).status == 400


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[]", b'"x"', b"{}x"])
def test_a_body_that_is_no_json_object_is_refused(house: Any, body: bytes) -> None:
    from proxyapi.admin.api.answer import Question

    question = Question(method="POST", path="/admin/v1/accounts", body=body, token=house.write)
    assert house.back.api.answer(question).status == 400


def test_a_body_beyond_the_limit_is_refused(house: Any, client: Any) -> None:
    headers = {"authorization": f"Bearer {house.write}"}
    assert client.post("/admin/v1/accounts", content=b"x" * (2**20 + 1), headers=headers).status_code == 413


def test_lists_are_read_page_by_page(house: Any) -> None:
    made = [house.account(f"account-{n}") for n in range(7)]
    seen: list[int] = []
    after = ""
    for _ in range(10):
        page = house.get("/accounts", limit=3, after=after)
        seen += [item["id"] for item in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert seen == made[::-1]


# --- repeated requests ------------------------------------------------------------------------------------------------


def test_a_repeated_request_is_answered_as_the_first_and_done_once(house: Any) -> None:
    account = house.account()
    body = {"amount": 100}
    first = house.ask("POST", f"/accounts/{account}/deposits", body, key="k-1")
    again = house.ask("POST", f"/accounts/{account}/deposits", body, key="k-1")
    assert (again.status, again.body) == (first.status, first.body) and first.status == 201
    assert ("idempotency-replayed", "true") in again.headers
    assert house.get(f"/accounts/{account}")["balance"] == 100
    assert house.acts().count("account.deposit") == 1


def test_a_key_that_was_used_for_something_else_is_refused(house: Any) -> None:
    account = house.account()
    house.do("POST", f"/accounts/{account}/deposits", {"amount": 100}, key="k-1")
    assert house.ask("POST", f"/accounts/{account}/deposits", {"amount": 200}, key="k-1").status == 422
    assert house.get(f"/accounts/{account}")["balance"] == 100


def test_a_failed_request_may_be_repeated(house: Any) -> None:
    account = house.account()
    path = f"/accounts/{account}/adjustments"
    assert house.ask("POST", path, {"amount": -5, "reason": "x"}, key="k-1").status == 409
    house.do("POST", f"/accounts/{account}/deposits", {"amount": 5})
    assert house.ask("POST", path, {"amount": -5, "reason": "x"}, key="k-1").status == 201


def test_what_is_shown_once_is_not_shown_again_to_a_repeated_request(house: Any) -> None:
    account = house.account()
    key = house.do("POST", f"/accounts/{account}/keys", {}, key="k-1")["key"]
    assert house.ask("POST", f"/accounts/{account}/keys", {}, key="k-1").status == 409
    assert len(house.get(f"/accounts/{account}/keys")["items"]) == 1
    batch = house.do("POST", "/vouchers", {"name": "b", "amount": 5, "number": 2, "days": 1}, key="k-2")
    assert house.ask("POST", "/vouchers", {"name": "b", "amount": 5, "number": 2, "days": 1}, key="k-2").status == 409
    kept = repr(
        [house.database.fetch_now(f"SELECT * FROM {table}") for table in ("act", "act_reply", "voucher", "key")]
    )
    assert key not in kept and not any(code in kept for code in batch["codes"])


def test_an_act_whose_answer_was_lost_is_not_done_again(house: Any) -> None:
    account = house.account()
    house.do("POST", f"/accounts/{account}/deposits", {"amount": 100}, key="k-1")
    with house.database.transaction() as transaction:  # the process died before it could keep the answer
        transaction.execute("DELETE FROM act_reply")
    answer = house.ask("POST", f"/accounts/{account}/deposits", {"amount": 100}, key="k-1")
    assert answer.status == 409 and b"its answer is lost" in answer.body
    assert house.get(f"/accounts/{account}")["balance"] == 100


# --- the record -------------------------------------------------------------------------------------------------------


def test_every_act_is_recorded_with_who_where_what_before_and_after(house: Any) -> None:
    account = house.account(deposit="10")
    house.do("PATCH", f"/accounts/{account}", {"blocked": True})
    blocked, deposited = house.get("/acts", subject=f"account {account}")["items"][:2]
    assert blocked["operator"] == "token write" and blocked["address"] == "192.0.2.7"
    assert (blocked["was"], blocked["became"]) == ({"blocked": False}, {"blocked": True})
    assert deposited["became"]["amount"] == "10" and deposited["was"] == {"balance": "0"}


def test_an_act_that_fails_is_neither_done_nor_recorded(house: Any) -> None:
    account = house.account(deposit="10")
    before = house.acts()
    house.ask("POST", f"/accounts/{account}/adjustments", {"amount": -11, "reason": "too much"})
    house.ask("PUT", "/prices/openai/gpt-4o", {"prices": {"input_tokens": -1}})
    assert house.acts() == before
    assert house.get(f"/accounts/{account}")["balance"] == 10


def test_no_statement_of_the_program_changes_the_record() -> None:
    root = Path(proxyapi.__file__).parent
    texts = [path.read_text() for ending in ("*.sql", "*.py") for path in root.rglob(ending)]
    assert len(texts) > 200
    for text in texts:
        assert not re.search(r"\b(UPDATE|DELETE\s+FROM|REPLACE\s+INTO|DROP\s+TABLE|ALTER\s+TABLE)\s+act\b", text, re.I)


def test_no_secret_is_in_an_answer(house: Any, api: Any) -> None:
    settings = json.dumps(house.get("/settings"))
    assert "test_secret" not in settings and "yookassa.secret_key" in settings and "***" in settings
    assert "test_secret" not in json.dumps(house.get("/providers"))


# --- notices ----------------------------------------------------------------------------------------------------------


def test_a_notice_is_acted_on_over_http(house: Any, client: Any) -> None:
    account = house.account()
    payment = house.back.cashier.start(account, 100 * ROUBLE, provider="yookassa")
    notice = house.api.pay(payment.provider_id)
    headers = {"x-forwarded-for": "192.0.2.9"}
    assert client.post("/payments/yookassa", json=notice, headers=headers).status_code == 200
    assert client.post("/payments/yookassa", json=notice, headers=headers).status_code == 200
    assert house.get(f"/accounts/{account}")["balance"] == 100
    assert client.post("/payments/nobody", json=notice, headers=headers).status_code == 404
    assert client.post("/payments/yookassa", content=b"x" * 70_000, headers=headers).status_code == 413
    other = house.back.cashier.start(account, 100 * ROUBLE, provider="yookassa")
    house.api.faults.append("500")
    assert client.post("/payments/yookassa", json=house.api.pay(other.provider_id), headers=headers).status_code == 503

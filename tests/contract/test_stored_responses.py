"""Responses that a provider keeps belong to the account that made them: for others they do not exist."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import openai
import pytest

NATIVE, UNIFIED = "/openai/v1/responses", "/v1/responses"
both_routes = pytest.mark.parametrize("route", [NATIVE, UNIFIED], ids=["native", "unified"])


@pytest.fixture(scope="module")
def upstream(upstreams: Any) -> Iterator[Any]:
    with upstreams.FakeUpstream(upstreams.Reply()) as fake:
        yield fake


@pytest.fixture(scope="module")
def connected(gateways: Any, upstream: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A gateway with a real provider, and two workers: what one remembers the other knows."""
    config = f"""
[pause]
enabled = false
[providers.openai]
base_url = "{upstream.url}/v1"
api_key = "sk-upstream"
"""
    with gateways.Gateway(tmp_path_factory.mktemp("stored"), config, workers=2) as running:
        yield running
        running.assert_clean()


class Provider:
    """Keeps responses for the whole account of the operator, as OpenAI does."""

    def __init__(self, upstreams: Any, replies: Any) -> None:
        self._upstreams, self._replies = upstreams, replies
        self.kept: set[str] = set()

    def __call__(self, asked: Any) -> Any:
        path = asked.path.partition("?")[0].removeprefix("/v1/responses")
        if not path:
            id = f"resp_{uuid.uuid4().hex}"
            body = json.loads(asked.body)
            if body.get("store", True):
                self.kept.add(id)
            if body.get("stream"):
                events = self._replies.response_events(id=id)
                return self._upstreams.Reply(headers={"content-type": "text/event-stream"}, chunks=events)
            return self._upstreams.Reply(body=self._replies.response(id=id))
        id = path.split("/")[1]
        if id not in self.kept:
            return self._upstreams.Reply(status=404, body=b'{"error":{"message":"gone","code":null}}')
        if asked.method == "DELETE":
            self.kept.discard(id)
            return self._upstreams.Reply(body=b'{"id":"%b","object":"response","deleted":true}' % id.encode())
        if path.endswith("/input_items"):
            return self._upstreams.Reply(body=b'{"object":"list","data":[],"has_more":false}')
        return self._upstreams.Reply(body=self._replies.response(id=id))


@pytest.fixture(params=["provider", "sandbox"])
def gateway(
    request: pytest.FixtureRequest, connected: Any, sandboxed: Any, upstreams: Any, upstream: Any, replies: Any
) -> Any:
    upstream.reply = Provider(upstreams, replies)
    return connected if request.param == "provider" else sandboxed


def send(gateway: Any, key: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    status, _, answer = gateway.request(method, path, key=key, body=body)
    return status, json.loads(answer)


def make(gateway: Any, key: str, route: str, **more: Any) -> str:
    model = "openai/gpt-4o" if route == UNIFIED else "gpt-4o"
    status, answer = send(gateway, key, "POST", route, {"model": model, "input": "Hello", **more})
    assert status == 200, answer
    return str(answer["id"])


@both_routes
def test_only_the_account_that_made_a_response_sees_it(gateway: Any, route: str) -> None:
    account, key = gateway.customer()
    colleague, stranger = gateway.key(account), gateway.customer()[1]
    id = make(gateway, key, route)
    for own in (key, colleague):
        for path in (f"{NATIVE}/{id}", f"{UNIFIED}/{id}"):
            status, answer = send(gateway, own, "GET", path)
            assert (status, answer["id"]) == (200, id)
    assert send(gateway, key, "GET", f"{route}/{id}/input_items?limit=5")[1]["object"] == "list"
    missing = send(gateway, key, "GET", f"{route}/resp_none")
    attempts = [
        ("GET", f"{route}/{id}"), ("DELETE", f"{route}/{id}"),
        ("POST", f"{route}/{id}/cancel"), ("GET", f"{route}/{id}/input_items"),
    ]  # fmt: skip
    for method, path in attempts:
        status, answer = send(gateway, stranger, method, path, {} if method == "POST" else None)
        assert status == 404, answer
        assert answer["detail"] == missing[1]["detail"].replace("resp_none", id), "as if it did not exist"
    assert send(gateway, key, "GET", f"{route}/{id}")[0] == 200, "nobody deleted it"


@both_routes
def test_a_deleted_response_is_gone_for_its_maker_too(gateway: Any, route: str) -> None:
    key = gateway.customer()[1]
    id = make(gateway, key, route)
    assert send(gateway, key, "DELETE", f"{route}/{id}")[0] == 200
    assert send(gateway, key, "GET", f"{route}/{id}")[0] == 404


@both_routes
def test_a_conversation_goes_on_only_from_an_own_response(gateway: Any, route: str) -> None:
    key, stranger = gateway.customer()[1], gateway.customer()[1]
    id = make(gateway, key, route)
    assert make(gateway, key, route, previous_response_id=id)
    model = "openai/gpt-4o" if route == UNIFIED else "gpt-4o"
    body = {"model": model, "input": "And then?", "previous_response_id": id}
    status, answer = send(gateway, stranger, "POST", route, body)
    assert (status, answer["error"]["param"]) == (400, "previous_response_id")
    assert answer["error"]["code"] == "previous_response_not_found"


@both_routes
def test_a_streamed_response_is_its_makers_before_the_stream_has_ended(gateway: Any, route: str) -> None:
    key, stranger = gateway.customer()[1], gateway.customer()[1]
    client = openai.OpenAI(api_key=key, base_url=gateway.url + route.removesuffix("/responses"), max_retries=0)
    model = "openai/gpt-4o" if route == UNIFIED else "gpt-4o"
    events = list(client.responses.create(model=model, input="Hello", stream=True))
    id = next(event.response.id for event in events if event.type == "response.completed")
    assert client.responses.retrieve(id).id == id
    assert send(gateway, stranger, "GET", f"{route}/{id}")[0] == 404
    client.responses.delete(id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(id)


def test_a_response_that_is_not_to_be_stored_belongs_to_nobody(gateway: Any) -> None:
    key = gateway.customer()[1]
    id = make(gateway, key, NATIVE, store=False)
    assert send(gateway, key, "GET", f"{NATIVE}/{id}")[0] == 404


FOREIGN: dict[str, Any] = {
    "conversation": {"conversation": "conv_of_others"},
    "conversation object": {"conversation": {"id": "conv_of_others"}},
    "item reference": {"input": [{"type": "item_reference", "id": "msg_of_others"}]},
    "file by id": {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-of-others"}]}]},
    "image by id": {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "file-of-others"}]}]},
    "container": {"tools": [{"type": "code_interpreter", "container": "cntr_of_others"}]},
    "files of a container": {
        "tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-of-others"]}}]
    },
    "vector store": {"tools": [{"type": "file_search", "vector_store_ids": ["vs_of_others"]}]},
}


@both_routes
@pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN)
def test_objects_of_others_at_the_provider_do_not_exist(
    connected: Any, upstreams: Any, upstream: Any, replies: Any, route: str, change: Any
) -> None:
    upstream.reply = Provider(upstreams, replies)
    account, key = connected.customer()
    before = len(upstream.asked)
    model = "openai/gpt-4o" if route == UNIFIED else "gpt-4o"
    status, answer = send(connected, key, "POST", route, {"model": model, "input": "Hello", **change})
    assert status in (400, 404), answer
    assert len(upstream.asked) == before
    assert connected.entries(account) == []


def test_a_file_of_others_does_not_exist_for_chat_and_messages_either(connected: Any, upstream: Any) -> None:
    key = connected.customer()[1]
    before = len(upstream.asked)
    content = [{"type": "text", "text": "?"}, {"type": "file", "file": {"file_id": "file-of-others"}}]
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": content}]}
    assert send(connected, key, "POST", "/openai/v1/chat/completions", body)[0] in (400, 404)
    source = {"type": "file", "file_id": "file_of_others"}
    content = [{"type": "document", "source": source}]
    body = {"model": "claude-3-5-sonnet-20241022", "max_tokens": 9, "messages": [{"role": "user", "content": content}]}
    assert send(connected, key, "POST", "/anthropic/v1/messages", body)[0] in (400, 404)
    assert len(upstream.asked) == before


def test_an_id_cannot_climb_out_of_its_place_in_the_providers_path(connected: Any, upstream: Any) -> None:
    key = connected.customer()[1]
    before = len(upstream.asked)
    for id in ("..", "..%2f..%2fmodels", "resp_0001%2f..%2f..%2ffiles", "%2e%2e"):
        assert send(connected, key, "GET", f"{NATIVE}/{id}")[0] == 404
    assert len(upstream.asked) == before

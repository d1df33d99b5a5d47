"""Marks of prefixes that are worth caching."""

import pytest
from msgspec import Raw

from proxyapi.dialects.anthropic.marks import limit_marks, read_mark, write_mark
from proxyapi.dialects.model import CacheMark, CacheOptions, FunctionTool, Message, Request, Text


@pytest.mark.parametrize(
    ("lifetime", "ttl"), [(None, None), ("5m", "5m"), ("30m", "5m"), ("1h", "1h"), ("12h", "1h"), ("24h", "1h")]
)
def test_lifetimes_of_other_vendors_become_the_nearest_one(lifetime, ttl):
    assert write_mark(CacheMark(lifetime)).get("ttl") == ttl


def test_no_mark_is_none():
    assert read_mark(None) is None


def test_the_last_marks_are_kept_in_the_order_of_the_prefix():
    mark = {"type": "ephemeral"}
    tools = [{"name": "f", "cache_control": mark}]
    system = [{"type": "text", "text": "s", "cache_control": mark}]
    inner = {"type": "text", "text": "r", "cache_control": mark}
    messages = [
        {"role": "user", "content": [{"type": "tool_result", "content": [inner], "cache_control": mark}]},
        {"role": "assistant", "content": "x"},
        {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": mark}]},
    ]
    limit_marks((tools, system, messages), 2)
    assert "cache_control" not in tools[0]
    assert "cache_control" not in system[0]
    assert "cache_control" not in inner
    assert "cache_control" in messages[0]["content"][0]
    assert "cache_control" in messages[2]["content"][0]


def test_marks_in_what_is_sent_as_received_count():
    system = [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]
    limit_marks(([], system, [Raw(b'{"type":"x","cache_control":{"type":"ephemeral"}}')]), 1)
    assert "cache_control" not in system[0]


def test_at_most_four_marks_are_sent_and_the_automatic_one_is_one_of_them(encoded):
    parts = tuple(Text(str(number), cache=CacheMark()) for number in range(6))
    request = Request(
        model="m",
        tools=(FunctionTool(name="f", cache=CacheMark()),),
        system=(Message(role="system", parts=(Text("s", cache=CacheMark()),)),),
        messages=(Message(role="user", parts=parts),),
    )
    assert encoded(request).body.count(b"cache_control") == 4
    automatic = Request(model="m", messages=request.messages, cache=CacheOptions(automatic=CacheMark("1h")))
    assert encoded(automatic).body.count(b"cache_control") == 4

"""What must hold for every request: no field is read twice, and a patch changes what it must and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proxyapi.dialects import DIALECTS, anthropic, gemini, openai_chat
from proxyapi.dialects.anthropic.call import Anthropic
from proxyapi.dialects.call import Call
from proxyapi.dialects.fields import elements, members, place, plain
from proxyapi.dialects.multipart import FormScanner
from proxyapi.dialects.openai_chat.call import OpenAIChat
from proxyapi.errors import GatewayError, InvalidRequest

CHAT = DIALECTS["openai_chat"]
WATCHED = ("model", "messages", "n", "stream", "max_tokens", "tools", "stream_options")

ALL_WATCHED = {*WATCHED, "models", "user", "tools", "plugins"}
"""Those that a name of a few letters can hit, in any case."""

scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.text(max_size=8) | st.sampled_from(["metadata", "temperature", "модель", 'q"', "a\\b"])
extras = st.dictionaries(names.filter(lambda name: name.lower() not in ALL_WATCHED), values, max_size=4)
forms = st.sampled_from(
    [
        {"separators": (",", ":")},
        {},
        {"indent": 1},
        {"ensure_ascii": False},
        {"separators": (" , ", " :\n")},
    ]
)


def spelled(draw: st.DrawFn, name: str) -> str:
    """A JSON string of that name, some characters escaped."""
    return '"' + "".join(f"\\u{ord(c):04x}" if draw(st.booleans()) else c for c in name) + '"'


@st.composite
def bodies(draw: st.DrawFn) -> tuple[dict[str, Any], bytes]:
    content = draw(st.text(max_size=20) | st.sampled_from(['"model":"x"', "\\u006dodel", '{"n":2}']))
    wire: dict[str, Any] = {
        "model": draw(st.text(min_size=1, max_size=9)),
        "messages": [{"role": "user", "content": content}],
    }
    if draw(st.booleans()):
        wire["stream"] = draw(st.booleans())
    if draw(st.booleans()):
        options = [None, {}, {"include_usage": False}, {"include_usage": True, "x": [1]}, {"x": "}"}]
        wire["stream_options"] = draw(st.sampled_from(options))
    if draw(st.booleans()):
        wire["tools"] = [{"type": "function", "function": {"name": "f", "parameters": {"model": 1, "n": ["n", "n"]}}}]
    wire |= draw(extras)
    order = draw(st.permutations(list(wire)))
    wire = {name: wire[name] for name in order}
    return wire, json.dumps(wire, **draw(forms)).encode()


@given(bodies(), st.text(min_size=1, max_size=12))
def test_a_patch_changes_what_it_must_and_nothing_else(body: tuple[dict[str, Any], bytes], model: str) -> None:
    wire, text = body
    call = CHAT.read(text)
    patched = CHAT.patch(text, call, model=model)
    expected = dict(wire, model=model)
    if wire.get("stream") and (wire.get("stream_options") or {}).get("include_usage") is not True:
        expected["stream_options"] = (wire.get("stream_options") or {}) | {"include_usage": True}
    assert json.loads(patched) == expected
    if expected == wire:
        assert patched is text
    elif "stream_options" not in expected or expected["stream_options"] == wire.get("stream_options"):
        at = place(text, "model")
        assert at is not None
        assert patched == text[: at.value] + msgspec.json.encode(model) + text[at.end :]


@given(bodies())
def test_a_patched_body_needs_no_further_patch(body: tuple[dict[str, Any], bytes]) -> None:
    call = CHAT.read(body[1])
    patched = CHAT.patch(body[1], call, model="other")
    again = CHAT.read(patched)
    assert CHAT.patch(patched, again, model="other") is patched


@given(bodies(), st.data())
def test_a_second_copy_of_a_watched_field_is_always_found(
    body: tuple[dict[str, Any], bytes], data: st.DataObject
) -> None:
    wire, text = body
    name = data.draw(st.sampled_from([name for name in wire if name in WATCHED]))
    key = data.draw(st.composite(spelled)(name))
    value = json.dumps(wire[name]) if data.draw(st.booleans()) else "null"
    if data.draw(st.booleans()):
        twice = text[:1] + f"{key}:{value},".encode() + text[1:]
    else:
        twice = text[:-1] + f",{key}: {value}".encode() + text[-1:]
    with pytest.raises(InvalidRequest):
        CHAT.read(twice)


@given(st.dictionaries(names, values, max_size=5), forms)
def test_places_of_members_are_exact(wire: dict[str, Any], form: dict[str, Any]) -> None:
    text = json.dumps(wire, **form).encode()
    for member in members(text):
        name = json.loads(text[member.start : member.value].rstrip(b" :\n"))
        assert json.loads(text[member.value : member.end]) == wire[name]
    for name, value in wire.items():
        at = place(text, name)
        if at is None:
            assert not name.isascii()
            continue
        assert json.loads(text[at.value : at.end]) == value


@given(st.lists(values, max_size=5), forms)
def test_places_of_elements_are_exact(wire: list[Any], form: dict[str, Any]) -> None:
    text = b"  " + json.dumps(wire, **form).encode()
    assert [json.loads(text[start:end]) for start, end in elements(text, 0)] == wire


@given(st.binary(max_size=60))
def test_bytes_that_are_no_request_are_refused_and_nothing_worse(text: bytes) -> None:
    for dialect in DIALECTS.values():
        with suppress(GatewayError):
            dialect.read(text, model="m")


@given(
    values,
    st.sampled_from(sorted(DIALECTS)),
    st.sampled_from(
        ["messages", "input", "contents", "tools", "system", "model", "max_tokens", "generationConfig", "prompt", "n"]
    ),
)
def test_odd_values_are_refused_by_name_or_read(value: Any, name: str, field: str) -> None:
    wire = {"model": "m", "messages": [], "max_tokens": 1, "input": "x", "prompt": "x", "contents": []} | {field: value}
    with suppress(GatewayError):
        call = DIALECTS[name].read(json.dumps(wire).encode(), model="m" if name.startswith("gemini") else None)
        assert call.choices >= 1


parts = st.lists(
    st.tuples(
        st.sampled_from(["file", "image[]"]) | st.text("abcdef", min_size=1, max_size=5),
        st.binary(max_size=30),
        st.booleans(),
    ),
    max_size=5,
)


@given(parts, st.binary(max_size=4), st.data())
def test_a_form_is_read_alike_however_it_is_cut(
    given_parts: list[tuple[str, bytes, bool]], tail: bytes, data: st.DataObject
) -> None:
    form = b""
    files, fields = [], []
    for name, value, is_file in given_parts:
        value = value + tail
        assume(b"--BB" not in value)
        extra = '; filename="f"' if is_file else ""
        form += f'--BB\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode()
        if is_file:
            files.append((len(form), len(form) + len(value)))
        else:
            value = value.decode("latin-1").encode()
            assume(b"--BB" not in value)
            fields.append((name, value.decode()))
        form += value + b"\r\n"
    form += b"--BB--\r\n"
    scanner = FormScanner(b"BB")
    while form_rest := form[scanner_fed(scanner) :]:
        scanner.feed(form_rest[: data.draw(st.integers(1, 40))])
    found = scanner.close()
    assert [(part.start, part.end) for part in found.files] == files
    assert sorted((name, value) for name, many in found.fields.items() for value in many) == sorted(fields)


def scanner_fed(scanner: FormScanner) -> int:
    return scanner._base + len(scanner._buffer)


@given(bodies())
def test_the_short_way_of_reading_finds_what_the_long_one_finds(body: tuple[dict[str, Any], bytes]) -> None:
    wire, text = body
    assert outcome(lambda: CHAT.read(text)) == outcome(lambda: OpenAIChat()._read(text, None, False))
    message = json.dumps({**wire, "max_tokens": 7}, separators=(",", ":")).encode()
    short, long = DIALECTS["anthropic"], Anthropic()
    assert outcome(lambda: short.read(message)) == outcome(lambda: long._read(message, None, False))
    # What the gateway wrote itself it need not look through for fields given twice.
    assert outcome(lambda: short.read(message, ours=True)) == outcome(lambda: short.read(message))


def outcome(read: Callable[[], Call]) -> Call | str:
    """But for `plain`, which tells the ways apart."""
    try:
        return msgspec.structs.replace(read(), plain=False)
    except InvalidRequest as refused:
        return str(refused)


PLAIN: list[msgspec.json.Decoder[Any]] = [
    anthropic.call._PLAIN,
    gemini.call._PLAIN,
    gemini.call._PLAIN_CONFIG,
    openai_chat.call._PLAIN,
]
WRITTEN = [
    "null", "true", "false", "0", "1", "-0", "7", "007", "1e2", "1E9", "1.0", "5e-324", "2147483647",
    '""', '"a"', '"\\u0061"', '"\\/"', '"\\u00e9"', '"\\u0001"', "[]", "{}", "[1,2]", '{"a":null}', '["a"]',
    '{"user_id":null}', '{"user_id":"a"}', '{"user_id":"a","x":1}', '{"maxOutputTokens":1e1}', '{"maxOutputTokens":10}',
    '[{"role":"user","content":"a"}]', '[{"role":"user","content":"\\u0061"}]', '{"parts":[]}',
    '{"parts":[{"text":"a"}]}', '[{"parts":[{"text":"a"}]}]', '[{"parts":[],"role":null}]', '[{"parts":[],"role":"a"}]',
]  # fmt: skip
"""Values of every kind, some of them longer than they have to be, and some shorter than Python would write them."""


def usual(decoder: msgspec.json.Decoder[Any]) -> dict[str, str]:
    """The members that have to be there."""
    values = {"model": '"m"', "max_tokens": "1", "messages": "[]", "contents": "[]"}
    return {field.name: values[field.name] for field in msgspec.structs.fields(decoder.type) if field.required}


def joined(members: Iterable[tuple[str, str]]) -> bytes:
    return ("{" + ",".join(f'"{name}":{value}' for name, value in members) + "}").encode()


@pytest.mark.parametrize("decoder", PLAIN, ids=lambda decoder: decoder.type.__qualname__)
def test_nothing_that_is_read_the_short_way_is_written_longer_than_it_came(decoder: msgspec.json.Decoder[Any]) -> None:
    """So that what fills a body to the byte leaves no room for a field given twice."""
    read = 0
    for field in msgspec.structs.fields(decoder.type):
        for value in WRITTEN:
            text = joined((usual(decoder) | {field.name: value}).items())
            with suppress(msgspec.MsgspecError):
                assert len(msgspec.json.encode(decoder.decode(text))) <= len(text), text
                read += 1
    assert read > len(WRITTEN)


@given(st.sampled_from(PLAIN), st.data())
def test_what_is_read_the_short_way_has_no_field_twice(decoder: msgspec.json.Decoder[Any], data: st.DataObject) -> None:
    names = [field.name for field in msgspec.structs.fields(decoder.type)]
    others = data.draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(WRITTEN)), max_size=4))
    some = data.draw(st.permutations([*usual(decoder).items(), *others]))
    if plain(decoder, joined(some)) is not None:
        assert len(dict(some)) == len(some)

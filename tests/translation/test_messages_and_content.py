"""Statements 53-65: instructions, turns, and what messages hold."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from proxyapi_fakes_pairs import WAYS, Pair
from proxyapi_fakes_wires import (
    call_item,
    generated,
    message,
    output_text,
    response,
    text,
    tool_use,
)

from proxyapi.dialects.codec import Untranslatable

PNG = "iVBORw0KGgoAAAANSUhEUg=="
PDF = b64encode(b"%PDF-1.4\n").decode()
WAV = "UklGRiQAAABXQVZF"
TO_MESSAGES = ("C->M", "R->M", "G->M")
MARK = {"cache_control": {"type": "ephemeral"}}
HELLO = {"role": "user", "content": "Hello"}


def texts(wire: Any) -> list[str]:
    """All texts of a provider's conversation in its order, wherever they stand."""
    match wire:
        case {"text": str(words)}:
            return [words]
        case dict():
            return [words for name, value in wire.items() if name != "model" for words in texts_of(name, value)]
        case list():
            return [words for value in wire for words in texts(value)]
        case _:
            return []


def texts_of(name: str, value: Any) -> list[str]:
    return [value] if isinstance(value, str) and name in ("content", "instructions", "system") else texts(value)


# --- instructions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["C->M", "R->M"])
def test_several_instructions_are_blocks_of_the_system_in_order_with_their_marks(way: str) -> None:
    """Statement 53. System and developer messages -> M top-level `system`, each with its cache_control."""
    if way == "C->M":
        first = {"role": "system", "content": [{"type": "text", "text": "one"} | MARK]}
        asked: Any = {"messages": [first, {"role": "developer", "content": "two"}, HELLO]}
    else:
        mark = {"prompt_cache_breakpoint": {"mode": "explicit"}}
        first = {"role": "system", "content": [{"type": "input_text", "text": "one"} | mark]}
        asked = {"input": [first, {"role": "developer", "content": "two"}, HELLO]}
    wire = Pair(way).sent(asked)
    assert wire["system"] == [text("one", **MARK), text("two")]
    assert wire["messages"] == [HELLO]


@pytest.mark.parametrize("way", ["C->M", "R->M"])
def test_instructions_in_the_middle_stay_there_and_the_prefix_before_them_is_the_same(way: str) -> None:
    """Statement 54. In place for models that accept them; others get a reminder at the same place, never hoisted."""
    field = "messages" if way == "C->M" else "input"
    turns = [
        {"role": "system", "content": "Rules."},
        HELLO,
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": "More"},
    ]
    late = {"role": "system", "content": "Be brief."}
    for accepts in (True, False):
        pair = Pair(way, mid_system=accepts)
        before, after = pair.sent({field: turns}), pair.sent({field: [*turns, late]})
        assert before["system"] == after["system"] == "Rules."
        assert json.dumps(after["messages"]).startswith(json.dumps(before["messages"][:-1])[:-1])
        last = after["messages"][-1]
        if accepts:
            assert after["messages"][:-1] == before["messages"]
            assert last == late
        else:
            assert last["content"][0] == text("More")
            assert last["content"][1]["text"] == "<system-reminder>\nBe brief.\n</system-reminder>"


@pytest.mark.parametrize("way", ["C->M", "R->M", "C->G", "R->G"])
def test_instructions_alone_get_a_turn_of_the_user(way: str) -> None:
    """Statement 55. System-only input gets a legal user turn."""
    asked: Any = {"messages": [{"role": "system", "content": "Rules."}]}
    if way.startswith("R"):
        asked = {"instructions": "Rules.", "input": []}
    wire = Pair(way).sent(asked)
    assert "Rules." in texts(wire.get("system") or wire.get("systemInstruction")) or wire["system"] == "Rules."
    (turn,) = wire.get("messages") or wire["contents"]
    assert turn["role"] == "user"
    assert all(words.strip() for words in texts(turn)) and texts(turn)


@pytest.mark.parametrize("way", ["C->M", "M->G", "C->G"])
def test_neighbours_of_one_role_are_one_turn_and_keep_their_marks(way: str) -> None:
    """Statement 56. Consecutive same-role messages merge without losing cache_control."""
    turns = [
        {"role": "user", "content": [text("one", **MARK)]},
        {"role": "user", "content": "two"},
        {"role": "assistant", "content": "three"},
        {"role": "assistant", "content": [text("four", **MARK)]},
        {"role": "user", "content": "five"},
    ]
    wire = Pair(way).sent({"messages": turns})
    found = wire.get("messages") or wire["contents"]
    assert [turn["role"] for turn in found] == ["user", "model" if way.endswith("G") else "assistant", "user"]
    assert texts(found) == ["one", "two", "three", "four", "five"]
    if way.endswith("M"):
        marked = [block["text"] for turn in found[:2] for block in turn["content"] if "cache_control" in block]
        assert marked == ["one", "four"]


@pytest.mark.parametrize("way", ["C->M", "R->M"])
def test_blank_texts_are_not_sent_and_a_begun_answer_ends_without_a_blank(way: str) -> None:
    """Statement 57. Empty or whitespace text blocks are removed before M; a final prefill is trimmed."""
    if way == "C->M":
        user: Any = [{"type": "text", "text": " \n"}, {"type": "text", "text": "Hello"}, {"type": "text", "text": ""}]
        asked: Any = {"messages": [{"role": "user", "content": user}, {"role": "assistant", "content": "I say:  \n"}]}
    else:
        user = [{"type": "input_text", "text": " \n"}, {"type": "input_text", "text": "Hello"}]
        begun = [{"type": "output_text", "text": "I say:  \n"}]
        asked = {"input": [{"role": "user", "content": user}, {"role": "assistant", "content": begun}]}
    wire = Pair(way).sent(asked)
    assert wire["messages"] == [HELLO, {"role": "assistant", "content": "I say:"}]


# --- media --------------------------------------------------------------------------------------------------------

DATA = f"data:image/png;base64,{PNG}"
WRONG = f"data:image/jpeg;base64,{PNG}"
LINK = "https://a.example/b.png"
IMAGES: dict[str, Any] = {
    "C": lambda url, detail: {"type": "image_url", "image_url": {"url": url, "detail": detail}},
    "R": lambda url, detail: {"type": "input_image", "image_url": url, "detail": detail},
    "M": lambda url, detail: {"type": "image", "source": (
        {"type": "url", "url": url} if url == LINK
        else {"type": "base64", "media_type": url[5:url.index(";")], "data": PNG})},
    "G": lambda url, detail: (
        {"fileData": {"fileUri": url, "mimeType": "image/png"}} if url == LINK
        else {"inlineData": {"mimeType": url[5:url.index(";")], "data": PNG}}),
}  # fmt: skip


def asking(client: str, *contents: Any) -> dict[str, Any]:
    if client == "G":
        return {"contents": [{"role": "user", "parts": list(contents)}]}
    return {"input" if client == "R" else "messages": [{"role": "user", "content": list(contents)}]}


def contents(provider: str, wire: Any) -> Any:
    """Of the only message that the provider gets."""
    if provider == "G":
        return wire["contents"][0]["parts"]
    return wire["input" if provider == "R" else "messages"][0]["content"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("url", [DATA, WRONG, LINK], ids=["data", "wrong type", "link"])
@pytest.mark.parametrize("detail", ["low", "auto", ""])
def test_a_picture_is_the_same_picture_in_every_dialect(way: str, url: str, detail: str) -> None:
    """Statement 58. Data URLs, links, `detail`; a wrong or missing media type is detected."""
    quirks: Any = {"no_link_media": False} if way.endswith("G") else {}
    wire = Pair(way, **quirks).sent(asking(way[0], IMAGES[way[0]](url, detail)))
    (found,) = contents(way[-1], wire)
    seen = LINK if url == LINK else DATA
    level = detail if detail == "low" and way[0] in "CR" else ""
    match way[-1]:
        case "C":
            assert found["image_url"] == {"url": seen} | ({"detail": "low"} if level else {})
        case "R":
            assert (found["image_url"], found["detail"]) == (seen, level or "auto")
        case "M":
            assert found == IMAGES["M"](seen, "")
        case "G":
            resolution = {"mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"}} if level else {}
            assert found == IMAGES["G"](seen, "") | resolution


@pytest.mark.parametrize(
    ("way", "part"),
    [
        ("R->M", {"type": "input_image", "file_id": "file-1"}),
        ("M->C", {"type": "image", "source": {"type": "file", "file_id": "file-1"}}),
        ("G->C", {"fileData": {"fileUri": "gs://bucket/a.png", "mimeType": "image/png"}}),
    ],
)
def test_a_file_that_another_provider_keeps_is_refused(way: str, part: Any) -> None:
    with pytest.raises(Untranslatable):
        Pair(way).encoded(asking(way[0], part))


DOCUMENTS: dict[str, Any] = {
    "C": {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
    "R": {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
    "M": {
        "type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
        "title": "a.pdf", "citations": {"enabled": True},
    },
    "G": {"inlineData": {"mimeType": "application/pdf", "data": PDF, "displayName": "a.pdf"}},
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_pdf_is_the_same_file_with_its_title_in_every_dialect(way: str) -> None:
    """Statement 59. C `file` <-> R `input_file` <-> M `document` <-> G inlineData, with title and citations."""
    quirks: Any = {"display_names": True} if way.endswith("G") else {}
    encoded = Pair(way, **quirks).encoded(asking(way[0], DOCUMENTS[way[0]]))
    (found,) = contents(way[-1], json.loads(encoded.body))
    wanted = DOCUMENTS[way[-1]]
    assert found == {name: value for name, value in wanted.items() if name != "citations"}
    assert ("messages.document.citations" in encoded.dropped) == way.startswith("M")


@pytest.mark.parametrize("way", [way for way in WAYS if not way.startswith("M")])
def test_a_sound_is_heard_or_refused_and_never_dropped(way: str) -> None:
    """Statement 60. `input_audio` -> G inlineData audio; an unsupported provider is a 400."""
    sounds: dict[str, Any] = {
        "C": {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}},
        "R": {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}},
        "G": {"inlineData": {"mimeType": "audio/wav", "data": WAV}},
    }
    asked = asking(way[0], sounds[way[0]])
    if way.endswith("M"):
        with pytest.raises(Untranslatable) as refused:
            Pair(way).encoded(asked)
        assert refused.value.field == "messages.audio"
    else:
        (found,) = contents(way[-1], Pair(way).sent(asked))
        assert found == sounds[way[-1]]


# --- turns --------------------------------------------------------------------------------------------------------


def begun(client: str) -> dict[str, Any]:
    """A conversation that ends with the beginning of an answer."""
    if client == "G":
        turns: Any = [{"role": "user", "parts": [{"text": "Hello"}]}, {"role": "model", "parts": [{"text": "I"}]}]
        return {"contents": turns}
    turns = [HELLO, {"role": "assistant", "content": "I"}]
    if client == "R":
        content = [{"type": "output_text", "text": "I"}]
        item = {"type": "message", "role": "assistant", "status": "incomplete", "content": content}
        return {"input": [HELLO, item]}
    return {"messages": turns}


@pytest.mark.parametrize("way", WAYS)
def test_a_begun_answer_is_gone_on_with_or_refused(way: str) -> None:
    """Statement 61. Prefill: defined behaviour for every provider."""
    asked = begun(way[0])
    if way[-1] in "CM" and way != "C->R":
        wire = Pair(way).sent(asked)
        assert wire["messages"][-1] == {"role": "assistant", "content": "I"}
        with pytest.raises(Untranslatable):
            Pair(way, no_prefill=True).encoded(asked)
        if way[-1] == "C":
            assert Pair(way, prefix_prefill=True).sent(asked)["messages"][-1]["prefix"] is True
    elif way == "C->R":
        # Chat has no word for it: a message that is finished may stand at the end.
        with pytest.raises(Untranslatable):
            Pair(way).encoded({"messages": [HELLO, {"role": "assistant", "content": "I", "prefix": True}]})
    elif way.endswith("G") or way.startswith("M"):
        with pytest.raises(Untranslatable):
            Pair(way).encoded(asked)


ORDERED: dict[str, Any] = {
    "R": response(output_text("one", "msg_1"), call_item("f", "{}", "call_1"), output_text("two", "msg_2"),
                  call_item("g", "{}", "call_2")),
    "M": message(text("one"), tool_use("f", {}, "call_1"), text("two"), tool_use("g", {}, "call_2"), stop="tool_use"),
    "G": generated({"text": "one"}, {"functionCall": {"id": "call_1", "name": "f", "args": {}}}, {"text": "two"},
                   {"functionCall": {"id": "call_2", "name": "g", "args": {}}}),
}  # fmt: skip


@pytest.mark.parametrize("way", [way for way in WAYS if "C" not in way])
@pytest.mark.parametrize("sse", [True, False])
def test_texts_and_calls_keep_their_order_in_both_directions(way: str, sse: bool) -> None:
    """Statement 62. Order of text, tool and reasoning items."""
    pair = Pair(way)
    reply = pair.reply(ORDERED[way[-1]], sse=sse)
    names = [getattr(part, "name", "") or part.text for part in reply.said.parts]  # type: ignore[union-attr]
    assert names == ["one", "f", "two", "g"]
    answers: Any = {
        "R": [{"type": "function_call_output", "call_id": f"call_{n}", "output": "7"} for n in (1, 2)],
        "M": [{"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": f"call_{n}", "content": "7"} for n in (1, 2)]}],
        "G": [{"role": "user", "parts": [
            {"functionResponse": {"id": f"call_{n}", "name": name, "response": {"a": 7}}}
            for n, name in ((1, "f"), (2, "g"))]}],
    }[way[0]]  # fmt: skip
    field = {"R": "input", "M": "messages", "G": "contents"}[way[0]]
    user = asking(way[0], {"R": {"type": "input_text", "text": "Go"}, "M": text("Go"), "G": {"text": "Go"}}[way[0]])
    wire = pair.sent({field: [*user[field], *reply.turn, *answers]})
    told = json.dumps(wire)
    places = [told.index(f'"{word}"') for word in ("one", "f", "two", "g")]
    assert places == sorted(places)


def test_blocks_of_the_system_are_one_text_for_a_chat_provider() -> None:
    """Statement 63. M `system` as an array of blocks to a C backend is flattened."""
    wire = Pair("M->C", no_content_lists=True).sent({"system": [text("one"), text("two", **MARK)]})
    assert wire["messages"][0] == {"role": "system", "content": "one\n\ntwo"}
    wire = Pair("M->C").sent({"system": [text("one")]})
    assert wire["messages"][0] == {"role": "system", "content": "one"}


@pytest.mark.parametrize("way", ["R->C", "R->M", "R->G"])
def test_every_form_of_input_is_accepted(way: str) -> None:
    """Statement 64. A string, typeless items, `instructions` with system input; ids are resolved by the gateway.

    `previous_response_id` at other providers: `tests/contract/test_kept_responses.py`.
    """
    pair = Pair(way)
    typeless = [{"role": "user", "content": "Hello"}]
    typed = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}]
    assert pair.sent({"input": "Hello"}) == pair.sent({"input": typeless}) == pair.sent({"input": typed})
    system = {"role": "system", "content": "two"}
    wire = pair.sent({"instructions": "one", "input": [system, *typeless]})
    told = json.dumps(wire)
    assert told.index("one") < told.index("two")
    with pytest.raises(Untranslatable) as refused:
        pair.encoded({"previous_response_id": "resp_1"})
    assert refused.value.field == "storage.previous_response_id"


@pytest.mark.parametrize("way", ["C->M", "C->G", "R->M", "R->G"])
def test_fields_that_only_openai_has_never_break_a_request_and_losses_are_told(way: str) -> None:
    """Statement 65. `user`, `metadata`, `store`, `logit_bias`…; unknown fields by a stated rule: dropped and named."""
    asked: Any = {"user": "me", "metadata": {"a": "b"}, "store": True, "zzz_unknown": [1]}
    asked |= (
        {"logit_bias": {"1": 5}, "seed": 7, "prediction": {"type": "content", "content": "x"}} if way[0] == "C" else {}
    )
    encoded = Pair(way).encoded(asked)
    wire = json.loads(encoded.body)
    assert not {"user", "store", "logit_bias", "zzz_unknown", "prediction"} & wire.keys()
    assert {"metadata", "storage.store", "zzz_unknown"} <= set(encoded.dropped)
    if way[0] == "C":
        assert {"sampling.logit_bias", "prediction"} <= set(encoded.dropped)
    assert wire.get("metadata") in (None, {"user_id": "me"})

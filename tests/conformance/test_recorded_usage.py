"""Real provider traffic through the meters. Runs where PROXYAPI_CONFORMANCE names the folder of `recorded.jsonl`.

A row holds `endpoint`, `stream`, `model`, `request.body`, and `response` with `status`, `headers` and `body`.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxyapi.dialects import DIALECTS
from proxyapi.dialects.call import Call
from proxyapi.dialects.channel import Meter, Passthrough, meter_body
from proxyapi.errors import InvalidRequest

FOLDER = os.environ.get("PROXYAPI_CONFORMANCE", "")
pytestmark = pytest.mark.skipif(not FOLDER, reason="PROXYAPI_CONFORMANCE is not set")

DIALECT = {
    "chat.completions": "openai_chat",
    "completions": "openai_completions",
    "responses": "openai_responses",
    "responses.retrieve": "openai_responses",
    "messages": "anthropic",
    "gemini.generateContent": "gemini",
    "gemini.streamGenerateContent": "gemini",
    "embeddings": "openai_embeddings",
    "moderations": "openai_moderations",
    "audio.transcriptions": "openai_transcription",
    "audio.translations": "openai_transcription",
    "images.generations": "openai_images",
    "images.edits": "openai_images",
    "images.variations": "openai_images",
    "messages.count_tokens": "anthropic_count",
    "gemini.countTokens": "gemini_count",
    "gemini.embedContent": "gemini_embed",
    "gemini.batchEmbedContents": "gemini_embed",
    "responses.input_tokens": "openai_count",
}


def rows() -> Iterator[dict[str, Any]]:
    with (Path(FOLDER) / "recorded.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["endpoint"] in DIALECT:
                yield row


def body_of(row: dict[str, Any]) -> bytes:
    response = row["response"]
    if "body_b64" in response:
        return base64.b64decode(response["body_b64"])
    return (response.get("body") or "").encode()


def told(meter: Meter) -> tuple[Any, ...]:
    return (
        meter.usage,
        meter.others,
        "".join(meter.texts),
        meter.reply_id,
        meter.model,
        meter.tier,
        meter.finished,
        meter.choices,
        meter.failed,
    )


def test_every_reply_meters_alike_however_it_is_cut_and_passes_unchanged() -> None:
    count = 0
    for row in rows():
        name, data = DIALECT[row["endpoint"]], body_of(row)
        if row["response"]["status"] >= 400:
            continue
        call = Call(operation="chat", dialect=name, model=row["model"] or "", stream=row["stream"])
        stream = row["stream"] or data.startswith((b"data:", b"event:", b":"))
        meters = [] if stream else [meter_body(DIALECTS[name], data, 200, call)]
        for size in (len(data) + 1, 7):
            channel = Passthrough(DIALECTS[name].decoder(stream=stream, call=call), call)
            out = b"".join(channel.feed(data[at : at + size]) for at in range(0, len(data), size))
            assert out + channel.close() == data, row["id"]
            meters.append(channel.meter)
        for meter in meters:
            assert told(meter) == told(meters[0]), row["id"]
            assert all(quantity >= 0 for quantity in (meter.usage or {}).values()), row["id"]
        count += meters[0].usage is not None
    assert count > 2_000


def test_every_served_request_is_read_and_left_alone() -> None:
    for row in rows():
        wire = row["request"].get("body")
        if wire is None or row["response"]["status"] >= 400 or row["endpoint"].startswith(("audio.tr", "images.")):
            continue
        dialect = DIALECTS[DIALECT[row["endpoint"]]]
        path = {"model": row["model"] or "m"} if row["endpoint"].startswith("gemini") else {}
        for form in ({"separators": (",", ":")}, {}, {"indent": 2}):
            body = json.dumps(wire, **form).encode()  # type: ignore[arg-type]
            try:
                call = dialect.read(body, **path)
            except InvalidRequest as refused:
                # Azure names the model in the path, a stored prompt holds its own: both are out of scope.
                assert refused.param == "model", row["id"]
                break
            patched = json.loads(dialect.patch(body, call, model=call.model))
            if call.stream and not call.usage_asked and "stream_options" in patched:
                assert patched.pop("stream_options")["include_usage"] is True
            if not call.string_image_urls:
                assert patched == {k: v for k, v in wire.items() if k != "stream_options" or k in patched}, row["id"]

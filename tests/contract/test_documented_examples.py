"""The checklist of the documented examples (rows of SPEC section 9): each with the client that the example uses."""

from __future__ import annotations

import base64
import io
import json
import shutil
import struct
import subprocess
import wave
import zlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
import requests
from google import genai
from google.genai import types

QUESTION = "Привет! Расскажи про то, как устроена солнечная система"


def curl(url: str, key: str, *arguments: str) -> tuple[int, bytes]:
    """Status and body."""
    command = ["curl", "-sS", "-w", "\n%{http_code}", url, "-H", f"Authorization: Bearer {key}", *arguments]
    output = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    body, _, status = output.rpartition(b"\n")
    return int(status), body


def curl_json(url: str, key: str, body: Any) -> tuple[int, Any]:
    status, answer = curl(url, key, "-H", "Content-Type: application/json", "-d", json.dumps(body))
    return status, json.loads(answer)


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture
def client(sandboxed: Any, rich_key: str) -> openai.OpenAI:
    return openai.OpenAI(api_key=rich_key, base_url=f"{sandboxed.url}/openai/v1", max_retries=0)


@pytest.fixture
def unified(sandboxed: Any, rich_key: str) -> openai.OpenAI:
    return openai.OpenAI(api_key=rich_key, base_url=f"{sandboxed.url}/v1", max_retries=0)


def wav(seconds: float) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        sound.writeframes(b"\0\0" * int(16_000 * seconds))
    return file.getvalue()


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\xff\0\0" * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


# --- 1: speech -----------------------------------------------------------------------------------------------------


@needs_curl
@pytest.mark.parametrize(
    "body",
    [
        {"model": "tts-1", "input": "Съешь ещё этих мягких французских булок.", "voice": "alloy"},
        {
            "model": "gpt-4o-mini-tts",
            "input": "Сегодня прекрасный день для прогулки.",
            "voice": "coral",
            "instructions": "Говори радостно.",
            "response_format": "wav",
        },
    ],
)
def test_row_1_speech_by_curl_gives_sound(sandboxed: Any, rich_key: str, body: dict[str, Any]) -> None:
    status, sound = curl(
        f"{sandboxed.url}/openai/v1/audio/speech",
        rich_key,
        "-H",
        "Content-Type: application/json",
        "-d",
        json.dumps(body),
    )
    assert status == 200
    if body.get("response_format") == "wav":
        with wave.open(io.BytesIO(sound)) as opened:
            assert opened.getnframes() / opened.getframerate() > 1
    else:
        assert sound[:3] == b"ID3" or sound[0] == 0xFF


# --- 2: OpenRouter ---------------------------------------------------------------------------------------------------

OPENROUTER = {"model": "mistralai/mistral-medium-3.1", "messages": [{"role": "user", "content": QUESTION}]}


@needs_curl
def test_row_2_openrouter_by_curl(sandboxed: Any, rich_key: str) -> None:
    status, answer = curl_json(f"{sandboxed.url}/openrouter/v1/chat/completions", rich_key, OPENROUTER)
    assert status == 200
    assert answer["choices"][0]["message"]["content"]


def test_row_2_openrouter_by_requests_is_charged_by_the_cost_of_the_answer(sandboxed: Any, rich_key: str) -> None:
    answer = requests.post(
        f"{sandboxed.url}/openrouter/v1/chat/completions",
        headers={"Authorization": f"Bearer {rich_key}"},
        json=OPENROUTER,
        timeout=60,
    )
    assert answer.status_code == 200
    reported = json.loads(answer.text, parse_float=Decimal)["usage"]["cost"]
    assert Decimal(answer.headers["x-proxyapi-cost"]) == reported * 100  # 100 RUB for a dollar, no markup


# --- 4, 5, 6, 9, 12, 13, 18: transcription ----------------------------------------------------------------------------


@needs_curl
@pytest.mark.parametrize("prompt", [None, "Беседа о погоде."])
def test_rows_4_and_5_transcription_by_curl(sandboxed: Any, rich_key: str, tmp_path: Path, prompt: str | None) -> None:
    file = tmp_path / "speech.wav"
    file.write_bytes(wav(2.5))
    form = ["-F", f"file=@{file}", "-F", "model=whisper-1"] + (["-F", f"prompt={prompt}"] if prompt else [])
    status, answer = curl(f"{sandboxed.url}/openai/v1/audio/transcriptions", rich_key, *form)
    assert status == 200
    assert json.loads(answer)["text"]


def test_row_6_transcription_by_the_openai_client(client: openai.OpenAI) -> None:
    answer = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("speech.wav", wav(2)))
    assert answer.text


def test_row_9_transcription_streams_deltas_and_done(client: openai.OpenAI) -> None:
    stream = client.audio.transcriptions.create(
        model="gpt-4o-mini-transcribe", file=("speech.wav", wav(2)), response_format="text", stream=True
    )
    events = list(stream)
    assert {event.type for event in events} == {"transcript.text.delta", "transcript.text.done"}
    assert events[-1].type == "transcript.text.done"


def test_row_12_word_and_segment_timestamps(client: openai.OpenAI) -> None:
    answer = client.audio.transcriptions.create(
        model="whisper-1",
        file=("speech.wav", wav(3)),
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert answer.words and answer.segments
    assert answer.duration == pytest.approx(3, abs=0.1)


def test_row_13_parts_of_a_long_recording_upload_one_after_the_other(client: openai.OpenAI) -> None:
    texts = [
        client.audio.transcriptions.create(model="whisper-1", file=(f"part{number}.wav", wav(20))).text
        for number in range(3)
    ]
    assert all(texts)


def test_row_13_an_upload_over_the_limit_is_a_clear_413(gateways: Any, tmp_path: Path) -> None:
    with gateways.Gateway(tmp_path, "[limits]\nbody_bytes_max = 100000\n") as gateway:
        gateway.account("small", "100")
        client = openai.OpenAI(api_key=gateway.key("small"), base_url=f"{gateway.url}/openai/v1", max_retries=0)
        with pytest.raises(openai.APIStatusError) as caught:
            client.audio.transcriptions.create(model="whisper-1", file=("long.wav", wav(10)))
    assert caught.value.status_code == 413
    assert "larger than the 100000 bytes" in caught.value.message


def test_row_18_translation_of_speech(client: openai.OpenAI) -> None:
    assert client.audio.translations.create(model="whisper-1", file=("speech.wav", wav(2))).text


# --- 7, 11, 19, 23: computer use --------------------------------------------------------------------------------------

COMPUTER = {"type": "computer_use_preview", "display_width": 1024, "display_height": 768, "environment": "browser"}


def test_rows_7_and_11_computer_use_asks_for_a_safety_check(client: openai.OpenAI) -> None:
    answer = client.responses.create(
        model="computer-use-preview",
        tools=[COMPUTER],
        input=[{"role": "user", "content": "Check the latest news on example.com."}],
        reasoning={"generate_summary": "concise"},
        truncation="auto",
    )
    call = next(item for item in answer.output if item.type == "computer_call")
    assert call.pending_safety_checks


def test_rows_19_and_23_acknowledged_checks_and_the_current_url_pass(client: openai.OpenAI) -> None:
    first = client.responses.create(
        model="computer-use-preview",
        tools=[COMPUTER],
        input=[{"role": "user", "content": "Check the latest news on example.com."}],
        truncation="auto",
    )
    call = next(item for item in first.output if item.type == "computer_call")
    answer = client.responses.create(
        model="computer-use-preview",
        previous_response_id=first.id,
        tools=[COMPUTER],
        input=[
            {
                "type": "computer_call_output",
                "call_id": call.call_id,
                "acknowledged_safety_checks": [check.model_dump() for check in call.pending_safety_checks],
                "current_url": "https://example.com",
                "output": {
                    "type": "computer_screenshot",
                    "image_url": "data:image/png;base64," + base64.b64encode(png(64, 64)).decode(),
                },
            }
        ],
        truncation="auto",
    )
    assert answer.status == "completed"


# --- 8, 16: web search by chat ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"user_location": {"type": "approximate", "approximate": {"country": "GB"}}}])
def test_rows_8_and_16_web_search_brings_annotations_and_charges_the_search(
    client: openai.OpenAI, options: dict[str, Any]
) -> None:
    answer = client.chat.completions.with_raw_response.create(
        model="gpt-4o-search-preview",
        web_search_options=options,
        messages=[{"role": "user", "content": "What was a positive news story from today?"}],
    )
    parsed = answer.parse()
    assert parsed.choices[0].message.annotations
    assert parsed.usage is not None
    tokens = Decimal(parsed.usage.prompt_tokens) * Decimal("2.5") + Decimal(parsed.usage.completion_tokens) * 10
    # 0.035 USD for the search besides the tokens, 100 RUB for a dollar
    assert Decimal(answer.headers["x-proxyapi-cost"]) - tokens / 1_000_000 * 100 >= Decimal("2.5")


# --- 10: anthropic with web search ------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["api_key", "auth_token"])
def test_row_10_the_anthropic_client_with_the_web_search_tool(sandboxed: Any, rich_key: str, header: str) -> None:
    client = anthropic.Anthropic(**{header: rich_key}, base_url=f"{sandboxed.url}/anthropic", max_retries=0)
    message = client.messages.create(
        model="claude-sonnet-4-20250514",
        max_tokens=1024,
        messages=[{"role": "user", "content": "How do I update a web app to TypeScript 5.5?"}],
        tools=[{"type": "web_search_20250305", "name": "web_search", "max_uses": 5}],
    )
    assert message.usage.server_tool_use is not None
    assert message.usage.server_tool_use.web_search_requests >= 1


# --- 14, 21: balance --------------------------------------------------------------------------------------------------


def test_rows_14_and_21_balance_in_both_shapes_and_off_by_default(sandboxed: Any) -> None:
    sandboxed.account("saver", "123.45")
    open_key, closed_key = sandboxed.key("saver", "--allow-balance"), sandboxed.key("saver")
    budget_key = sandboxed.key("saver", "--allow-balance", "--budget", "50", "--period", "month")
    for path in ("/proxyapi/balance", "/api/balance"):
        assert sandboxed.request("GET", path, key=open_key)[2] == b'{"balance":123.45}'
        answer = json.loads(sandboxed.request("GET", path, key=budget_key)[2])
        assert answer == {"balance": 50, "budget": {"limit": 50, "used": 0}}
        status, _, body = sandboxed.request("GET", path, key=closed_key)
        assert status == 403
        assert json.loads(body)["detail"].startswith("You are not allowed to access this")


# --- 15: models -------------------------------------------------------------------------------------------------------


@needs_curl
def test_row_15_the_model_list_and_one_model_with_a_slash(
    sandboxed: Any, rich_key: str, unified: openai.OpenAI
) -> None:
    status, answer = curl(f"{sandboxed.url}/v1/models", rich_key)
    assert status == 200
    names = {model["id"] for model in json.loads(answer)["data"]}
    assert "openai/gpt-4o" in names
    assert any(name.startswith("anthropic/claude") for name in names)
    for path in ("/v1/models/openai/gpt-4o", "/v1/models/openai%2Fgpt-4o"):
        model = json.loads(curl(sandboxed.url + path, rich_key)[1])
        assert model["id"] == "openai/gpt-4o"
        assert model["context_window"] == 128_000
        assert model["pricing"]["input_tokens"] > 0
    assert any(model.id == "openai/gpt-4o" for model in unified.models.list())


# --- 24, 27: vision ---------------------------------------------------------------------------------------------------


def picture(width: int, height: int) -> str:
    return "data:image/png;base64," + base64.b64encode(png(width, height)).decode()


@pytest.mark.parametrize("form", ["string", "object"])
def test_rows_24_and_27_vision_by_chat_takes_both_forms_of_the_picture(
    sandboxed: Any, rich_key: str, unified: openai.OpenAI, form: str
) -> None:
    for url in ("https://example.com/boardwalk.jpg", picture(64, 64)):
        image: Any = url if form == "string" else {"url": url}
        content: Any = [{"type": "text", "text": "Что на картинке?"}, {"type": "image_url", "image_url": image}]
        answer = unified.chat.completions.create(
            model="openai/gpt-4o", messages=[{"role": "user", "content": content}], max_tokens=50
        )
        assert answer.choices[0].message.content


def test_rows_24_and_27_vision_is_estimated_by_pixels_not_by_the_length_of_the_picture(
    sandboxed: Any, rich_key: str
) -> None:
    def units(width: int, height: int) -> int:
        content = [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": picture(width, height)}}]
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": content}], "max_tokens": 1}
        path = "/proxyapi/estimate?path=/openai/v1/chat/completions"
        status, _, answer = sandboxed.request("POST", path, key=rich_key, body=body)
        assert status == 200, answer
        return int(json.loads(answer)["units"]["input_tokens"])

    # 1024 x 1024 is scaled to 768 x 768: four tiles; 512 x 512 is one
    assert units(1024, 1024) - units(512, 512) == 3 * 170


def test_row_27_vision_by_responses(client: openai.OpenAI) -> None:
    content: Any = [
        {"type": "input_text", "text": "Что на картинке?"},
        {"type": "input_image", "image_url": picture(64, 64)},
    ]
    answer = client.responses.create(model="gpt-4o", input=[{"role": "user", "content": content}])
    assert answer.output_text


# --- 26: Gemini -------------------------------------------------------------------------------------------------------


@needs_curl
def test_row_26_gemini_by_curl_with_bearer(sandboxed: Any, rich_key: str) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "Привет"}]}]}
    url = f"{sandboxed.url}/google/v1beta/models/gemini-2.0-flash:generateContent"
    status, answer = curl_json(url, rich_key, body)
    assert status == 200
    assert answer["candidates"][0]["content"]["parts"][0]["text"]
    assert answer["usageMetadata"]["promptTokenCount"] > 0


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_the_google_client_works_by_changing_the_base_url(sandboxed: Any, rich_key: str, version: str) -> None:
    options = types.HttpOptions(base_url=f"{sandboxed.url}/google", api_version=version)
    client = genai.Client(api_key=rich_key, http_options=options)
    assert client.models.generate_content(model="gemini-2.0-flash", contents="Привет").text
    chunks = list(client.models.generate_content_stream(model="gemini-2.0-flash", contents="Привет"))
    assert "".join(chunk.text or "" for chunk in chunks)
    assert chunks[-1].usage_metadata is not None

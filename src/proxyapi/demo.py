"""`proxyapi demo`: a tour of the documented requests on a gateway of its own, with real clients, in under a minute.

curl and the official SDKs are used where they are installed; the steps of a missing one are skipped and said so.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

MODEL = "gpt-4o"
QUESTION = "Привет! Как дела?"
START_SECONDS = 30


class Step(Struct, frozen=True):
    title: str
    needs: str
    """A program (`curl`) or a Python package."""
    run: Callable[[str, str], str]
    """Base URL and key to what came back."""


def run(write: Callable[[str], object] = lambda text: print(text, flush=True)) -> int:  # noqa: T201
    """The exit code: 0 if every step that could run gave an answer."""
    failures = 0
    with tempfile.TemporaryDirectory(prefix="proxyapi-demo-") as folder, _gateway(Path(folder)) as (base, key):
        write(f"A gateway with the sandbox provider listens on {base}.\n")
        before = _balance(base, key)
        write(f"Balance: {before} RUB of test money.\n")
        for number, step in enumerate(STEPS, 1):
            write(f"{number}. {step.title}")
            if not _installed(step.needs):
                write(f"   skipped: {step.needs} is not installed\n")
                continue
            try:
                answer = step.run(base, key)
            except Exception as error:  # noqa: BLE001  (any client's own exception: shown, counted, and on we go)
                failures += 1
                write(f"   FAILED: {type(error).__name__}: {error}\n")
                continue
            after = _balance(base, key)
            write(f"   {answer}\n   cost {_minus(before, after)} RUB, balance {after} RUB\n")
            before = after
        write(_audit(Path(folder)))
    write(
        "\nThat was the tour. `proxyapi serve` starts your own gateway."
        if not failures
        else f"\n{failures} steps failed."
    )
    return 1 if failures else 0


@contextmanager
def _gateway(folder: Path) -> Iterator[tuple[str, str]]:
    environ = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    config = folder / "proxyapi.toml"
    config.write_text("access_log = false\n")
    command = [sys.executable, "-m", "proxyapi", "serve", "--listen", "127.0.0.1:0"]
    command += ["--data", str(folder / "data"), "--config", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environ)
    assert process.stdout is not None
    base = key = ""
    try:
        for line in process.stdout:
            if "listens on" in line:
                base = line.split()[-1]
            elif line.strip().startswith("sk-"):
                key = line.strip()
            elif line.startswith("Ready"):
                break
        if not base or not key:
            raise RuntimeError("the gateway did not start")
        yield base, key
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(START_SECONDS)
        process.stdout.close()


def _installed(name: str) -> bool:
    if name == "curl":
        return shutil.which(name) is not None
    return importlib.util.find_spec(name.partition(".")[0]) is not None and importlib.util.find_spec(name) is not None


def _balance(base: str, key: str) -> str:
    request = urllib.request.Request(f"{base}/proxyapi/balance", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request) as response:
        return str(json.loads(response.read(), parse_float=str, parse_int=str)["balance"])


def _minus(before: str, after: str) -> str:
    from decimal import Decimal

    return f"{(Decimal(before) - Decimal(after)).normalize() + 0:f}"


def _audit(folder: Path) -> str:
    command = [sys.executable, "-m", "proxyapi", "audit", "--data", str(folder / "data")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"The auditor: {done.stdout.strip() or done.stderr.strip()}"


# --- the steps -------------------------------------------------------------------------------------------------------


def _curl(base: str, key: str, path: str, body: dict[str, Any], *more: str) -> bytes:
    command = ["curl", "-sS", "--fail-with-body", base + path, "-H", "Content-Type: application/json"]
    command += ["--config", "-", "-d", json.dumps(body, ensure_ascii=False), *more]
    # The key goes through standard input: arguments can be seen in the list of processes.
    done = subprocess.run(
        command, input=f'header = "Authorization: Bearer {key}"'.encode(), capture_output=True, check=False
    )
    if done.returncode:
        raise RuntimeError((done.stdout or done.stderr).decode()[:500])
    return done.stdout


def _curl_chat(base: str, key: str) -> str:
    body = {"model": f"openai/{MODEL}", "messages": [{"role": "user", "content": QUESTION}]}
    answer = json.loads(_curl(base, key, "/v1/chat/completions", body))
    return str(answer["choices"][0]["message"]["content"])


def _curl_estimate(base: str, key: str) -> str:
    body = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 100}
    return _curl(base, key, "/proxyapi/estimate?path=/openai/v1/chat/completions", body).decode()


def _curl_openrouter(base: str, key: str) -> str:
    body = {"model": "mistralai/mistral-medium-3.1", "messages": [{"role": "user", "content": QUESTION}]}
    answer = json.loads(_curl(base, key, "/openrouter/v1/chat/completions", body))
    return f"{answer['choices'][0]['message']['content']} (OpenRouter's own cost: {answer['usage']['cost']} USD)"


def _curl_gemini(base: str, key: str) -> str:
    body = {"contents": [{"parts": [{"text": QUESTION}]}]}
    answer = json.loads(_curl(base, key, "/google/v1beta/models/gemini-2.0-flash:generateContent", body))
    return str(answer["candidates"][0]["content"]["parts"][0]["text"])


def _curl_speech(base: str, key: str) -> str:
    body = {
        "model": "gpt-4o-mini-tts",
        "voice": "alloy",
        "input": "Привет, это проверка речи.",
        "response_format": "wav",
    }
    return f"{len(_curl(base, key, '/openai/v1/audio/speech', body))} bytes of sound"


def _openai_stream(base: str, key: str) -> str:
    import openai

    client = openai.OpenAI(api_key=key, base_url=f"{base}/openai/v1")
    stream = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": QUESTION}],
        stream=True,
        stream_options={"include_usage": True},
    )
    parts, tokens = [], 0
    for chunk in stream:
        parts += [choice.delta.content or "" for choice in chunk.choices]
        tokens = chunk.usage.total_tokens if chunk.usage else tokens
    return f"{''.join(parts)} ({len(parts)} pieces, {tokens} tokens)"


def _openai_responses(base: str, key: str) -> str:
    import openai

    client = openai.OpenAI(api_key=key, base_url=f"{base}/v1")
    return client.responses.create(model=f"openai/{MODEL}", input=QUESTION).output_text


def _openai_tool(base: str, key: str) -> str:
    import openai

    client = openai.OpenAI(api_key=key, base_url=f"{base}/v1")
    answer = client.chat.completions.create(
        model="sandbox/tool",
        messages=[{"role": "user", "content": "What is the weather in Paris?"}],
        tools=[
            {
                "type": "function",
                "function": {
                    "name": "get_weather",
                    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
                },
            }
        ],
    )
    calls = answer.choices[0].message.tool_calls or []
    return ", ".join(f"{call.function.name}({call.function.arguments})" for call in calls if call.type == "function")


def _openai_error(base: str, key: str) -> str:
    import openai

    client = openai.OpenAI(api_key=key, base_url=f"{base}/v1", max_retries=0)
    try:
        client.chat.completions.create(
            model=f"openai/{MODEL}", messages=[{"role": "user", "content": QUESTION}], max_tokens=16_000, n=128
        )
    except openai.APIStatusError as error:
        return f"{error.status_code}: {error.message[:200]}"
    raise RuntimeError("a request beyond the balance was not refused")


def _anthropic(base: str, key: str) -> str:
    import anthropic

    client = anthropic.Anthropic(api_key=key, base_url=f"{base}/anthropic")
    with client.messages.stream(
        model="claude-sonnet-4-20250514", max_tokens=200, messages=[{"role": "user", "content": QUESTION}]
    ) as stream:
        return stream.get_final_text()


def _google(base: str, key: str) -> str:
    from google import genai
    from google.genai import types

    client = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=f"{base}/google"))
    answer = client.models.generate_content(model="gemini-2.0-flash", contents=QUESTION)
    return str(answer.text)


STEPS = (
    Step("curl: chat through the unified API", "curl", _curl_chat),
    Step("curl: what would a request hold?", "curl", _curl_estimate),
    Step("curl: OpenRouter, charged by its own cost", "curl", _curl_openrouter),
    Step("curl: Gemini's native API", "curl", _curl_gemini),
    Step("curl: speech", "curl", _curl_speech),
    Step("openai SDK: a stream with usage", "openai", _openai_stream),
    Step("openai SDK: Responses", "openai", _openai_responses),
    Step("openai SDK: a tool call", "openai", _openai_tool),
    Step("openai SDK: a request that the balance does not cover", "openai", _openai_error),
    Step("anthropic SDK: a stream", "anthropic", _anthropic),
    Step("google-genai SDK", "google.genai", _google),
)

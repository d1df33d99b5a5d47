"""A sandbox on a real socket, and the official SDKs pointed at it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import anthropic
import openai
import pytest
from google import genai
from google.genai import types

from proxyapi.sandbox.server import Sandbox
from proxyapi.wire.server import Server, ServerLimits


def _fault(status: int, text: str) -> tuple[bytes, bytes]:
    return b"Content-Type: text/plain\r\n", text.encode()


@pytest.fixture(scope="session")
def base() -> Iterator[str]:
    """The address of a running sandbox."""
    loop = asyncio.new_event_loop()
    server = Server(Sandbox().handler, limits=ServerLimits(), fault=_fault, loop=loop)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    port = asyncio.run_coroutine_threadsafe(server.listen("127.0.0.1", 0), loop).result(10)
    yield f"http://127.0.0.1:{port}"
    asyncio.run_coroutine_threadsafe(server.stop(1.0), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture(scope="session")
def openai_client(base: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="none", base_url=f"{base}/openai/v1", max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def anthropic_client(base: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="none", base_url=f"{base}/anthropic", max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def google_client(base: str) -> genai.Client:
    return genai.Client(api_key="none", http_options=types.HttpOptions(base_url=f"{base}/google"))

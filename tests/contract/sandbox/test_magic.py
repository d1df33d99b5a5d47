"""The magic model names as the official SDKs see them."""

from typing import Any

import anthropic
import openai
import pytest
import requests
from google import genai

TEXT = "Слово в слово: one  two\nthree."
CHAT: Any = [{"role": "user", "content": TEXT}]


def test_echo_is_verbatim_in_every_dialect(
    openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic, google_client: genai.Client
) -> None:
    assert openai_client.chat.completions.create(model="sandbox/echo", messages=CHAT).choices[0].message.content == TEXT
    assert openai_client.responses.create(model="echo", input=TEXT).output_text == TEXT
    message: Any = anthropic_client.messages.create(model="echo", max_tokens=100, messages=CHAT)
    assert message.content[0].text == TEXT
    assert google_client.models.generate_content(model="models/echo", contents=TEXT).text == TEXT


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (503, openai.InternalServerError),
    ],
)
def test_fail_raises_the_error_of_the_sdk(
    openai_client: openai.OpenAI, status: int, error: type[openai.APIStatusError]
) -> None:
    with pytest.raises(error) as raised:
        openai_client.chat.completions.create(model=f"fail-{status}", messages=CHAT, stream=True)
    assert raised.value.status_code == status
    with pytest.raises(error):
        openai_client.responses.create(model=f"fail-{status}", input=TEXT)


def test_fail_raises_in_anthropic_and_google(
    anthropic_client: anthropic.Anthropic, google_client: genai.Client
) -> None:
    with pytest.raises(anthropic.APIStatusError) as overloaded:
        anthropic_client.messages.create(model="fail-529", max_tokens=10, messages=CHAT)
    assert overloaded.value.response.headers["retry-after"] == "2"
    assert overloaded.value.body["error"]["type"] == "overloaded_error"  # type: ignore[index]
    with pytest.raises(genai.errors.ServerError) as unavailable:
        google_client.models.generate_content(model="fail-503", contents="x")
    assert unavailable.value.status == "UNAVAILABLE"
    with pytest.raises(genai.errors.ClientError):
        list(google_client.models.generate_content_stream(model="fail-429", contents="x"))


def test_slow_answers_after_its_wait(openai_client: openai.OpenAI) -> None:
    asked: Any = {"messages": CHAT, "timeout": 0.02}
    with pytest.raises(openai.APITimeoutError):
        openai_client.chat.completions.create(model="slow-2000", **asked)
    assert openai_client.chat.completions.create(model="slow-20", messages=CHAT).choices


def test_cut_breaks_the_connection_after_so_many_events(base: str) -> None:
    for path, body in (
        ("openai/v1/chat/completions", {"messages": CHAT}),
        ("openai/v1/responses", {"input": TEXT}),
        ("anthropic/v1/messages", {"messages": CHAT, "max_tokens": 100}),
    ):
        received = b""
        response = requests.post(f"{base}/{path}", json={"model": "cut-3", "stream": True, **body}, stream=True)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            for piece in response.iter_content(None):
                received += piece
        assert received.count(b"data: ") == 3
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            requests.post(f"{base}/{path}", json={"model": "cut-3", **body})


def test_a_cut_stream_is_a_connection_error_of_the_sdk(openai_client: openai.OpenAI) -> None:
    stream: Any = openai_client.chat.completions.create(model="cut-3", messages=CHAT, stream=True)
    with pytest.raises(openai.APIConnectionError):
        list(stream)


def test_error_is_raised_in_the_middle_of_a_stream(
    openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic, google_client: genai.Client
) -> None:
    chat: Any = iter(openai_client.chat.completions.create(model="error-3", messages=CHAT, stream=True))
    assert [next(chat).object for _ in range(3)] == ["chat.completion.chunk"] * 3
    with pytest.raises(openai.APIError):
        next(chat)
    events: Any = list(openai_client.responses.create(model="error-3", input=TEXT, stream=True))
    assert (events[-1].type, events[-1].sequence_number, len(events)) == ("error", 3, 4)
    messages: Any = anthropic_client.messages.create(model="error-3", max_tokens=100, messages=CHAT, stream=True)
    with pytest.raises(anthropic.APIStatusError):
        list(messages)
    with pytest.raises(genai.errors.APIError):
        list(google_client.models.generate_content_stream(model="error-3", contents=TEXT))


def test_nousage_leaves_usage_out(
    openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic, google_client: genai.Client
) -> None:
    assert openai_client.chat.completions.create(model="nousage", messages=CHAT).usage is None
    assert openai_client.responses.create(model="nousage", input=TEXT).usage is None
    message: Any = anthropic_client.messages.create(model="nousage", max_tokens=100, messages=CHAT)
    assert getattr(message, "usage", None) is None
    assert google_client.models.generate_content(model="nousage", contents="x").usage_metadata is None


def test_one_connection_carries_many_requests_and_each_answer_has_its_id(base: str) -> None:
    with requests.Session() as client:
        for _ in range(5):
            answer = client.post(f"{base}/openai/v1/chat/completions", json={"model": "echo", "messages": CHAT})
            assert answer.json()["choices"][0]["message"]["content"] == TEXT
            assert answer.headers["x-request-id"].startswith("req_")

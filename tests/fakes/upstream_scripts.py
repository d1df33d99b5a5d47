"""What a provider of Chat Completions can do to one request, by name; the cases of `endings.py` choose among these."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import proxyapi_fakes_replies as replies  # loaded by conftest.py
from proxyapi_fakes_upstream import Reply

STREAM = {"content-type": "text/event-stream"}
JSON = {"content-type": "application/json"}
ERROR = b'{"error":{"message":"boom","type":"server_error","param":null,"code":null}}'
PATIENCE_SECONDS = 30.0
"""For a script that waits for the client; a test that fails does not hang."""
FALLBACK_PATH = "/fallback/"
"""Below it everything is answered."""
WORDS = ("one", " two", " three")
OTHER: dict[str, str] = {"body": "stream", "stream": "body"}


@dataclass
class Stage:
    """One request, for those who wait for each other."""

    form: str
    asked: threading.Event = field(default_factory=threading.Event)
    """The provider has the request."""
    middle: threading.Event = field(default_factory=threading.Event)
    """The provider has sent half of its answer."""
    go: threading.Event = field(default_factory=threading.Event)
    """The provider may go on."""


def answer(form: str, used: Any = replies.USED, pause: Callable[[], object] | None = None, **more: Any) -> Reply:
    """Whole; `pause` is called in its middle."""
    if form == "body" and pause is None:
        return Reply(body=replies.chat("".join(WORDS), used, **more))
    events = [b"".join(part) for part in halves(form, used)]

    def chunks() -> Iterator[bytes]:
        yield events[0]
        if pause is not None:
            pause()
        yield events[1]

    return Reply(headers=STREAM if form == "stream" else JSON, chunks=chunks())


def halves(form: str, used: Any = replies.USED) -> tuple[list[bytes], list[bytes]]:
    if form == "body":
        body = replies.chat("".join(WORDS), used)
        return [body[: len(body) // 2]], [body[len(body) // 2 :]]
    events = replies.chat_events(WORDS, used)
    return events[:3], events[3:]


def raw_head(form: str, *lines: bytes) -> bytes:
    kind = STREAM if form == "stream" else JSON
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"content-type: " + kind["content-type"].encode(), *lines, b"", b""])


def pausing(stage: Stage) -> Reply:
    def pause() -> None:
        stage.middle.set()
        stage.go.wait(PATIENCE_SECONDS)

    return answer(stage.form, pause=pause)


def pausing_before_the_end(stage: Stage) -> Reply:
    *events, last = replies.chat_events(WORDS)

    def chunks() -> Iterator[bytes]:
        yield b"".join(events)
        stage.middle.set()
        stage.go.wait(PATIENCE_SECONDS)
        yield last

    return Reply(headers=STREAM, chunks=chunks())


def talking_on(stage: Stage) -> Reply:
    """Far beyond any ceiling; a stream tells no usage."""
    words = [f" word{number}" for number in range(400)]
    if stage.form == "body":
        return Reply(body=replies.chat("".join(words), (5, 900)))
    return Reply(headers=STREAM, chunks=replies.chat_events(words, None))


def endless(stage: Stage) -> Reply:
    """Some text, then a word now and then, as long as anybody listens."""
    first, _ = halves(stage.form)

    def chunks() -> Iterator[bytes]:
        yield b"".join(first)
        stage.middle.set()
        while not stage.go.wait(0.1):
            yield b": still there\n\n" if stage.form == "stream" else b" "

    return Reply(headers=STREAM if stage.form == "stream" else JSON, chunks=chunks(), cut=True)


def thinking(stage: Stage) -> Reply:
    reply = answer(stage.form)
    reply.before = lambda: stage.go.wait(PATIENCE_SECONDS)
    return reply


def silent(stage: Stage) -> Reply:
    return Reply(raw=b"", before=lambda: stage.go.wait(PATIENCE_SECONDS))


def refusal(number: int) -> Callable[[Stage], Reply]:
    return lambda _stage: Reply(status=number, body=ERROR)


def only_the_prompt(stage: Stage) -> Reply:
    usage = {"prompt_tokens": 850}
    if stage.form == "body":
        return Reply(body=replies.chat("".join(WORDS), None, usage=usage))
    events = replies.chat_events(WORDS)
    told = re.sub(rb'"usage":\{[^}]*\}', b'"usage":' + replies.encode(usage), events[-2])
    return Reply(headers=STREAM, chunks=[*events[:-2], told, events[-1]])


def own_price(stage: Stage) -> Reply:
    usage = replies.chat_usage(replies.USED) | {"cost": 0.00125}
    if stage.form == "body":
        return Reply(body=replies.chat("".join(WORDS), None, usage=usage))
    events = replies.chat_events(WORDS)
    told = re.sub(rb'"usage":\{[^}]*\}', b'"usage":' + replies.encode(usage), events[-2])
    return Reply(headers=STREAM, chunks=[*events[:-2], told, events[-1]])


def twice(_stage: Stage) -> Reply:
    events = replies.chat_events(WORDS)
    return Reply(headers=STREAM, chunks=[*events[:-1], *events[-2:]])


def without_an_end(_stage: Stage) -> Reply:
    return Reply(headers=STREAM, chunks=replies.chat_events(WORDS)[:-3])


def nothing(stage: Stage) -> Reply:
    return Reply(body=b"") if stage.form == "body" else Reply(headers=STREAM, chunks=[])


def an_error(stage: Stage) -> Reply:
    return Reply(body=ERROR) if stage.form == "body" else Reply(headers=STREAM, chunks=[b"data: " + ERROR + b"\n\n"])


def an_error_in_the_middle(stage: Stage) -> Reply:
    return Reply(headers=STREAM, chunks=[*halves(stage.form)[0], b"data: " + ERROR + b"\n\n"])


def no_json(stage: Stage) -> Reply:
    text = b"<html>Something went wrong</html>"
    return Reply(body=text) if stage.form == "body" else Reply(headers=STREAM, chunks=[b"data: " + text + b"\n\n"])


def cut_in_the_middle(stage: Stage) -> Reply:
    return Reply(headers=STREAM if stage.form == "stream" else JSON, chunks=halves(stage.form)[0], cut=True)


def silent_in_the_middle(stage: Stage) -> Reply:
    reply = pausing(stage)
    reply.cut = True
    return reply


def promising(stage: Stage, difference: int) -> Reply:
    body = replies.chat("".join(WORDS))
    return Reply(raw=raw_head(stage.form, b"content-length: %d" % (len(body) + difference)) + body)


SCRIPTS: dict[str, Callable[[Stage], Reply]] = {
    "answers": lambda stage: answer(stage.form),
    "answers without usage": lambda stage: answer(stage.form, None),
    "reports zero": lambda stage: answer(stage.form, (0, 0)),
    "reports much": lambda stage: answer(stage.form, (10_000, 20_000)),
    "reports twice": twice,
    "reports the prompt only": only_the_prompt,
    "names its price": own_price,
    "forgets the end": without_an_end,
    "answers the other form": lambda stage: answer(OTHER[stage.form]),
    "answers nothing": nothing,
    "answers an error": an_error,
    "errs in the middle": an_error_in_the_middle,
    "answers no JSON": no_json,
    "hangs up at once": lambda _stage: Reply(raw=b""),
    "speaks no HTTP": lambda _stage: Reply(raw=b"220 mail.example ESMTP\r\n"),
    "hangs up after the head": lambda stage: Reply(raw=raw_head(stage.form, b"transfer-encoding: chunked")),
    "hangs up in the middle": cut_in_the_middle,
    "promises more than it sends": lambda stage: promising(stage, 100),
    "promises less than it sends": lambda stage: promising(stage, -100),
    "is silent": silent,
    "falls silent": silent_in_the_middle,
    "thinks": thinking,
    "pauses in the middle": pausing,
    "pauses before the end": pausing_before_the_end,
    "does not end": endless,
    "talks on": talking_on,
} | {f"refuses with {number}": refusal(number) for number in (302, 400, 401, 402, 403, 404, 422, 429, 500, 503)}


def acting(name: str, stage: Stage) -> Callable[[Any], Reply]:
    """For `FakeUpstream.reply`."""

    def reply(asked: Any) -> Reply:
        if asked.path.startswith(FALLBACK_PATH):
            return SCRIPTS["answers"](stage)
        stage.asked.set()
        return SCRIPTS[name](stage)

    return reply

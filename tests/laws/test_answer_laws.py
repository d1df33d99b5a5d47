"""A whole reply that is one text goes a short way. It ends where the long one does, to the byte and to the unit."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import asdict

from proxyapi.dialects.answer import Answer, answer_in
from proxyapi.dialects.channel import Meter
from proxyapi.dialects.codec import Asked, Encoded, TargetModel, Terms
from proxyapi.dialects.codecs import CODECS
from proxyapi.dialects.model import Event, Finish, JsonObject, JsonSchema, Metered, Request, Start
from proxyapi.dialects.reshape import Reshape
from proxyapi.dialects.translation import Translation
from proxyapi.usage import Unit

UNITS = st.sampled_from([Unit.CACHE_READ, Unit.REASONING, Unit.WEB_SEARCH, Unit.CACHE_WRITE_5M])
USAGES: Any = st.builds(
    lambda into, out, more: {Unit.INPUT: into, Unit.OUTPUT: out} | more,
    st.integers(0, 2_000),
    st.integers(0, 2_000),
    st.dictionaries(UNITS, st.integers(1, 50), max_size=2),
)
REASONS: Any = st.sampled_from(["end", "length", "stop_sequence", "content_filter", "refusal", "tool_use"])
ANSWERS: Any = st.builds(
    lambda name, model, at, tier, text, reason, usage: Answer(
        Start(id=name, model=model, created_at=at, tier=tier), text, Finish(reason=reason), Metered(usage)
    ),
    st.sampled_from(["r-1", "msg_2"]),
    st.sampled_from(["m", "gpt-4o-mini"]),
    st.none() | st.integers(1, 2**31),
    st.sampled_from(["", "default", "priority"]),
    st.text(min_size=1, max_size=40),
    REASONS,
    USAGES,
)
FORMATS: Any = st.sampled_from(
    [None, None, JsonObject(), JsonSchema(schema=Raw(b'{"enum":["a"]}'), media_type="text/x.enum")]
)
STOPS: Any = st.sampled_from([(), (), ("a",), ("the end",)])


def asked(request: Request, *, tells_cost: bool = True) -> Asked:
    return Asked(
        request=request,
        model="asked/model",
        reply_id="R0",
        created_at=1_790_000_000,
        seal=lambda state: "sealed",
        cost=lambda usage: f"0.{sum(usage.values()):09d}" if tells_cost else "",
        currency="USD",
    )


def body_of(provider: str, answer: Answer) -> bytes:
    """The answer as a provider of that dialect sends it."""
    encoder = CODECS[provider].encoder(stream=False, asked=asked(Request(model="m"), tells_cost=False))
    return encoder.feed(answer.events()) + encoder.close()


def terms(client: str, request: Request, stop: tuple[str, ...]) -> Terms:
    return Terms(
        request=request,
        encoded=Encoded(body=b"", stop=stop),
        reply_id="R0",
        origin="o",
        provider="Acme",
        linear=client in ("anthropic", "gemini"),
        start_id="msg_R0" if client == "anthropic" else "",
    )


Told = tuple[bytes, dict[str, Any], list[Event]]
"""What the client gets, what was metered, and what an observer saw besides the usage."""


def told(client: str, provider: str, body: bytes, request: Request, stop: tuple[str, ...]) -> Told:
    meter, seen = Meter(), list[Event]()
    channel = Translation(
        CODECS[provider].decoder(stream=False, target=TargetModel(model="m")),
        terms(client, request, stop),
        CODECS[client].encoder(stream=False, asked=asked(request)),
        meter,
        whole=True,
        stream=False,
        count=lambda meter: {},
        request_id="q",
        observe=seen.extend,
    )
    out = channel.feed(body) + channel.close()
    assert channel.failed is None
    assert channel.sent
    return out, asdict(meter), [event for event in seen if not isinstance(event, Metered)]


def told_by_events(client: str, provider: str, body: bytes, request: Request, stop: tuple[str, ...]) -> Told:
    meter = Meter(body_bytes=len(body), finished=True)
    decoder = CODECS[provider].decoder(stream=False, target=TargetModel(model="m"))
    events = [*decoder.feed(body), *decoder.close()]
    meter.absorb(events)
    shaper = Reshape(terms(client, request, stop))
    shown = [*shaper.feed(events), *shaper.close(finished=True)]
    encoder = CODECS[client].encoder(stream=False, asked=asked(request))
    out = encoder.feed(shown) + encoder.close()
    return out, asdict(meter), [event for event in shown if not isinstance(event, Metered)]


@pytest.mark.parametrize("provider", CODECS)
@pytest.mark.parametrize("client", CODECS)
@given(answer=ANSWERS, form=FORMATS, stop=STOPS)
def test_the_short_way_of_a_reply_ends_where_the_long_one_does(
    client: str, provider: str, answer: Answer, form: Any, stop: tuple[str, ...]
) -> None:
    request = Request(model="m", format=form)
    body = body_of(provider, answer)
    assert told(client, provider, body, request, stop) == told_by_events(client, provider, body, request, stop)


@pytest.mark.parametrize("provider", CODECS)
def test_a_usual_reply_of_every_dialect_goes_the_short_way(provider: str) -> None:
    answer = Answer(Start(id="r", model="m"), "Hello", Finish(reason="end"), Metered({Unit.INPUT: 3, Unit.OUTPUT: 4}))
    decoder = CODECS[provider].decoder(stream=False, target=TargetModel(model="m"))
    decoder.feed(body_of(provider, answer))
    found = answer_in(decoder.close())
    assert found is not None
    assert (found.text, found.finish.reason, found.metered.usage) == ("Hello", "end", answer.metered.usage)

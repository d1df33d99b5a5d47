"""OpenAI's `audio/speech`: a sound file as long as the text takes to say, whole or as events."""

from __future__ import annotations

import base64

from proxyapi.sandbox import sounds
from proxyapi.sandbox.reading import MISSING, Refused, as_text
from proxyapi.sandbox.reply import EVENTS, Reply, data_event
from proxyapi.sandbox.request import Request
from proxyapi.sandbox.turn import bare

_INPUT_CHARACTERS_MAX = 4_096
_AUDIO_TOKENS_PER_SECOND = 20
_SPEED_MIN, _SPEED_MAX = 0.25, 4.0


def reply(request: Request) -> Reply:
    body = request.body
    request.required_model()
    text = as_text(body.get("input"))
    if not text:
        raise Refused(400, "Missing required parameter: 'input'.", param="input", code=MISSING)
    if len(text) > _INPUT_CHARACTERS_MAX:
        message = f"Invalid 'input': string too long. Expected a string with maximum length {_INPUT_CHARACTERS_MAX}."
        raise Refused(400, message, param="input", code="string_above_max_length")
    if not body.get("voice"):
        raise Refused(400, "Missing required parameter: 'voice'.", param="voice", code=MISSING)
    kind = as_text(body.get("response_format"), "mp3")
    if kind not in sounds.FORMATS:
        allowed = ", ".join(f"'{name}'" for name in sounds.FORMATS)
        raise Refused(400, f"Invalid value: '{kind}'. Supported values are: {allowed}.", param="response_format")
    speed = body.get("speed", 1.0)
    if not isinstance(speed, int | float) or not _SPEED_MIN <= speed <= _SPEED_MAX:
        raise Refused(400, f"Invalid 'speed': expected {_SPEED_MIN} to {_SPEED_MAX}.", param="speed")
    seconds = sounds.seconds_of(text, float(speed))
    pieces = tuple(sounds.speak(kind, seconds))
    if as_text(body.get("stream_format"), "audio") != "sse":
        return Reply(status=200, content_type=sounds.MEDIA_TYPES[kind], pieces=pieces, stream=True)
    if bare(request.model).startswith("tts-1"):
        raise Refused(400, "stream_format 'sse' is not supported by this model.", param="stream_format")
    events = [data_event({"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()}) for piece in pieces]
    input_tokens = request.count(text) + request.count(as_text(body.get("instructions")) or " ")
    output_tokens = int(seconds * _AUDIO_TOKENS_PER_SECOND)
    done: dict[str, object] = {"type": "speech.audio.done"}
    if request.magic.kind != "nousage":
        done["usage"] = {
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "total_tokens": input_tokens + output_tokens,
        }
    return Reply(status=200, content_type=EVENTS, pieces=(*events, data_event(done)), stream=True)

"""OpenAI's `audio/transcriptions` and `audio/translations`: a fixed text, timed over the length of the upload."""

from __future__ import annotations

import io
import math
import re
import struct
from typing import NamedTuple

from tinytag import TinyTag, TinyTagException

from proxyapi.sandbox.chat import DONE
from proxyapi.sandbox.multipart import Form, Upload
from proxyapi.sandbox.reading import MISSING, JsonObject, Refused
from proxyapi.sandbox.reply import Reply, data_event, event_stream, json_reply
from proxyapi.sandbox.request import Request
from proxyapi.sandbox.script import pieces
from proxyapi.sandbox.turn import bare

UPLOAD_BYTES_MAX = 25 * 2**20
"""OpenAI's limit of a file."""
_AUDIO_TOKENS_PER_SECOND = 10
_BYTES_PER_SECOND_GUESSED = 4_000
"""32 kbit/s, for what has no header that is understood."""
_SEGMENT_SECONDS_MIN = 5.0
_SEGMENTS_MAX = 200
_SPEAKERS = ("A", "B")
_CYRILLIC = re.compile(r"[Ѐ-ӿ]")

_SENTENCES = {
    "ru": (
        "Это пример расшифровки из песочницы.",
        "Запись никто не слушал, но её длина посчитана честно.",
        "Настоящая модель записала бы то, что было сказано.",
    ),
    "en": (
        "This is an example transcript of the sandbox.",
        "Nobody has listened to the recording, but its length is measured.",
        "A real model would write down what has been said.",
    ),
}
_FORMATS = {
    "whisper": ("json", "text", "srt", "vtt", "verbose_json"),
    "diarize": ("json", "text", "diarized_json"),
    "gpt": ("json", "text"),
}


class Segment(NamedTuple):
    start: float
    end: float
    text: str


def duration_seconds(upload: Upload) -> float:
    """Length of the sound; Refused(400) if the file is empty."""
    if not upload.data:
        raise Refused(400, "The audio file is empty.", param="file")
    seconds = _wav_seconds(upload.data)
    if seconds is None:
        try:
            seconds = TinyTag.get(filename=upload.filename or None, file_obj=io.BytesIO(upload.data)).duration
        except (TinyTagException, struct.error, ValueError):
            seconds = None
    return seconds if seconds else len(upload.data) / _BYTES_PER_SECOND_GUESSED


def _wav_seconds(data: bytes) -> float | None:
    """From the header; the data chunk is not believed beyond the bytes that are there."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    at, byte_rate = 12, 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        if kind == b"fmt " and at + 20 <= len(data):
            (byte_rate,) = struct.unpack_from("<I", data, at + 16)
        if kind == b"data":
            return min(size, len(data) - at - 8) / byte_rate if byte_rate else None
        at += 8 + size + size % 2
    return None


def reply(request: Request) -> Reply:
    form = request.form
    if form is None:
        raise Refused(400, "The request must be multipart/form-data.")
    uploads = form.files.get("file")
    if not uploads:
        raise Refused(400, "Missing required parameter: 'file'.", param="file", code=MISSING)
    upload = uploads[0]
    model = bare(request.required_model())
    if len(upload.data) > UPLOAD_BYTES_MAX:
        message = f"Maximum content size limit ({UPLOAD_BYTES_MAX}) exceeded ({len(upload.data)} bytes read)"
        raise Refused(413, message)
    translate = request.path.endswith("translations")
    kind = _format(form, model)
    seconds = duration_seconds(upload)
    language = _language(form, translate)
    segments = _segments(seconds, _SENTENCES["ru" if language == "ru" else "en"])
    text = " ".join(segment.text for segment in segments)
    usage = _usage(request, model, text, seconds)
    if form.flag("stream") and not translate and not model.startswith("whisper"):
        return _stream(text, segments, usage, diarized=kind == "diarized_json")
    match kind:
        case "text":
            return Reply(status=200, content_type="text/plain; charset=utf-8", pieces=((text + "\n").encode(),))
        case "srt" | "vtt":
            return Reply(
                status=200, content_type="text/plain; charset=utf-8", pieces=(_subtitles(segments, kind).encode(),)
            )
        case "verbose_json":
            task = "translate" if translate else "transcribe"
            answer = _verbose(form, text, segments, seconds, language, task)
        case "diarized_json":
            answer = {"task": "transcribe", "duration": seconds, "text": text, "segments": _diarized(segments)}
        case _:
            answer = {"text": text}
    if usage and not translate:
        answer["usage"] = usage
    return json_reply(answer)


def _format(form: Form, model: str) -> str:
    kind = form.text("response_format", "json")
    family = "diarize" if "diarize" in model else "gpt" if "transcribe" in model else "whisper"
    allowed = _FORMATS[family]
    if kind not in allowed:
        names = ", ".join(f"'{name}'" for name in allowed)
        message = f"response_format '{kind}' is not compatible with model '{model}'. Use one of {names} instead."
        raise Refused(400, message, param="response_format", code="unsupported_value")
    return kind


def _language(form: Form, translate: bool) -> str:
    language = form.text("language")
    if translate:
        return "en"
    return language or ("ru" if _CYRILLIC.search(form.text("prompt")) else "en")


def _segments(seconds: float, sentences: tuple[str, ...]) -> list[Segment]:
    """The sentences in turn, one for each five seconds or so."""
    count = max(1, min(_SEGMENTS_MAX, int(seconds / _SEGMENT_SECONDS_MIN)))
    step = seconds / count
    return [
        Segment(round(at * step, 2), round((at + 1) * step, 2), sentences[at % len(sentences)]) for at in range(count)
    ]


def _usage(request: Request, model: str, text: str, seconds: float) -> JsonObject:
    if request.magic.kind == "nousage":
        return {}
    if "transcribe" not in model:
        return {"type": "duration", "seconds": math.ceil(seconds)}
    prompt = request.form.text("prompt") if request.form else ""
    text_tokens = request.count(prompt) if prompt else 0
    audio_tokens = math.ceil(seconds * _AUDIO_TOKENS_PER_SECOND)
    output_tokens = request.count(text)
    return {
        "type": "tokens",
        "total_tokens": text_tokens + audio_tokens + output_tokens,
        "input_tokens": text_tokens + audio_tokens,
        "input_token_details": {"text_tokens": text_tokens, "audio_tokens": audio_tokens},
        "output_tokens": output_tokens,
    }


def _verbose(form: Form, text: str, segments: list[Segment], seconds: float, language: str, task: str) -> JsonObject:
    wanted = form.fields.get("timestamp_granularities", ["segment"])
    names = {"ru": "russian", "en": "english"}
    answer: JsonObject = {
        "task": task,
        "language": names.get(language, language),
        "duration": round(seconds, 2),
        "text": text,
    }
    if "word" in wanted:
        words = []
        for segment in segments:
            said = segment.text.split()
            step = (segment.end - segment.start) / len(said)
            words += [
                {
                    "word": word.strip(".,"),
                    "start": round(segment.start + at * step, 2),
                    "end": round(segment.start + (at + 1) * step, 2),
                }
                for at, word in enumerate(said)
            ]
        answer["words"] = words
    if "segment" in wanted:
        answer["segments"] = [
            {
                "id": at,
                "seek": int(segment.start * 100),
                "start": segment.start,
                "end": segment.end,
                "text": " " + segment.text,
                "tokens": [50364 + at],
                "temperature": 0.0,
                "avg_logprob": -0.25,
                "compression_ratio": 1.1,
                "no_speech_prob": 0.01,
            }
            for at, segment in enumerate(segments)
        ]
    return answer


def _diarized(segments: list[Segment]) -> list[JsonObject]:
    return [
        {
            "type": "transcript.text.segment",
            "id": f"seg_{at}",
            "start": segment.start,
            "end": segment.end,
            "text": " " + segment.text,
            "speaker": _SPEAKERS[at % len(_SPEAKERS)],
        }
        for at, segment in enumerate(segments)
    ]


def _subtitles(segments: list[Segment], kind: str) -> str:
    def clock(seconds: float) -> str:
        milliseconds = round(seconds * 1_000)
        minutes, milliseconds = divmod(milliseconds, 60_000)
        whole = f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1_000:02}"
        return f"{whole}{',' if kind == 'srt' else '.'}{milliseconds % 1_000:03}"

    lines = ["WEBVTT", ""] if kind == "vtt" else []
    for number, segment in enumerate(segments, 1):
        if kind == "srt":
            lines.append(str(number))
        lines += [f"{clock(segment.start)} --> {clock(segment.end)}", segment.text, ""]
    return "\n".join(lines) + "\n"


def _stream(text: str, segments: list[Segment], usage: JsonObject, *, diarized: bool) -> Reply:
    if diarized:
        events = [data_event(segment) for segment in _diarized(segments)]
    else:
        events = [data_event({"type": "transcript.text.delta", "delta": word}) for word in pieces(text)]
    done: JsonObject = {"type": "transcript.text.done", "text": text}
    if usage:
        done["usage"] = usage
    return event_stream([*events, data_event(done)], tail=DONE)

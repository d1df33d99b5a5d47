"""Gemini generateContent: a client's request to a canonical one. https://ai.google.dev/api/generate-content

Model and stream stand in the path.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from proxyapi.dialects.codec import Unseal
from proxyapi.dialects.fields import CHOICES_MAX, decode, named, whole, within
from proxyapi.dialects.gemini.contents_in import Contents, Instruction, conversation, detail, instruction
from proxyapi.dialects.gemini.schema import from_gemini
from proxyapi.dialects.gemini.spelling import camel_case
from proxyapi.dialects.gemini.tools_in import tool_choice, tool_config_extras, tools
from proxyapi.dialects.model import (
    ABSENT,
    NO_CACHE,
    NO_STORAGE,
    AudioOut,
    CacheOptions,
    Effort,
    Format,
    JsonObject,
    JsonSchema,
    PlainText,
    Reasoning,
    Request,
    Sampling,
    Storage,
    Tier,
    given,
)
from proxyapi.dialects.stream import lenient
from proxyapi.errors import InvalidRequest

Number = int | float | str | None
"""Protocol buffers may write numbers as texts."""
Modality = Literal["text", "audio", "image", "video"]

_MODALITIES: dict[str, Modality] = {name.upper(): name for name in get_args(Modality)}
_EFFORTS: dict[str, Effort] = {
    "MINIMAL": "minimal",
    "LOW": "low",
    "MEDIUM": "medium",
    "HIGH": "high",
    "XHIGH": "xhigh",
}
_TIERS: dict[str, Tier] = {"flex": "flex", "standard": "standard", "priority": "priority"}
_DEFINING = ("imageConfig", "continuationToken", "generationOutputConfig", "responseFormat")
"""Settings that change what the answer is, and that no other dialect has."""
_LOGPROBS_MAX = 20


class _Thinking(Struct, rename="camel"):
    include_thoughts: bool | None = None
    thinking_budget: Number = None
    thinking_level: str | None = None


class _Voice(Struct, rename="camel"):
    voice_name: str | None = None


class _VoiceConfig(Struct, rename="camel"):
    prebuilt_voice_config: _Voice | None = None


class _Speech(Struct, rename="camel"):
    voice_config: _VoiceConfig | None = None


class _Config(Struct, rename="camel"):
    max_output_tokens: Number = None
    candidate_count: Number = None
    stop_sequences: tuple[str, ...] | None = None
    temperature: Number = None
    top_p: Number = None
    top_k: Number = None
    frequency_penalty: Number = None
    presence_penalty: Number = None
    seed: Number = None
    response_logprobs: bool | None = None
    logprobs: Number = None
    thinking_config: _Thinking | None = None
    response_mime_type: str | None = None
    response_schema: Raw = ABSENT
    response_json_schema: Raw = ABSENT
    response_modalities: list[str] | None = None
    speech_config: Raw = ABSENT
    media_resolution: str | None = None


class _Request(Struct, rename="camel"):
    contents: Contents = None
    system_instruction: Instruction = None
    generation_config: Raw = ABSENT
    tools: list[dict[str, Raw]] | dict[str, Raw] | None = None
    tool_config: Raw = ABSENT
    cached_content: str | None = None
    service_tier: str | None = None
    labels: dict[str, str] | None = None
    store: bool | None = None
    safety_settings: Raw = ABSENT
    model: str | None = None
    """The path names the model; what stands here is not looked at."""


class _UsualConfig(_Config, forbid_unknown_fields=True, rename="camel"):
    """Nothing that only this dialect knows."""


class _UsualRequest(_Request, forbid_unknown_fields=True, rename="camel"):
    """Nothing that only this dialect knows."""


class _Filter(Struct):
    threshold: str | None = None


_OFF = ("BLOCK_NONE", "OFF")
_FILTERS: msgspec.json.Decoder[list[_Filter]] = msgspec.json.Decoder(list[_Filter])
_REQUEST = msgspec.json.Decoder(_Request)
_USUAL_REQUEST = msgspec.json.Decoder(_UsualRequest)
_CONFIG = msgspec.json.Decoder(_Config)
_USUAL_CONFIG = msgspec.json.Decoder(_UsualConfig)
_SPEECH = msgspec.json.Decoder(_Speech)
_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_NO_SETTINGS = Raw(b"{}")
_KNOWN: dict[type[Struct], frozenset[str]] = {
    struct: frozenset(struct.__struct_encode_fields__) for struct in (_Request, _Config)
}
"""What is read of an object, as it is spelled."""


def decode_request(body: bytes, *, model: str | None, stream: bool, unseal: Unseal) -> Request:
    """InvalidRequest names the field."""
    body = camel_case(body)
    extra: dict[str, Raw] = {}
    wire: _Request | None = lenient(_USUAL_REQUEST, body)
    if wire is None:
        wire = decode(_REQUEST, body)
        extra |= _unread(body, _Request)
    if wire.safety_settings is not ABSENT:
        extra |= _filters(wire.safety_settings)
    settings = wire.generation_config if given(wire.generation_config) else _NO_SETTINGS
    config: _Config | None = lenient(_USUAL_CONFIG, settings)
    if config is None:
        config = within(_CONFIG, settings, "generationConfig")
        extra |= _only_here(settings)
    if wire.tool_config is not ABSENT:
        extra |= tool_config_extras(wire.tool_config)
    request = Request(
        model=named(model),
        system=instruction(wire.system_instruction),
        messages=conversation(wire.contents, unseal),
        tools=tuple(tools(wire.tools)) if wire.tools else (),
        tool_choice=tool_choice(wire.tool_config) if wire.tool_config is not ABSENT else None,
        stream=stream,
        output_tokens_max=whole("generationConfig.maxOutputTokens", config.max_output_tokens),
        stop=config.stop_sequences or (),
        choices=whole("generationConfig.candidateCount", config.candidate_count, least=1, most=CHOICES_MAX) or 1,
        sampling=_sampling(config),
        logprobs=_logprobs(config) if config.response_logprobs else None,
        reasoning=_reasoning(config.thinking_config) if config.thinking_config is not None else None,
        format=_format(config),
        extra=extra,
    )
    # Apart: a call of more than 15 keywords makes a dictionary of them first, which costs more than all the others.
    if wire.cached_content or wire.service_tier or wire.labels or wire.store is not None:
        request = _with_account(request, wire)
    if config.response_modalities or config.media_resolution or config.speech_config is not ABSENT:
        request = _with_media(request, config)
    return request


def _with_account(request: Request, wire: _Request) -> Request:
    """With what concerns the account at the provider."""
    return replace(
        request,
        cache=CacheOptions(content=wire.cached_content) if wire.cached_content else NO_CACHE,
        storage=Storage(store=wire.store) if wire.store is not None else NO_STORAGE,
        metadata=wire.labels or {},
        tier=_TIERS.get(wire.service_tier.lower()) if wire.service_tier else None,
    )


def _with_media(request: Request, config: _Config) -> Request:
    """With what is asked of sounds and pictures."""
    return replace(
        request,
        modalities=_modalities(config.response_modalities) if config.response_modalities else (),
        audio=_audio(config.speech_config),
        media_detail=detail(config.media_resolution) if config.media_resolution else None,
    )


def _filters(raw: Raw) -> dict[str, Raw]:
    """A filter that is off says nothing that others would not do."""
    if not given(raw) or all(one.threshold in _OFF for one in within(_FILTERS, raw, "safetySettings")):
        return {}
    return {"safetySettings": raw}


def _unread(body: bytes | Raw, struct: type[Struct]) -> dict[str, Raw]:
    """What a struct has no field for: only this dialect has it."""
    known = _KNOWN[struct]
    return {name: value for name, value in _MEMBERS.decode(body).items() if name not in known and given(value)}


def _only_here(settings: Raw) -> dict[str, Raw]:
    """Settings that only this dialect knows, by their path. InvalidRequest: one without which it is another answer."""
    members = _unread(settings, _Config)
    for name in _DEFINING:
        if name in members:
            param = f"generationConfig.{name}"
            raise InvalidRequest(f"{param} cannot be translated: no other dialect has it", param=param)
    return {f"generationConfig.{name}": value for name, value in members.items()}


# --- generationConfig ---------------------------------------------------------------------------------------------


def _sampling(config: _Config) -> Sampling:
    temperature, top_p, top_k = config.temperature, config.top_p, config.top_k
    frequency, presence = config.frequency_penalty, config.presence_penalty
    return Sampling(
        temperature=None if temperature is None else _real("temperature", temperature),
        top_p=None if top_p is None else _real("topP", top_p),
        top_k=None if top_k is None else int(_real("topK", top_k)),
        frequency_penalty=None if frequency is None else _real("frequencyPenalty", frequency),
        presence_penalty=None if presence is None else _real("presencePenalty", presence),
        seed=whole("generationConfig.seed", config.seed, least=-(2**31)),
    )


def _real(name: str, value: float | str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        param = f"generationConfig.{name}"
        raise InvalidRequest(f"Invalid value for {param}: expected a number", param=param)
    return number


def _logprobs(config: _Config) -> int:
    return whole("generationConfig.logprobs", config.logprobs, most=_LOGPROBS_MAX) or 0


def _reasoning(wire: _Thinking) -> Reasoning | None:
    if wire == _Thinking():
        return None
    level = (wire.thinking_level or "").upper()
    if level and level != "THINKING_LEVEL_UNSPECIFIED" and level not in _EFFORTS:
        param = "generationConfig.thinkingConfig.thinkingLevel"
        raise InvalidRequest(f"Invalid value for {param}: {wire.thinking_level!r}", param=param)
    shown = wire.include_thoughts
    return Reasoning(
        effort=_EFFORTS.get(level),
        budget_tokens=whole("generationConfig.thinkingConfig.thinkingBudget", wire.thinking_budget, least=-1),
        show=None if shown is None else "auto" if shown else "none",
    )


def _format(config: _Config) -> Format | None:
    schema = config.response_json_schema
    if not given(schema) and given(config.response_schema):
        schema = from_gemini(config.response_schema)
    kind = config.response_mime_type
    if given(schema):
        return JsonSchema(schema=schema, media_type="text/x.enum" if kind == "text/x.enum" else "application/json")
    match kind:
        case None | "":
            return None
        case "application/json":
            return JsonObject()
        case _:
            return PlainText(kind)


def _modalities(wire: list[str]) -> tuple[Modality, ...]:
    """Asked outputs; text alone is what everybody gets."""
    words = [word.upper() for word in wire]
    for word in words:
        if word not in _MODALITIES and word != "MODALITY_UNSPECIFIED":
            param = "generationConfig.responseModalities"
            raise InvalidRequest(f"Invalid value for {param}: {word!r}", param=param)
    found = tuple(_MODALITIES[word] for word in words if word in _MODALITIES)
    return () if set(found) <= {"text"} else found


def _audio(raw: Raw) -> AudioOut | None:
    if not given(raw):
        return None
    voice = within(_SPEECH, raw, "generationConfig.speechConfig").voice_config
    prebuilt = voice.prebuilt_voice_config if voice else None
    return AudioOut(voice=prebuilt.voice_name or "" if prebuilt else "", native=raw)

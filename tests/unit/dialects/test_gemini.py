"""Gemini generateContent: what is read of a request, and what a reply costs."""

import json

import pytest
from msgspec.structs import replace

from proxyapi.dialects import DIALECTS
from proxyapi.dialects.call import AudioInput, DocumentInput, ImageInput, VideoInput
from proxyapi.errors import InvalidRequest
from proxyapi.usage import Unit

MODEL = {"model": "gemini-3-flash"}


@pytest.mark.parametrize("snake", [False, True])
def test_both_spellings_of_every_field_are_read(read, snake):
    names = {
        "systemInstruction": "system_instruction",
        "inlineData": "inline_data",
        "mimeType": "mime_type",
        "generationConfig": "generation_config",
        "maxOutputTokens": "max_output_tokens",
        "candidateCount": "candidate_count",
        "functionDeclarations": "function_declarations",
        "googleSearch": "google_search",
        "responseModalities": "response_modalities",
        "functionResponse": "function_response",
        "functionCall": "function_call",
        "urlContext": "url_context",
        "fileData": "file_data",
        "fileUri": "file_uri",
        "codeExecution": "code_execution",
    }
    file = "https://generativelanguage.googleapis.com/v1beta/files/abc"
    text = json.dumps(
        {
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [
                {
                    "role": "user",
                    "parts": [
                        {"text": "Hi"},
                        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
                        {"inlineData": {"mimeType": "audio/wav", "data": "UklG"}},
                        {"fileData": {"mimeType": "video/mp4", "fileUri": file}},
                        {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
                    ],
                },
                {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a": 1}}}]},
                {
                    "parts": [
                        {
                            "functionResponse": {
                                "name": "f",
                                "response": {"r": 2},
                                "parts": [{"inlineData": {"mimeType": "image/png", "data": "BBBB"}}],
                            }
                        }
                    ]
                },
            ],
            "tools": [
                {"functionDeclarations": [{"name": "f"}]},
                {"googleSearch": {}},
                {"urlContext": {}},
                {"codeExecution": None},
            ],
            "generationConfig": {"maxOutputTokens": "64", "candidateCount": 2, "responseModalities": ["TEXT", "IMAGE"]},
        }
    )
    if snake:
        for camel, other in names.items():
            text = text.replace(f'"{camel}"', f'"{other}"')
    call = read("gemini", text.encode(), **MODEL, stream=True)
    assert call.prompt.texts == (
        "Be brief.",
        "Hi",
        json.dumps({"name": "f", "args": {"a": 1}}, separators=(",", ":")),
        '{"name":"f","response":{"r":2}}',
    )
    assert call.prompt.media == (
        ImageInput("AAAA"),
        AudioInput("UklG", "audio/wav"),
        VideoInput("", "video/mp4"),
        DocumentInput("JVBE", "application/pdf"),
        ImageInput("BBBB"),
    )
    assert (call.model, call.stream, call.choices, call.output_tokens_max) == ("gemini-3-flash", True, 2, 64)
    assert call.output_modalities == ("image",)
    assert [tool.kind for tool in call.server_tools] == ["web_search", "web_fetch"]
    assert call.item_references == (file,)
    assert call.prompt.messages == 4


def test_contents_may_be_text_or_one_object(read):
    assert read("gemini", {"contents": "Hi"}, **MODEL).prompt.texts == ("Hi",)
    assert read("gemini", {"contents": {"parts": {"text": "Hi"}}}, **MODEL).prompt.texts == ("Hi",)


@pytest.mark.parametrize(
    "text",
    [
        '{"contents":[],"generationConfig":{"maxOutputTokens":1,"maxOutputTokens":9}}',
        '{"contents":[],"generationConfig":{"maxOutputTokens":1,"max_output_tokens":9}}',
        '{"contents":[],"generationConfig":{"maxOutputTokens":1},"generation_config":{"maxOutputTokens":9}}',
        '{"contents":[],"generationConfig":{"maxOutputTokens":1},"generationConfig":{"maxOutputTokens":9}}',
        '{"contents":[],"generationConfig":{"maxOutputTokens":1,"max\\u004futputTokens":9}}',
        '{"contents":[],"system_instruction":null,"systemInstruction":null}',
    ],
)
def test_a_field_that_is_given_twice_is_refused(read, text):
    with pytest.raises(InvalidRequest, match="given twice"):
        read("gemini", text.encode(), **MODEL)


@pytest.mark.parametrize("value", [-1, 10**30, "x", 1.5])
def test_an_absurd_ceiling_is_refused_by_name(read, value):
    with pytest.raises(InvalidRequest) as refused:
        read("gemini", {"contents": [], "generationConfig": {"maxOutputTokens": value}}, **MODEL)
    assert refused.value.param == "generationConfig.maxOutputTokens"


@pytest.mark.parametrize(
    "body",
    [
        {"contents": [{"parts": [{"text": "Привет"}]}]},
        {"contents": [{"role": "user", "parts": [{"text": "a"}, {"text": ""}]}, {"role": "model", "parts": []}]},
        {
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [{"role": "user", "parts": [{"text": "a"}]}],
            "generationConfig": {
                "maxOutputTokens": 7,
                "temperature": 1,
                "topP": 0.5,
                "topK": 3,
                "stopSequences": ["x"],
            },
        },
        {"contents": [{"parts": [{"text": "a"}]}], "generationConfig": {}},
    ],
)
@pytest.mark.parametrize("layout", [None, 1])
def test_a_usual_request_is_read_the_same_with_and_without_something_unusual(body, layout):
    def read(body):
        data = json.dumps(body, indent=layout, ensure_ascii=False).encode()
        return replace(DIALECTS["gemini"].read(data, model="m", stream=True), prompt_bytes=0, plain=False)

    assert read(body) == read(body | {"safetySettings": []})


def test_the_body_is_never_changed():
    text = b'{"contents":[],"model":"other"}'
    dialect = DIALECTS["gemini"]
    assert dialect.patch(text, dialect.read(text, model="a"), model="b") is text


def test_embeddings_and_counts_are_read(read):
    one = read("gemini_embed", {"content": {"parts": [{"text": "a"}]}}, **MODEL)
    many = read("gemini_embed", {"requests": [{"content": {"parts": [{"text": t}]}} for t in "ab"]}, **MODEL)
    assert (one.prompt.texts, many.prompt.texts, many.choices) == (("a",), ("a", "b"), 2)
    nested = {"generateContentRequest": {"model": "models/x", "contents": [{"parts": [{"text": "a"}]}]}}
    count = read("gemini_count", nested, **MODEL)
    assert (count.operation, count.prompt.texts) == ("count_tokens", ("a",))


USAGE = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 40,
    "toolUsePromptTokenCount": 20,
    "candidatesTokenCount": 30,
    "thoughtsTokenCount": 12,
    "totalTokenCount": 162,
    "serviceTier": "standard",
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 70}, {"modality": "AUDIO", "tokenCount": 30}],
    "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 10}, {"modality": "TEXT", "tokenCount": 30}],
    "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}, {"modality": "IMAGE", "tokenCount": 7}],
}
UNITS = {
    Unit.INPUT: 60,
    Unit.CACHE_READ: 30,
    Unit.CACHE_READ_AUDIO: 10,
    Unit.INPUT_AUDIO: 20,
    Unit.OUTPUT: 18,
    Unit.OUTPUT_AUDIO: 5,
    Unit.OUTPUT_IMAGE: 7,
    Unit.REASONING: 12,
}
SEARCHED = {"webSearchQueries": ["a", "b", ""], "searchEntryPoint": {}}


def chunk(*parts, reason=None, **fields):
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    candidate |= {"finishReason": reason} if reason else {}
    grounding = fields.pop("grounding", None)
    candidate |= {"groundingMetadata": grounding} if grounding else {}
    return {"candidates": [candidate], "modelVersion": "gemini-x", "responseId": "r1", **fields}


PARTS = (
    {"text": "hm", "thought": True},
    {"text": "При"},
    {"text": "вет"},
    {"functionCall": {"name": "f", "args": {"a": 1}}},
    {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
)
CHUNKS = (
    chunk(PARTS[0], PARTS[1], usageMetadata={"promptTokenCount": 90, "serviceTier": "standard"}),
    chunk(PARTS[2]),
    chunk(PARTS[3], PARTS[4], reason="STOP", grounding=SEARCHED, usageMetadata=USAGE),
)


def all_forms(events):
    whole = chunk(*PARTS, reason="STOP", grounding=SEARCHED, usageMetadata=USAGE)
    array = ("[" + "\n,\r\n".join(json.dumps(c, indent=1, ensure_ascii=False) for c in CHUNKS) + "\n]\n").encode()
    return {"sse": events(*CHUNKS), "array": array, "body": json.dumps(whole).encode()}


@pytest.mark.parametrize("size", [1 << 20, 7, 1])
@pytest.mark.parametrize("form", ["sse", "array", "body"])
def test_every_form_of_a_reply_meters_alike(metered, events, form, size):
    data = all_forms(events)[form]
    meter = metered("gemini", data, body=form == "body", size=size, model="gemini-3-flash")
    assert meter.usage == UNITS | {Unit.WEB_SEARCH: 2}
    assert "".join("".join(meter.texts).split()) == 'hmПриветf{"a":1}{"queries":["a","b"]}'
    assert (meter.reply_id, meter.model, meter.tier) == ("r1", "gemini-x", "standard")
    assert (meter.finished, meter.reason, meter.choices, meter.data_characters) == (True, "STOP", 1, 4)


def test_older_models_pay_a_search_once_per_prompt(metered, events):
    meter = metered("gemini", all_forms(events)["sse"], model="models/gemini-2.5-flash")
    assert meter.usage[Unit.WEB_SEARCH] == 1


def test_a_blocked_prompt_is_a_proper_end_without_output(metered):
    wire = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5}}
    meter = metered("gemini", json.dumps(wire).encode(), body=True)
    assert (meter.finished, meter.usage, meter.texts) == (True, {Unit.INPUT: 5, Unit.OUTPUT: 0}, [])


@pytest.mark.parametrize("form", ["sse", "array", "body"])
def test_an_error_inside_a_200_is_a_failure(metered, events, form):
    wire = {"error": {"code": 503, "message": "boom", "status": "UNAVAILABLE"}}
    data = {"sse": events(wire), "array": json.dumps([wire]).encode(), "body": json.dumps(wire).encode()}[form]
    meter = metered("gemini", data, body=form == "body")
    assert (meter.failed.message, meter.failed.kind, meter.finished) == ("boom", "overloaded", False)


def test_brackets_and_escapes_inside_texts_do_not_end_an_element(metered):
    text = '}]{["\\" \\\\'
    data = json.dumps([chunk({"text": text}, reason="STOP", usageMetadata=USAGE)]).encode()
    for size in range(1, 40):
        assert metered("gemini", data, size=size).texts == [text]


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/a"]}}]},
        {"tools": {"file_search": {"file_search_store_names": ["fileSearchStores/a"]}}},
        {"contents": [{"parts": [{"fileData": {"fileUri": "files/a"}}]}]},
        {"cached_content": "cachedContents/a"},
    ],
)
def test_objects_of_the_account_at_the_provider_are_seen_wherever_they_are_named(read, fields):
    (seen,) = read("gemini", fields, **MODEL).item_references
    assert seen.endswith("/a")

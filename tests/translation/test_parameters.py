"""Statements 66-73: ceilings, stops, knobs, and answers of a given form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from proxyapi_fakes_pairs import DIALECTS, WAYS, Pair
from proxyapi_fakes_wires import (
    ANSWERS,
    FUNCTIONS,
    message,
    output_text,
    response,
    text,
    tool_use,
)

from proxyapi.dialects.codec import Untranslatable

SCHEMA: Any = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
CLOSED = SCHEMA | {"additionalProperties": False}
both = pytest.mark.parametrize("sse", [True, False], ids=["stream", "body"])


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_both_names_of_the_ceiling_are_read_and_the_one_that_the_model_knows_is_sent(field: str) -> None:
    """Statement 66. `max_tokens` vs `max_completion_tokens` by model; both accepted in."""
    assert Pair("C->M").sent({field: 77})["max_tokens"] == 77
    assert Pair("C->R").sent({field: 77})["max_output_tokens"] == 77
    assert Pair("C->G").sent({field: 77})["generationConfig"]["maxOutputTokens"] == 77
    for wanted in ("max_tokens", "max_completion_tokens"):
        wire = Pair("M->C", max_tokens_field=wanted).sent({"max_tokens": 77})
        assert {name: wire[name] for name in wire if name.startswith("max_")} == {wanted: 77}


@pytest.mark.parametrize("way", ["C->M", "R->M", "G->M"])
def test_without_a_ceiling_messages_gets_that_of_the_model_and_never_more(way: str) -> None:
    """Statement 67. M without max_tokens from C: the model's ceiling from the catalogue, bounded."""
    assert Pair(way, output_tokens_max=64_000).sent()["max_tokens"] == 64_000
    assert Pair(way).sent()["max_tokens"] == 8_192
    asked: dict[str, Any] = {
        "C": {"max_tokens": 10**6},
        "R": {"max_output_tokens": 10**6},
        "G": {"generationConfig": {"maxOutputTokens": 10**6}},
    }
    encoded = Pair(way, output_tokens_max=64_000).encoded(asked[way[0]])
    assert json.loads(encoded.body)["max_tokens"] == 64_000
    assert "output_tokens_max" in encoded.approximated


STOPS: dict[str, Any] = {
    "C": {"stop": "END"},
    "M": {"stop_sequences": ["END"]},
    "G": {"generationConfig": {"stopSequences": ["END"]}},
}


@pytest.mark.parametrize("way", [way for way in WAYS if way[0] != "R"])
def test_a_stop_is_a_list_wherever_one_is_wanted_and_is_cut_where_none_is_known(way: str) -> None:
    """Statement 68. `stop` string or list <-> `stop_sequences` <-> stopSequences; M is told which one matched."""
    encoded = Pair(way).encoded(STOPS[way[0]])
    wire = json.loads(encoded.body)
    found = {"C": wire.get("stop"), "M": wire.get("stop_sequences"), "R": None}
    found["G"] = wire.get("generationConfig", {}).get("stopSequences")
    assert (found[way[-1]] or []) + list(encoded.stop) == ["END"]
    assert bool(encoded.stop) == way.endswith("R")
    if way.endswith("R"):
        for sse in (True, False):
            reply = Pair(way).reply(response(output_text("one EN two END three")), STOPS[way[0]], sse=sse, size=3)
            assert reply.said.text == "one EN two "
            if way.startswith("M"):
                assert (reply.said.reasons, '"stop_sequence":"END"' in reply.data.decode()) == (
                    {0: "stop_sequence"},
                    True,
                )
    if way == "C->M":
        assert Pair(way).sent({"stop": ["END", "FIN"]})["stop_sequences"] == ["END", "FIN"]
        said = message(text("one "), stop="stop_sequence", stop_sequence="END")
        assert Pair(way).reply(said).body["choices"][0]["finish_reason"] == "stop"


def knobs(dialect: str, temperature: float, top_p: float) -> dict[str, Any]:
    if dialect == "G":
        return {"generationConfig": {"temperature": temperature, "topP": top_p}}
    return {"temperature": temperature, "top_p": top_p}


@pytest.mark.parametrize("way", WAYS)
def test_zero_is_sent_and_a_temperature_stays_within_the_range(way: str) -> None:
    """Statement 69. temperature = 0 and top_p = 0 are not "unset"; the range is clamped (M 0 to 1)."""
    wire = Pair(way).sent(knobs(way[0], 0, 0))
    config = wire["generationConfig"] if way.endswith("G") else wire
    assert (config["temperature"], config["topP" if way.endswith("G") else "top_p"]) == (0, 0)
    if way[0] != "M":
        encoded = Pair(way).encoded(knobs(way[0], 1.8, 1))
        wire = json.loads(encoded.body)
        config = wire["generationConfig"] if way.endswith("G") else wire
        assert config["temperature"] == (1 if way.endswith("M") else 1.8)
        assert ("sampling.temperature" in encoded.approximated) == way.endswith("M")


@pytest.mark.parametrize("way", ["C->M", "R->M", "G->M"])
def test_temperature_and_top_p_are_not_sent_together_to_models_that_refuse_the_pair(way: str) -> None:
    """Statement 70. Temperature goes on, the other is dropped and named."""
    pair = Pair(way, no_temperature_with_top_p=True)
    encoded = pair.encoded(knobs(way[0], 0.5, 0.9))
    wire = json.loads(encoded.body)
    assert (wire["temperature"], "top_p" in wire) == (0.5, False)
    assert "sampling.top_p" in encoded.dropped
    only = {"G": {"generationConfig": {"topP": 0.9}}}.get(way[0], {"top_p": 0.9})
    assert pair.sent(only)["top_p"] == 0.9


FORMATS: dict[str, Any] = {
    "C": {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": CLOSED}}},
    "R": {"text": {"format": {"type": "json_schema", "name": "n", "schema": CLOSED}}},
    "M": {"output_config": {"format": {"type": "json_schema", "schema": CLOSED}}},
    "G": {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": CLOSED}},
}


def schema_of(provider: str, wire: Any) -> Any:
    match provider:
        case "C":
            return wire["response_format"]["json_schema"]["schema"]
        case "R":
            return wire["text"]["format"]["schema"]
        case "M":
            return wire["output_config"]["format"]["schema"]
        case _:
            assert wire["generationConfig"]["responseMimeType"] == "application/json"
            return wire["generationConfig"]["responseJsonSchema"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("with_tools", [True, False], ids=["tools", "alone"])
def test_a_schema_for_the_answer_is_one_in_every_dialect_and_the_answer_is_text(way: str, with_tools: bool) -> None:
    """Statement 71. response_format <-> text.format <-> output_config, or a forced tool <-> responseJsonSchema."""
    asked = dict(FORMATS[way[0]])
    if with_tools:
        asked["tools"] = [FUNCTIONS[DIALECTS[way[0]]]("f", SCHEMA)]
    pair = Pair(way)
    wire = pair.sent(asked)
    assert schema_of(way[-1], wire) == CLOSED
    assert bool(wire.get("tools")) == with_tools
    for sse in (True, False):
        said = pair.reply(ANSWERS[pair.provider.name]('{"n":1}'), asked, sse=sse).said
        assert (said.text, said.calls) == ('{"n":1}', [])


@pytest.mark.parametrize("way", ["C->M", "R->M", "G->M"])
@both
def test_where_messages_knows_no_schema_a_forced_tool_stands_for_it_and_its_arguments_are_the_text(
    way: str, sse: bool
) -> None:
    pair, asked = Pair(way, no_output_format=True), FORMATS[way[0]]
    wire = pair.sent(asked)
    (tool,) = wire["tools"]
    assert tool["input_schema"] == CLOSED
    assert wire["tool_choice"]["type"] == "tool" and wire["tool_choice"]["name"] == tool["name"]
    reply = pair.reply(message(tool_use(tool["name"], {"n": 1}), stop="tool_use"), asked, sse=sse, size=5)
    assert (json.loads(reply.said.text), reply.said.calls, reply.said.reasons) == ({"n": 1}, [], {0: "end"})


@pytest.mark.parametrize("way", ["C->G", "R->G", "M->G"])
def test_schemas_with_definitions_go_to_gemini_as_json_schema(way: str) -> None:
    """Statement 72. G with `$defs` uses `responseJsonSchema` and `parametersJsonSchema`."""
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/a"}},
        "required": ["a"],
        "additionalProperties": False,
        "$defs": {"a": {"type": "string"}},
    }
    asked = json.loads(json.dumps(FORMATS[way[0]]).replace(json.dumps(CLOSED), json.dumps(schema)))
    asked["tools"] = [FUNCTIONS[DIALECTS[way[0]]]("f", schema)]
    wire = Pair(way).sent(asked)
    config = wire["generationConfig"]
    (function,) = wire["tools"][0]["functionDeclarations"]
    assert (config["responseJsonSchema"], function["parametersJsonSchema"]) == (schema, schema)
    assert "responseSchema" not in config and "parameters" not in function


@pytest.mark.parametrize("way", [way for way in WAYS if way[0] in "CG"])
def test_alternatives_probabilities_and_seeds_are_errors_or_named_losses_and_never_a_silent_one(way: str) -> None:
    """Statement 73. `n > 1`, `logprobs`, `seed` on providers without them."""
    config = {"candidateCount": 2, "responseLogprobs": True, "logprobs": 3, "seed": 7}
    names = {"n": "candidateCount", "logprobs": "responseLogprobs", "top_logprobs": "logprobs", "seed": "seed"}

    def asked(*fields: str) -> dict[str, Any]:
        if way[0] == "G":
            return {"generationConfig": {names[field]: config[names[field]] for field in fields}}
        return {field: config[names[field]] for field in fields}

    pair = Pair(way)
    if way[-1] in "RM":
        with pytest.raises(Untranslatable) as refused:
            pair.encoded(asked("n"))
        assert refused.value.field == "choices"
        encoded = pair.encoded(asked("seed"))
        assert "sampling.seed" in encoded.dropped and b"seed" not in encoded.body
    else:
        wire = pair.sent(asked("n", "seed"))
        found = wire.get("generationConfig", wire)
        assert (found.get("n") or found["candidateCount"], found["seed"]) == (2, 7)
        alternatives = [ANSWERS[pair.provider.name](word) for word in ("one", "two")]
        said = alternatives[0]
        field = "candidates" if way.endswith("G") else "choices"
        said[field].append(alternatives[1][field][0] | {"index": 1})
        for sse in (True, False):
            reply = pair.reply(said, asked("n"), sse=sse).said
            assert [[part.text for part in reply.of(n)] for n in (0, 1)] == [["one"], ["two"]]  # type: ignore[union-attr]
    if way[-1] == "M":
        with pytest.raises(Untranslatable) as refused:
            pair.encoded(asked("logprobs"))
        assert refused.value.field == "logprobs"
    else:
        assert b"ogprobs" in pair.encoded(asked("logprobs", "top_logprobs")).body
        with pytest.raises(Untranslatable):
            Pair(way, no_logprobs=True).encoded(asked("logprobs"))

"""The largest usage of a request, what a report leaves out, and the documented estimates to the last digit."""

from __future__ import annotations

import base64
from decimal import Decimal
from struct import pack
from typing import Any

import pytest

from proxyapi.dialects.call import (
    AudioInput,
    Call,
    DocumentInput,
    ImageInput,
    Operation,
    Prompt,
    ServerTool,
    VideoInput,
)
from proxyapi.errors import InvalidRequest
from proxyapi.money import format_amount, parse_amount
from proxyapi.pricing.book import PriceBook
from proxyapi.pricing.charge import charge, recompute
from proxyapi.pricing.forecast import Forecast, SoundMeter, counted, forecast, prompt_tokens, settled, variant_of
from proxyapi.pricing.tokens import Tokenizer
from proxyapi.providers.catalog import Catalog, Target
from proxyapi.providers.provider import ProviderConfig, load_providers
from proxyapi.usage import Unit

ASKED = "Привет! Расскажи про то, как устроена солнечная система"


def call(operation: Operation = "chat", **fields: Any) -> Call:
    fields.setdefault("prompt", Prompt(messages=1, texts=(ASKED,)))
    return Call(operation=operation, dialect="openai_chat", model="m", **fields)


def png(width: int, height: int) -> str:
    return base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + pack(">II", width, height) + b"\0" * 60).decode()


# --- text -----------------------------------------------------------------------------------------------------------


def test_the_documented_prompt_has_22_tokens(tokenizer: Tokenizer) -> None:
    assert prompt_tokens(Prompt(messages=1, texts=(ASKED,)), tokenizer) == 22


@pytest.mark.parametrize(
    ("model", "operation", "dialect"),
    [("openai/gpt-4o", "chat", "openai_chat"), ("anthropic/claude-sonnet-4-20250514", "messages", "anthropic")],
)
def test_the_documented_estimates_are_11_81232(
    book: PriceBook, tokenizer: Tokenizer, model: str, operation: Operation, dialect: str
) -> None:
    """At 0.72 and 2.88 per 1,000. The Anthropic example counts by o200k: its factor is the setting [hold] factors."""
    factors = {"claude": Decimal(1)}
    catalog = Catalog(
        load_providers({"sandbox": ProviderConfig(base_url="http://127.0.0.1:9")}), book, clock=lambda: 0.0,
        hold_factors=factors,
    )  # fmt: skip
    catalog.set_overrides({model: {Unit.INPUT: parse_amount("720"), Unit.OUTPUT: parse_amount("2880")}})
    target = catalog.resolve(operation, dialect, model, None)
    predicted = forecast(call(operation, output_tokens_max=4096), target, tokenizer)
    assert predicted == Forecast({Unit.INPUT: 22, Unit.OUTPUT: 4096}, "")
    assert format_amount(charge(predicted.usage, target.price)) == "11.81232"


def test_names_tools_and_enum_items_count(tokenizer: Tokenizer) -> None:
    plain = prompt_tokens(Prompt(messages=1), tokenizer)
    assert plain == 7
    assert prompt_tokens(Prompt(messages=1, names=("bob",)), tokenizer) == plain + 2
    tools = '[{"type":"function"}]'
    expected = plain + tokenizer.count(tools) + 12 + 2 * 3
    assert prompt_tokens(Prompt(messages=1, tools=tools, tool_enum_items=3), tokenizer) == expected
    assert prompt_tokens(Prompt(messages=1, tokens=5), tokenizer) == plain + 5


def test_other_tokenizers_are_held_with_their_factor(shelf: Any, tokenizer: Tokenizer) -> None:
    def held(model: str, text: str = ASKED) -> int:
        prompt = Prompt(messages=1, texts=(text,))
        return forecast(call(prompt=prompt, output_tokens_max=1), shelf(model), tokenizer).usage[Unit.INPUT]

    assert held("openai/gpt-4o") == 22
    assert held("anthropic/claude-sonnet-4-5") == 33
    assert held("anthropic/claude-opus-4-7") == 36
    assert held("google/gemini-2.5-flash") == 31
    assert held("deepseek/deepseek-v4-flash") == 27 + 130
    assert held("openai/gpt-4") == 33
    assert held("openai/gpt-4", "only ascii") == 10
    assert held("mistralai/mistral-medium-3.1") == 33 + 140


def test_the_ceiling_is_the_least_of_request_model_and_window(shelf: Any, tokenizer: Tokenizer) -> None:
    def output(model: str, **fields: Any) -> int:
        return forecast(call(**fields), shelf(model), tokenizer).usage[Unit.OUTPUT]

    assert output("openai/gpt-4o") == 16_384
    assert output("openai/gpt-4o", output_tokens_max=100) == 100
    assert output("openai/gpt-4o", output_tokens_max=100, choices=3) == 300
    assert output("openai/gpt-4o", output_tokens_max=10**6) == 16_384
    assert output("openai/gpt-4") == 8_192 - 22
    long = Prompt(messages=1, texts=("word " * 9_000,))
    assert output("openai/gpt-4", prompt=long) == 1, "the provider will refuse it"


def test_a_prompt_beyond_the_window_is_held_for_the_window(shelf: Any, tokenizer: Tokenizer) -> None:
    prompt = Prompt(messages=1, texts=("word " * 9_000,))
    assert forecast(call(prompt=prompt), shelf("openai/gpt-4"), tokenizer).usage[Unit.INPUT] == 8_192


def test_a_prompt_that_may_pass_the_cliff_is_held_at_the_dearer_tier(shelf: Any, tokenizer: Tokenizer) -> None:
    target = shelf("google/gemini-2.5-pro")
    prompt = Prompt(messages=1, texts=(" word" * 150_000,))
    usage = forecast(call(prompt=prompt, output_tokens_max=1_000), target, tokenizer).usage
    assert usage[Unit.INPUT] > 200_000 > prompt_tokens(prompt, tokenizer)
    assert charge({Unit.OUTPUT: 10**6, Unit.INPUT: usage[Unit.INPUT]}, target.price) > parse_amount("15")


def test_cache_writes_are_held_where_they_are_asked_for_or_come_unasked(shelf: Any, tokenizer: Tokenizer) -> None:
    claude = shelf("anthropic/claude-sonnet-4-5")
    assert Unit.CACHE_WRITE_1H in forecast(call(cache_writes="1h"), claude, tokenizer).usage
    assert Unit.INPUT in forecast(call(), claude, tokenizer).usage
    assert Unit.CACHE_WRITE_5M in forecast(call(), shelf("openai/gpt-6-astra"), tokenizer).usage
    long = forecast(call(cache_writes="12h"), shelf("openai/gpt-6-astra"), tokenizer).usage
    assert Unit.CACHE_WRITE_12H in long


def test_counting_tokens_costs_nothing(shelf: Any, tokenizer: Tokenizer) -> None:
    target = shelf("claude-sonnet-4-5", "count_tokens", "anthropic_count")
    assert forecast(call("count_tokens"), target, tokenizer).usage == {}


# --- media ------------------------------------------------------------------------------------------------------------


def test_a_picture_counts_by_its_pixels(shelf: Any, tokenizer: Tokenizer) -> None:
    def held(model: str, image: ImageInput, **fields: Any) -> int:
        prompt = Prompt(messages=1, media=(image,))
        usage = forecast(call(prompt=prompt, **fields), shelf(model), tokenizer).usage
        return usage[Unit.INPUT] - forecast(call(prompt=Prompt(messages=1)), shelf(model), tokenizer).usage[Unit.INPUT]

    assert held("openai/gpt-4o", ImageInput(png(1024, 1024))) == 765
    assert held("openai/gpt-4o", ImageInput(png(1024, 1024), "low")) == 85
    assert held("openai/gpt-4o", ImageInput()) == 1_445
    assert held("anthropic/claude-sonnet-4-5", ImageInput(png(1000, 1000))) == 1_296
    assert held("anthropic/claude-sonnet-4-5", ImageInput()) == 1_568
    assert held("google/gemini-2.5-flash", ImageInput(png(1000, 1000))) == 1_032
    low = held("google/gemini-3-flash-preview", ImageInput(png(9, 9)), media_resolution="MEDIA_RESOLUTION_LOW")
    assert low == 280


def test_sound_video_and_documents_are_held(shelf: Any, tokenizer: Tokenizer) -> None:
    wav = b"RIFF\0\0\0\0WAVEfmt " + pack("<IHHIIHH", 16, 1, 1, 8_000, 8_000, 1, 8) + b"data" + pack("<I", 80_000)
    sound = base64.b64encode(wav + b"\0" * 80_000).decode()
    target = shelf("google/gemini-2.5-flash")
    pdf = base64.b64encode(b"%PDF-1.4 /Count 3").decode()
    media = (AudioInput(sound, "wav"), DocumentInput(pdf, "application/pdf"))
    usage = forecast(call(prompt=Prompt(messages=1, media=media)), target, tokenizer).usage
    assert usage[Unit.INPUT_AUDIO] == 320
    assert usage[Unit.INPUT] == 10 + 3 * 258
    unknown = forecast(call(prompt=Prompt(messages=1, media=(VideoInput(),))), target, tokenizer).usage
    assert unknown[Unit.INPUT] == 1_048_576
    claude = shelf("anthropic/claude-sonnet-4-5")
    assert forecast(call(prompt=Prompt(media=(media[1],))), claude, tokenizer).usage[Unit.INPUT] > 3 * 4_568


def test_spoken_answers_are_held_at_the_price_of_sound(shelf: Any, tokenizer: Tokenizer) -> None:
    usage = forecast(call(output_modalities=("audio",), output_tokens_max=500), shelf("gpt-audio"), tokenizer).usage
    assert usage[Unit.OUTPUT_AUDIO] == 500
    assert Unit.OUTPUT not in usage


# --- hosted tools -----------------------------------------------------------------------------------------------------


def test_a_search_preview_model_pays_one_search_per_choice(shelf: Any, tokenizer: Tokenizer) -> None:
    target = shelf("gpt-4o-search-preview")
    asked = call(choices=2, server_tools=(ServerTool("web_search"),))
    assert forecast(asked, target, tokenizer).usage[Unit.WEB_SEARCH] == 2
    assert forecast(call(), target, tokenizer).usage[Unit.WEB_SEARCH] == 1
    reported = {Unit.INPUT: 10, Unit.OUTPUT: 5}
    assert settled(asked, target.facts, reported) == {**reported, Unit.WEB_SEARCH: 2}
    assert charge({Unit.WEB_SEARCH: 1}, target.price) == parse_amount("0.025")


def test_searches_are_held_by_their_largest_number_and_what_they_bring(shelf: Any, tokenizer: Tokenizer) -> None:
    def held(model: str, tool: ServerTool, operation: Operation = "chat", **fields: Any) -> tuple[int, int]:
        target = shelf(model)
        usage = forecast(call(operation, server_tools=(tool,), **fields), target, tokenizer).usage
        return usage.get(Unit.WEB_SEARCH, 0), usage[Unit.INPUT]

    searches, prompt = held("anthropic/claude-sonnet-4-5", ServerTool("web_search", 3))
    assert searches == 3
    assert prompt == 33 + 570 + 3 * 25_000
    assert held("anthropic/claude-sonnet-4-5", ServerTool("web_search"))[0] == 10
    assert held("google/gemini-2.5-flash", ServerTool("web_search"))[0] == 1
    assert held("google/gemini-3-flash-preview", ServerTool("web_search"))[0] == 20
    assert held("openai/gpt-5", ServerTool("web_search"), "responses", server_tool_calls_max=4)[0] == 4
    plugin = ServerTool("web_search", 5, (("plugin", "web"),))
    assert held("mistralai/mistral-medium-3.1", plugin)[0] == 9


def test_the_preview_search_of_older_models_has_its_own_price(shelf: Any, tokenizer: Tokenizer) -> None:
    target = shelf("gpt-4o", "responses", "openai_responses")
    tool = ServerTool("web_search", options=(("type", "web_search_preview"),))
    predicted = forecast(call("responses", server_tools=(tool,)), target, tokenizer)
    assert predicted.variant == "web_search_preview"
    assert predicted.usage[Unit.INPUT] == 22, "what it finds is free of charge"
    assert charge({Unit.WEB_SEARCH: 1000}, target.price, variant=predicted.variant) == parse_amount("25")
    assert charge({Unit.WEB_SEARCH: 1000}, target.price) == parse_amount("10")


def test_a_container_is_priced_by_its_memory(shelf: Any, tokenizer: Tokenizer) -> None:
    target = shelf("gpt-4o", "responses", "openai_responses")
    tool = ServerTool("code_execution", options=(("type", "code_interpreter"), ("memory_limit", "4g")))
    predicted = forecast(call("responses", server_tools=(tool,)), target, tokenizer)
    assert predicted.usage[Unit.CODE_SESSION] == 1
    assert charge({Unit.CODE_SESSION: 1}, target.price, variant=predicted.variant) == parse_amount("0.12")


def test_code_execution_is_free_beside_newer_web_tools(shelf: Any, tokenizer: Tokenizer) -> None:
    target = shelf("anthropic/claude-sonnet-4-5")
    code = ServerTool("code_execution", options=(("type", "code_execution_20250825"),))
    search = ServerTool("web_search", 1, (("type", "web_search_20260209"),))
    alone = forecast(call(server_tools=(code,)), target, tokenizer)
    both = forecast(call(server_tools=(code, search)), target, tokenizer)
    assert charge({Unit.CODE_SESSION: 1}, target.price, variant=alone.variant) == parse_amount("0.05")
    assert charge({Unit.CODE_SESSION: 1}, target.price, variant=both.variant) == 0


def test_pictures_of_a_hosted_tool_are_held_and_settled_as_tokens(shelf: Any, tokenizer: Tokenizer) -> None:
    target = shelf("gpt-5", "responses", "openai_responses")
    tool = ServerTool("image_generation", options=(("quality", "low"), ("size", "1024x1024")))
    asked = call("responses", server_tools=(tool,), server_tool_calls_max=2)
    assert forecast(asked, target, tokenizer).usage[Unit.OUTPUT_IMAGE] == 2 * 282
    usage = settled(asked, target.facts, {Unit.INPUT: 5, Unit.OUTPUT: 5}, others=[{Unit.IMAGES: 1}])
    assert usage == {Unit.INPUT: 5, Unit.OUTPUT: 5, Unit.OUTPUT_IMAGE: 282}


def test_what_other_models_cost_is_charged_as_it_is(shelf: Any) -> None:
    target = shelf("anthropic/claude-sonnet-4-5")
    usage = settled(call("messages"), target.facts, {Unit.INPUT: 5, Unit.OUTPUT: 5}, other_models=12_345)
    assert usage == {Unit.INPUT: 5, Unit.OUTPUT: 5, Unit.OTHER_MODELS: 12_345}
    alone = charge({Unit.INPUT: 5, Unit.OUTPUT: 5}, target.price)
    assert charge(usage, target.price) == alone + 12_345
    assert recompute(target.price.to_json(), {unit.value: n for unit, n in usage.items()}, "") == alone + 12_345


def test_another_models_own_bill_does_not_stand_for_the_whole_reply(shelf: Any) -> None:
    facts = shelf("anthropic/claude-sonnet-4-5").facts
    other = {Unit.INPUT: 1, Unit.REPORTED_COST: 9}
    assert settled(call("messages"), facts, {Unit.INPUT: 5}, others=[other]) == {Unit.INPUT: 6}


def test_an_advisor_is_held_with_one_answer_of_its_ceiling(shelf: Any, tokenizer: Tokenizer) -> None:
    target, opus = shelf("anthropic/claude-haiku-4-5"), shelf("anthropic/claude-opus-4-5")
    tool = ServerTool("advisor", options=(("type", "advisor_20260301"), ("model", "claude-opus-4-5")))
    plain = forecast(call("messages", output_tokens_max=100), target, tokenizer).usage
    asked = call("messages", output_tokens_max=100, server_tools=(tool,))
    own = forecast(asked, target, tokenizer).usage
    assert own[Unit.OUTPUT] == plain[Unit.OUTPUT] + target.facts.output_tokens_max
    advised = forecast(asked, target, tokenizer, advisor=opus).usage
    assert advised[Unit.OUTPUT] == plain[Unit.OUTPUT]
    answer = charge({Unit.OUTPUT: opus.facts.output_tokens_max}, opus.price)
    assert advised[Unit.OTHER_MODELS] > answer, "it reads the conversation too"
    refused = call("messages", server_tools=(ServerTool("advisor", 0, tool.options),))
    assert Unit.OTHER_MODELS not in forecast(refused, target, tokenizer, advisor=opus).usage


def test_several_queries_of_one_grounded_request_are_billed_once(shelf: Any) -> None:
    usage = {Unit.INPUT: 5, Unit.WEB_SEARCH: 4}
    old, new = shelf("google/gemini-2.5-flash").facts, shelf("google/gemini-3-flash-preview").facts
    assert settled(call("generate"), old, usage)[Unit.WEB_SEARCH] == 1
    assert settled(call("generate"), new, usage)[Unit.WEB_SEARCH] == 4


# --- service tiers ----------------------------------------------------------------------------------------------------


def test_the_tier_that_served_is_charged(shelf: Any) -> None:
    target = shelf("openai/gpt-5")
    assert variant_of(call(), target) == ""
    assert variant_of(call(service_tier="auto"), target) == ""
    assert variant_of(call(service_tier="flex"), target) == "flex"
    assert variant_of(call(service_tier="flex"), target, "default") == ""
    assert variant_of(call(service_tier="auto"), target, "priority") == "priority"
    assert variant_of(call(), target, "something-new") == ""


def test_a_speed_stays_when_the_answer_names_the_usual_tier(shelf: Any) -> None:
    target = shelf("anthropic/claude-opus-4-8")
    assert variant_of(call("messages", speed="fast"), target, "standard") == "fast"
    usage = {Unit.INPUT: 1_000}
    assert charge(usage, target.price, variant="fast") > charge(usage, target.price)


def test_a_dear_tier_without_a_price_is_refused(shelf: Any, tokenizer: Tokenizer) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        forecast(call(service_tier="ultrafast"), shelf("openai/gpt-6-astra"), tokenizer)
    assert refusal.value.param == "service_tier"
    forecast(call(service_tier="ultrafast"), shelf("sandbox/echo"), tokenizer)


def test_a_region_that_costs_more_than_is_published_is_refused(shelf: Any, tokenizer: Tokenizer) -> None:
    """Anthropic asks 1.1 times its prices for `us`, which no list of prices has."""
    with pytest.raises(InvalidRequest, match="no published price for inference_geo 'us'") as refusal:
        forecast(call("messages", region="us"), shelf("anthropic/claude-opus-4-8"), tokenizer)
    assert refusal.value.param == "inference_geo"
    forecast(call("messages", region="us"), shelf("sandbox/echo"), tokenizer)


# --- other operations -------------------------------------------------------------------------------------------------


def test_embeddings_have_no_frames_and_no_output(shelf: Any, tokenizer: Tokenizer) -> None:
    target = shelf("text-embedding-3-small", "embeddings", "openai_embeddings")
    asked = call("embeddings", prompt=Prompt(texts=("hello world",), tokens=7))
    assert forecast(asked, target, tokenizer).usage == {Unit.INPUT: 4 + 7}
    empty = call("embeddings", prompt=Prompt(texts=("",)))
    assert forecast(empty, target, tokenizer).usage == {Unit.INPUT: 2}, "an empty text is billed as a token"
    many = call("embeddings", prompt=Prompt(texts=("word " * 9_000, "word " * 9_000)))
    assert forecast(many, target, tokenizer).usage == {Unit.INPUT: 2 * 8_191}, "the window is for each text"


def test_a_history_that_the_provider_keeps_is_held_unseen(shelf: Any, tokenizer: Tokenizer) -> None:
    target = shelf("gpt-5", "responses", "openai_responses")
    known = forecast(call("responses"), target, tokenizer).usage[Unit.INPUT]
    unseen = forecast(call("responses", previous_response_id="resp_1"), target, tokenizer).usage[Unit.INPUT]
    assert unseen == known + 131_072
    small = shelf("computer-use-preview", "responses", "openai_responses")
    assert forecast(call("responses", conversation="conv_1"), small, tokenizer).usage[Unit.INPUT] == 8_192


def test_providers_add_tokens_for_tools(shelf: Any, tokenizer: Tokenizer) -> None:
    def added(model: str, tools: str = '[{"name":"f"}]') -> int:
        target = shelf(model)
        text = prompt_tokens(Prompt(messages=1, tools=tools), tokenizer)
        usage = forecast(call(prompt=Prompt(messages=1, tools=tools)), target, tokenizer).usage
        return usage[Unit.INPUT] - -(-text * target.facts.family.percent // 100)

    assert added("openai/gpt-4o") == 0
    assert added("openai/gpt-5.2") == 120
    assert added("anthropic/claude-sonnet-4-5") == 570
    assert added("anthropic/claude-sonnet-4-5", '[{"type":"bash_20250124"}]') == 570 + 245


def test_an_aggregator_may_raise_a_tiny_limit(shelf: Any, tokenizer: Tokenizer) -> None:
    assert forecast(call(output_tokens_max=1), shelf("openai/gpt-4o"), tokenizer).usage[Unit.OUTPUT] == 1
    assert forecast(call(output_tokens_max=1), shelf("openrouter/openai/gpt-4o"), tokenizer).usage[Unit.OUTPUT] == 16


def test_moderation_is_free_by_name(shelf: Any, tokenizer: Tokenizer) -> None:
    target = shelf("omni-moderation-latest", "moderations", "openai_moderations")
    assert charge(forecast(call("moderations"), target, tokenizer).usage, target.price) == 0


def test_speech_by_characters_and_by_tokens(shelf: Any, tokenizer: Tokenizer) -> None:
    old = shelf("tts-1", "speech", "openai_speech")
    new = shelf("gpt-4o-mini-tts", "speech", "openai_speech")
    asked = call("speech", text="Привет, мир!", instructions="Speak slowly", response_format="pcm")
    assert forecast(asked, old, tokenizer).usage == {Unit.CHARACTERS: 12}
    held = forecast(asked, new, tokenizer).usage
    assert held == {
        Unit.INPUT: tokenizer.count("Привет, мир!") + tokenizer.count("Speak slowly"), Unit.OUTPUT_AUDIO: 42,
    }  # fmt: skip
    meter = SoundMeter(asked, new.facts, tokenizer)
    assert meter.usage() is None
    meter.feed(b"\0" * 48_000)
    assert meter.usage() == {**held, Unit.OUTPUT_AUDIO: 21}
    meter = SoundMeter(asked, old.facts, tokenizer)
    meter.feed(b"\0")
    assert meter.usage() == {Unit.CHARACTERS: 12}


def test_transcription_by_seconds_and_by_tokens(shelf: Any, tokenizer: Tokenizer) -> None:
    whisper = shelf("whisper-1", "transcription", "openai_transcription")
    newer = shelf("gpt-4o-transcribe", "transcription", "openai_transcription")
    asked = call("transcription", audio_seconds=60, prompt=Prompt())
    assert forecast(asked, whisper, tokenizer).usage == {Unit.AUDIO_SECONDS: 60}
    assert charge({Unit.AUDIO_SECONDS: 60}, whisper.price) == parse_amount("0.006")
    held = forecast(asked, newer, tokenizer).usage
    assert held == {Unit.INPUT_AUDIO: 600, Unit.OUTPUT: 2_000}
    assert charge(held, newer.price) > parse_amount("0.006")


def test_a_transcript_without_usage_is_counted_in_the_unit_of_the_model(shelf: Any, tokenizer: Tokenizer) -> None:
    whisper = shelf("whisper-1", "transcription", "openai_transcription").facts
    newer = shelf("gpt-4o-transcribe", "transcription", "openai_transcription").facts
    asked = call("transcription", audio_seconds=60, prompt=Prompt())
    assert counted(asked, whisper, tokenizer, ["hello world"]) == {Unit.AUDIO_SECONDS: 60}
    tokens = counted(asked, newer, tokenizer, ["hello world"])
    assert tokens == {Unit.INPUT: 0, Unit.INPUT_AUDIO: 600, Unit.OUTPUT: 2}
    assert settled(asked, newer, {Unit.AUDIO_SECONDS: 60})[Unit.INPUT_AUDIO] == 600


def test_pictures_by_the_piece_take_the_line_of_their_quality_and_size(shelf: Any, tokenizer: Tokenizer) -> None:
    target = shelf("dall-e-3", "image_generation", "openai_images")

    def cost(**fields: Any) -> str:
        predicted = forecast(call("image_generation", **fields), target, tokenizer)
        assert predicted.usage == {Unit.IMAGES: fields.get("choices", 1)}
        return format_amount(charge(predicted.usage, target.price, variant=predicted.variant))

    assert cost() == "0.04"
    assert cost(size="1792x1024") == "0.08"
    assert cost(quality="hd", size="1024x1024") == "0.08"
    assert cost(quality="hd", size="1024x1792") == "0.12"
    assert cost(quality="auto", size="auto", choices=2) == "0.24"


def test_pictures_by_tokens(shelf: Any, tokenizer: Tokenizer) -> None:
    target = shelf("gpt-image-1", "image_generation", "openai_images")
    prompt = Prompt(texts=("a cat",), media=(ImageInput(),))
    asked = call("image_generation", prompt=prompt, quality="low", size="1024x1024", choices=2, partial_images=1)
    usage = forecast(asked, target, tokenizer).usage
    assert usage == {Unit.INPUT: 9, Unit.INPUT_IMAGE: 6_797, Unit.OUTPUT_IMAGE: 2 * (282 + 100)}
    assert settled(asked, target.facts, {Unit.IMAGES: 1}) == {Unit.OUTPUT_IMAGE: 282}


def test_a_model_that_is_priced_by_the_request(shelf: Any, tokenizer: Tokenizer) -> None:
    target = shelf("lyria-3-clip-preview", "generate", "gemini")
    usage = forecast(call("generate"), target, tokenizer).usage
    assert usage[Unit.REQUESTS] == 1
    assert settled(call("generate"), target.facts, {Unit.INPUT: 3})[Unit.REQUESTS] == 1
    assert charge({Unit.REQUESTS: 1, Unit.INPUT: 50}, target.price) == parse_amount("0.04")


# --- settling ---------------------------------------------------------------------------------------------------------


def test_explicit_zero_is_zero(shelf: Any) -> None:
    facts = shelf("gpt-4o-search-preview").facts
    zero = {Unit.INPUT: 0, Unit.OUTPUT: 0}
    assert settled(call(), facts, zero) == zero
    assert settled(call(), facts, {}) == {}


def test_a_reply_without_usage_is_counted_without_factors(shelf: Any, tokenizer: Tokenizer) -> None:
    facts = shelf("anthropic/claude-sonnet-4-5").facts
    assert counted(call("messages"), facts, tokenizer, ["hello", " world"]) == {Unit.INPUT: 22, Unit.OUTPUT: 2}


def test_only_a_provider_that_reports_costs_is_believed(shelf: Any) -> None:
    usage = {Unit.INPUT: 5, Unit.REPORTED_COST: 7}
    assert settled(call(), shelf("openai/gpt-4o").facts, usage) == {Unit.INPUT: 5}
    assert settled(call(), shelf("mistralai/mistral-medium-3.1").facts, usage) == usage


def test_the_magic_models_cost_one_unit_per_thousand_tokens(shelf: Any) -> None:
    for name in ("echo", "tool", "nousage", "fail-429", "slow-1000", "cut-3", "error-3"):
        target: Target = shelf(f"sandbox/{name}")
        assert charge({Unit.INPUT: 600, Unit.OUTPUT: 400}, target.price) == parse_amount("1")
        assert all(target.price.rates[unit] for unit in Unit)

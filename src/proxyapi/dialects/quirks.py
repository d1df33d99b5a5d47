"""Documented deviations of providers and models, as named flags. They are data: `providers/data/*.toml` sets them.

A codec reads its flags from the target that it writes for, each in one place. No code compares names of providers or
models: where something has to differ, it is a flag here.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from proxyapi.dialects.model import Effort

ThinkingForm = Literal[
    "none", "effort", "budget", "adaptive", "adaptive_always", "between_tools", "level", "gemini_budget"
]
"""How a model is told how much to think; `none`: it can't be told.

* effort: Chat `reasoning_effort`, Responses `reasoning.effort`
* budget: Messages `thinking: {type: enabled, budget_tokens}`
* adaptive, adaptive_always, between_tools: Messages `thinking: {type: adaptive}` + `output_config.effort`; `always`
  has no `disabled`, `between_tools` is the least that its model allows
* level, gemini_budget: Gemini `thinkingLevel`, `thinkingBudget`
"""


class Quirks(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of one model at one provider. The defaults are what the dialect's own documentation says."""

    # Chat Completions
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    """The field of the ceiling."""
    system_role: Literal["system", "developer", "user"] = "system"
    """Role of instructions; `user`: they are prepended to the first user message."""
    reasoning_field: Literal["reasoning_content", "reasoning", "content_parts", "think_tags"] = "reasoning_content"
    """Where the text of thoughts is."""
    echo_reasoning: bool = False
    """`reasoning_content` of an assistant turn with tool calls has to come back."""
    thinking_switch: bool = False
    """A top-level `thinking: {type: enabled|disabled}` turns thinking on and off."""
    required_word: Literal["required", "any"] = "required"
    """How `tool_choice` says that some tool has to be called."""
    seed_field: Literal["seed", "random_seed"] = "seed"
    """The field of the seed."""
    user_field: Literal["safety_identifier", "user"] = "safety_identifier"
    """The field of the end user's id."""
    cache_mark_field: Literal["", "prompt_cache_breakpoint", "cache_control"] = ""
    """How a prefix that is worth caching is marked; empty: it can't be. (OpenAI: from gpt-5.6 on.)"""
    file_link_field: Literal["", "file_data", "document_url", "file_url"] = ""
    """Where the address of a document goes; empty: files come as data only."""
    prefix_prefill: bool = False
    """A final assistant message that is to be continued has to say `prefix: true`."""
    no_content_lists: bool = False
    """Content that is nothing but text has to be one string."""
    no_custom_tools: bool = False
    """Knows functions only: a tool that takes free text is a function of one string."""
    no_allowed_tools: bool = False
    """Knows no `tool_choice` of type `allowed_tools`: the others are not declared."""
    call_ids_of_nine: bool = False
    """Ids of calls are nine letters and digits."""
    refused_fields: tuple[str, ...] = ()
    """Top-level fields of Chat that the provider answers with an error. Only mere knobs can be named."""
    chat_tools_no_effort: bool = False
    """Chat refuses function tools together with an effort: such a request goes to Responses."""
    web_search: bool = False
    """Chat takes `web_search_options`."""
    reasoning_outside_output: bool = False
    """`completion_tokens` excludes reasoning."""
    cached_outside_prompt: bool = False
    """`prompt_tokens` excludes what was read from a cache."""
    audio_outside_prompt: bool = False
    """`prompt_tokens` excludes sound."""

    # Messages
    mid_system: bool = False
    """Takes system messages within `messages`."""
    no_temperature_with_top_p: bool = False
    """Takes one of the two: temperature goes on."""
    no_output_format: bool = False
    """No `output_config.format`: a forced tool or a sentence stands for it."""
    no_forced_tool: bool = False
    """Refuses the tool choices `any` and `tool`."""
    temperature_max: float = 2.0
    """A higher temperature is sent as this one."""

    # Gemini
    signature_required: bool = False
    """Calls of the current turn need their thought signatures."""
    call_ids: bool = True
    """`functionCall` and `functionResponse` have an id."""
    no_mixed_tools: bool = False
    """Functions and server tools exclude each other."""
    no_schema_with_tools: bool = False
    """A schema for the answer and functions exclude each other."""
    openapi_schema: bool = False
    """Takes `parameters` and `responseSchema` only, not JSON Schema."""
    no_link_media: bool = True
    """`fileData` takes the provider's own URIs only."""
    no_result_media: bool = False
    """`functionResponse` has no parts: pictures and files of a result follow it in the user's turn."""
    no_part_resolution: bool = False
    """How closely a picture is looked at can be said for the whole request only."""
    display_names: bool = False
    """`inlineData` and `fileData` take `displayName`."""
    labels: bool = False
    """The request takes `labels`."""

    # All
    thinking_form: ThinkingForm = "effort"
    """How a model is told how much to think: an effort, a budget of tokens, or in words of Messages and Gemini."""
    efforts: tuple[Effort, ...] = ("low", "medium", "high")
    """Levels that are accepted, from least to most."""
    thinking_budget_min: int = 1_024
    """Tokens; a smaller budget is sent as this one."""
    thinking_budget_max: int = 32_768
    """Tokens; a larger budget is sent as this one."""
    thinking_can_be_off: bool = True
    """A budget of 0, or the dialect's word for none, is accepted."""
    off_effort_max: Effort = "max"
    """Messages: thinking can be off only with an effort up to this one."""
    budget_too: bool = False
    """Messages: besides `adaptive`, `thinking: {type: enabled, budget_tokens}` is still taken."""
    thinking_hidden: bool = False
    """Messages: what the model thinks is shown only to those who ask for it."""
    no_prefill: bool = False
    """Refuses a final assistant message."""
    no_sampling: bool = False
    """Refuses temperature, top_p and top_k."""
    no_stop: bool = False
    """Refuses stop sequences: the gateway cuts the text."""
    no_strict: bool = False
    """Knows no strict tools."""
    no_logprobs: bool = False
    """Tells no probabilities of tokens."""
    no_seed: bool = False
    """Takes no seed."""
    no_parallel_choice: bool = False
    """Knows no switch for parallel calls."""
    no_json_schema: bool = False
    """`response_format: json_schema` is refused; `json_object` and a sentence stand for it."""

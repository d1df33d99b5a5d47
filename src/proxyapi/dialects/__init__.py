"""Wire formats of the field, as pure codecs: bytes and values in, bytes and values out. `DIALECTS` is the whole list.

The formats are the folders: openai_chat, openai_responses, openai_media, anthropic, gemini. In each, `call` reads what
the gateway needs of a request, `reply_in` a provider's reply; of a conversation also `request_in` a client's request,
`request_out` the same for a provider, `reply_out` the reply to a client, and `codec` joins them.

* model, call: the canonical conversation; what the gateway reads of a request
* dialect, codec, quirks: the contracts of a format and of its translation, and what differs from model to model
* channel, translation: the way of a reply to a client of the same dialect, and of another
* ceiling, cut: a lower ceiling of output in a request, and the end of a stream that is broken off at its cap
* reshape, declared, linear, stops: events as encoders can rely on them; state, carriers: sealed reasoning on its way
* faults: errors in each shape; losses: what a request loses; names: what a target takes of a name
* wording, functions, history, toolset, turns: parts, tools and turns for dialects that have no field for them
* schema, jsonschema, media, voices, effort: values that each vendor says in its own way; embeddings: vectors
* frames, stream, units, fields, patching, multipart, openai_usage, openai_knobs: what the formats share
"""

from __future__ import annotations

from proxyapi.dialects.anthropic.call import Anthropic, AnthropicCount
from proxyapi.dialects.dialect import Dialect
from proxyapi.dialects.gemini.call import Gemini, GeminiCount, GeminiEmbed
from proxyapi.dialects.openai_chat.call import OpenAIChat
from proxyapi.dialects.openai_media.call import (
    OpenAICompletions,
    OpenAIEmbeddings,
    OpenAIImages,
    OpenAIModerations,
    OpenAISpeech,
    OpenAITranscription,
)
from proxyapi.dialects.openai_responses.call import OpenAICount, OpenAIResponses

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        OpenAIChat(),
        OpenAIResponses(),
        Anthropic(),
        Gemini(),
        OpenAICompletions(),
        OpenAIEmbeddings(),
        OpenAIModerations(),
        OpenAISpeech(),
        OpenAITranscription(),
        OpenAIImages(),
        OpenAICount(),
        AnthropicCount(),
        GeminiCount(),
        GeminiEmbed(),
    )
}

"""Wire formats of the field, as pure codecs: bytes and values in, bytes and values out. `DIALECTS` is the whole list.

* model, call: the canonical conversation; what the gateway reads of a request
* dialect: the contract of every wire format; channel: the way of a reply, metered; faults: errors in each shape
* codec, quirks, codecs: the contract of translation; translation: the way of a reply to another dialect, with reshape,
  linear, stops (events in order) and state (sealed reasoning)
* frames, stream, units, fields, patching, multipart: what the formats share
* openai_chat, openai_responses, openai_media, anthropic, gemini: the formats; `…_reply` reads their replies
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

"""Wire formats of the field, as pure codecs: bytes and values in, bytes and values out. `DIALECTS` is the whole list.

* model, call: the canonical conversation; what the gateway reads of a request
* dialect: the contract of every wire format; channel: the way of a reply, metered; faults: errors in each shape
* frames, stream, units, fields, patching, multipart: what the formats share
* openai_chat, openai_responses, anthropic, gemini, openai_media…: one format each; `…_reply` reads its replies
"""

from __future__ import annotations

from proxyapi.dialects.anthropic import Anthropic, AnthropicCount
from proxyapi.dialects.dialect import Dialect
from proxyapi.dialects.openai_chat import OpenAIChat

DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in (OpenAIChat(), Anthropic(), AnthropicCount())}

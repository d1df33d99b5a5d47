"""Gemini generateContent.

* call: what the gateway reads of a request that passes; reply_in: a provider's reply to events; chunks_in: its objects
* codec: the dialect in translation
* request_in: a client's request to canonical; contents_in, tools_in: its messages and tools; spelling: both spellings
* request_out: a canonical request for a provider; contents_out, tools_out: its messages and tools
* reply_out: events to a client's reply; reply_parts: which parts that has; array: a stream without events
* grounding, hosted, schema, usage: what requests and replies share, both ways; partial: arguments in pieces
"""

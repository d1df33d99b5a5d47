"""Anthropic Messages.

* call: what the gateway reads of a request that passes; reply_in: a provider's reply to events
* codec: the dialect in translation
* request_in: a client's request to canonical; content_in, tools_in: its messages and tools
* request_out: a canonical request for a provider; turns_out, content_out, tools_out, thinking_out: its parts; draft:
  what is lost on the way
* reply_out: events to a client's reply; reply_blocks: which blocks that has
* citations, hosted, marks, usage: what requests and replies share, both ways
"""

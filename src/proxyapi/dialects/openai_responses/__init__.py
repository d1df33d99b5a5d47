"""OpenAI Responses.

* call: what the gateway reads of a request that passes
* wire, items_in: items and their contents, as requests and replies have them
* reply_in, with reply_items and reply_usage: a provider's reply to events
* request_in, messages_in, tools_in: a client's request to a canonical one
* request_out, messages_out, calls_out, tools_out: a canonical request to a provider's
* reply_out, with output, reply_parts, hosted_out and echo: events to a reply for a client
* codec: all of it, as translation knows it
"""

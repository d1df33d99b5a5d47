"""OpenAI Chat Completions, and the many who speak it.

* call: what the gateway reads of a request that passes
* reply_in, with reply_wire, reply_parts and think_tags: a provider's reply to events
* request_in, messages_in, tools_in: a client's request to a canonical one
* request_out, messages_out, tools_out, with marks: a canonical request to a provider's
* reply_out, with telling and sound: events to a reply for a client
* details: proofs of reasoning, both ways; codec: all of it, as translation knows it
"""

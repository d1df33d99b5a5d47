"""OpenAI Chat Completions, and the many who speak it.

* call: what the gateway reads of a request that passes; reply_in: a provider's reply to events
* request_in, request_out: a client's request to canonical, and that to a provider's; reply_out: events to a reply
* messages_in, messages_out, tools_in, tools_out: what requests consist of
* details, marks, losses: proofs of reasoning, cache marks, and what a request loses on its way
* codec: all of it, as translation knows it
"""

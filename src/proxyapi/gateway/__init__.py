"""The data plane: one request from a client, one answer from a provider, one charge.

routes.py      method and path to a route: who answers, in which dialect; closed
entrance.py    every request: request id, who is calling, may it enter; errors in the dialect of the path
admission.py   pause, requests and tokens per minute
relay.py       a paid request, top to bottom
replies.py     the three ways of a reply to the client: one body, a stream, sound
translate.py   a request for a provider of another dialect; translated.py its answer; foreign.py how both are sent
fallback.py    whether another provider is asked; attempts.py asks them in turn; opening.py holds a stream back for it
counting.py    tokens of a prompt; embedding.py vectors of texts across dialects
memory.py      reasoning that clients can't carry; links.py files by address for providers that fetch none
upstream.py    the request head for a provider, its errors mapped to ours
headers.py     what passes of the headers, both ways
bodies.py      request bodies: whole, unpacked, or spooled
background.py  responses that a provider works on after its answer
bill.py        the money of one request; holding.py reserves it, or less of it for a shorter answer
capping.py     a request's own cap on its stream; passing.py streams on their way
repeats.py     requests with an Idempotency-Key; tape.py what keeps their answers
drains.py      replies read to their end for clients that left
stored.py      responses kept at the provider: they belong to the account that made them
conversations.py  the same for providers that keep none
own.py         balance, estimate, prices, model lists, health, metrics
"""

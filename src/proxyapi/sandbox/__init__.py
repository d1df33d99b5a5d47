"""A provider that needs no key: answers every dialect over real HTTP, deterministically.

Map, from the bottom up:

* `reading`                what a body says, as typed values; `Refused` is the answer to a bad request
* `reply`                  an answer on its way: status, headers, pieces; ids made of the request
* `multipart`, `samples`   form bodies; values that satisfy a JSON Schema
* `turn`                   what a conversation asks for, whichever dialect asks; the magic model names
* `script`                 what the model says to a turn: parts, the reason to stop, token counts
* `chat`, `completions`, `responses` (with `response_events`, `stored`), `messages`, `generate`
                           one dialect each: body -> turn, script -> answer -> events
* `vectors`, `speech` (with `sounds`), `transcription`, `images` (with `pictures`), `models`
                           everything that is no conversation
* `faults`                 errors in each provider's shape
* `server`                 `Sandbox`: paths -> the above, on `wire.server.Server`

The first segment of a path names the provider that is stood for (`/openai/v1/...`), the rest is the provider's own.
"""

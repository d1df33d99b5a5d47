"""OpenAI's endpoints beside conversations: embeddings, moderations, speech, transcription, images, old completions.

* call: what the gateway reads of a request; reply_in: a provider's reply to events
"""

"""Voices of one vendor by those of another: the nearest in pitch and manner, by the vendors' own descriptions.

https://platform.openai.com/docs/guides/text-to-speech#voice-options,
https://ai.google.dev/gemini-api/docs/speech-generation#voices; 2026-11.
"""

from __future__ import annotations

DEFAULT = "alloy"

_GOOGLE = {
    "alloy": "Kore",
    "ash": "Orus",
    "ballad": "Algieba",
    "cedar": "Iapetus",
    "coral": "Leda",
    "echo": "Puck",
    "fable": "Charon",
    "marin": "Sulafat",
    "nova": "Zephyr",
    "onyx": "Algenib",
    "sage": "Aoede",
    "shimmer": "Achernar",
    "verse": "Sadachbia",
}
_OPENAI = {google.lower(): openai for openai, google in _GOOGLE.items()} | {
    "achird": "verse",
    "alnilam": "ash",
    "autonoe": "nova",
    "callirrhoe": "sage",
    "despina": "shimmer",
    "enceladus": "ballad",
    "erinome": "marin",
    "fenrir": "verse",
    "gacrux": "marin",
    "laomedeia": "coral",
    "pulcherrima": "coral",
    "rasalgethi": "fable",
    "sadaltager": "fable",
    "schedar": "cedar",
    "umbriel": "echo",
    "vindemiatrix": "shimmer",
    "zubenelgenubi": "echo",
}


def openai_voice(voice: str) -> str:
    """A voice of OpenAI's; a name that neither vendor has is passed on, none is OpenAI's first."""
    return _OPENAI.get(voice.lower(), voice or DEFAULT)


def google_voice(voice: str) -> str:
    """A voice of Google's; empty: Google chooses."""
    return _GOOGLE.get(voice.lower(), voice)

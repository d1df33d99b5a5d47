"""Pictures, sounds and files inside a request: `data:` URLs, and what the bytes themselves say they are.

Clients often name a wrong type or none, and some providers refuse a picture whose type is not that of its bytes.
Magic numbers: https://mimesniff.spec.whatwg.org/#matching-a-mime-type-pattern, ISO 14496-12 for `ftyp`.
"""

from __future__ import annotations

from base64 import b64encode
from binascii import Error, a2b_base64
from urllib.parse import unquote_to_bytes

from proxyapi.dialects.model import Inline, Link

UNKNOWN = "application/octet-stream"
_HEADER_CHARACTERS_MAX = 512
"""Of a data URL before its comma: a type and a few parameters."""
_HEAD_CHARACTERS = 64
"""Base64 of the first 48 bytes: every signature below stands within them."""
_URL_SAFE = str.maketrans("-_", "+/")

_ALIASES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "audio/mp3": "audio/mpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/x-flac": "audio/flac",
    "application/x-pdf": "application/pdf",
}
_ENDINGS = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
}
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS = {
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"hevc": "image/heic",
    b"mif1": "image/heif",
    b"msf1": "image/heif",
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"M4A ": "audio/mp4",
    b"qt  ": "video/quicktime",
}
"""Major brands of `ftyp` boxes; any other is a film."""
_SOUND_FORMATS = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "opus": "audio/opus",
    "ogg": "audio/ogg",
    "aac": "audio/aac",
    "m4a": "audio/mp4",
    "webm": "audio/webm",
    "pcm16": "audio/L16;rate=24000",
}
"""Words of Chat and Responses for the format of a sound."""
_SOUND_WORDS = {media_type: word for word, media_type in _SOUND_FORMATS.items()}
_CONTAINERS = ((b"OggS", "audio/ogg"), (b"\x1aE\xdf\xa3", "video/webm"))
"""Of sound and of films alike: which of them, only the client knows."""


def from_url(url: str) -> Inline | Link:
    """A `data:` URL as its bytes, any other address as a link."""
    header, comma, content = url[5:].partition(",") if url[:5].lower() == "data:" else ("", "", "")
    if not comma or len(header) > _HEADER_CHARACTERS_MAX:
        return Link(url)
    media_type, mark, encoding = header.rpartition(";")
    if not mark or encoding.strip().lower() != "base64":
        media_type, content = header, b64encode(unquote_to_bytes(content)).decode()
    return Inline(content, sniffed(content, media_type))


def to_url(source: Inline | Link) -> str:
    """The address of a link, the bytes as a `data:` URL."""
    return source.url if isinstance(source, Link) else f"data:{source.media_type};base64,{source.data}"


def sound_type(word: str) -> str:
    """Media type of a sound whose format Chat and Responses call `word`."""
    return _SOUND_FORMATS.get(word.lower(), f"audio/{word.lower()}" if word else "")


def sound_word(media_type: str) -> str:
    """The same the other way; empty: they have no word for it."""
    return _SOUND_WORDS.get(_ALIASES.get(media_type, media_type), "")


def type_of_address(url: str) -> str:
    """What the ending of an address says; empty: nothing."""
    name = url.partition("?")[0].partition("#")[0].rpartition("/")[2]
    return _ENDINGS.get(name.rpartition(".")[2].lower(), "") if "." in name else ""


def sniffed(data: str, declared: str = "") -> str:
    """Media type of base64 `data`: what its first bytes are, else what was declared, else `UNKNOWN`."""
    declared = _ALIASES.get(declared.strip().lower(), declared.strip())
    try:
        head = a2b_base64(data[:_HEAD_CHARACTERS].translate(_URL_SAFE) + "===")
    except (Error, ValueError):
        head = b""
    return _recognised(head, declared) or declared or UNKNOWN


def _recognised(head: bytes, declared: str) -> str:
    """The type that the bytes prove; empty where they leave the declared one standing."""
    for signature, media_type in _SIGNATURES:
        if head.startswith(signature):
            # Two letters are a weak proof: a text may begin with them.
            return "" if media_type == "image/bmp" and declared and not declared.startswith("image/") else media_type
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], "")
    is_film_or_sound = declared.startswith(("video/", "audio/"))
    if head[4:8] == b"ftyp":
        found = _BRANDS.get(head[8:12], "video/mp4")
        return "" if is_film_or_sound and not found.startswith("image/") else found
    for signature, media_type in _CONTAINERS:
        if head.startswith(signature):
            return "" if is_film_or_sound else media_type
    if not declared and len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:
        # The sync word of MPEG layer III. Raw samples look like it now and then, so a declared type stands.
        return "audio/mpeg"
    return ""

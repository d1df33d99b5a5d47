"""OpenAI's `images/generations`, `images/edits` and `images/variations`: bodies, and streams with partial images."""

from __future__ import annotations

import base64
import re
from typing import cast

from proxyapi.sandbox.pictures import SIDE_MAX, Colour, PictureFormat, draw
from proxyapi.sandbox.reading import MISSING, JsonObject, Refused, as_int, as_list, as_text
from proxyapi.sandbox.reply import Reply, event_stream, json_reply, named_event
from proxyapi.sandbox.request import Request
from proxyapi.sandbox.turn import bare

_IMAGES_MAX = 10
_PARTIAL_IMAGES_MAX = 3
_SIZE = re.compile(r"(\d{1,4})x(\d{1,4})")
_OUTPUT_TOKENS = {
    "low": {"square": 272, "portrait": 408, "landscape": 400},
    "medium": {"square": 1_056, "portrait": 1_584, "landscape": 1_568},
    "high": {"square": 4_160, "portrait": 6_240, "landscape": 6_208},
}
"""OpenAI's published tokens of gpt-image-1 by quality and form."""
_INPUT_IMAGE_TOKENS = 194
"""What a small square costs at low fidelity."""


def reply(request: Request) -> Reply:
    """Answers the three; what is asked for is in the path."""
    what = request.path.removeprefix("images/")
    prompt, values, uploads = _read(request)
    model = bare(request.model) or "dall-e-2"
    if what != "variations" and not prompt:
        raise Refused(400, "Missing required parameter: 'prompt'.", param="prompt", code=MISSING)
    if what != "generations" and not uploads:
        raise Refused(400, "Missing required parameter: 'image'.", param="image", code=MISSING)
    count = as_int(values.get("n")) or 1
    if not 1 <= count <= _IMAGES_MAX:
        raise Refused(400, f"Invalid 'n': expected a value between 1 and {_IMAGES_MAX}.", param="n")
    width, height, size = _size(as_text(values.get("size"), "auto"))
    kind = as_text(values.get("output_format"), "png")
    if kind not in ("png", "jpeg", "webp"):
        raise Refused(400, f"Invalid value: '{kind}'.", param="output_format", code="invalid_value")
    quality = as_text(values.get("quality"), "auto")
    quality = quality if quality in _OUTPUT_TOKENS else "medium"
    pictures = []
    for at in range(count):
        number = request.ids.number(f"colour {at}", 1 << 24)
        colour = Colour(number >> 16, number >> 8 & 255, number & 255)
        data = draw(cast(PictureFormat, kind), width, height, colour)
        pictures.append(base64.b64encode(data).decode())
    described: JsonObject = {"background": "opaque", "output_format": kind, "quality": quality, "size": size}
    usage = _usage(request, prompt, uploads, count, quality, width, height)
    dall_e = model.startswith("dall-e")
    if values.get("stream") is True and not dall_e:
        partial = min(as_int(values.get("partial_images")) or 0, _PARTIAL_IMAGES_MAX)
        name = "image_edit" if what == "edits" else "image_generation"
        return _stream(request, name, pictures, partial, described, usage)
    as_url = dall_e and as_text(values.get("response_format"), "url") == "url"
    answer: JsonObject = {
        "created": request.ids.created_at,
        "data": [
            {"url": f"data:image/{kind};base64,{picture}"} if as_url else {"b64_json": picture} for picture in pictures
        ],
    }
    if not dall_e:
        answer.update(described)
        if request.magic.kind != "nousage":
            answer["usage"] = usage
    return json_reply(answer)


def _read(request: Request) -> tuple[str, JsonObject, int]:
    """The prompt, the other values, and how many pictures came with them; of a form or of JSON."""
    form = request.form
    if form is None:
        body = request.body
        return as_text(body.get("prompt")), body, len(as_list(body.get("images"))) + ("image" in body)
    values: JsonObject = {name: form.text(name) for name in form.fields}
    for name in ("n", "partial_images"):
        if name in values:
            values[name] = int(form.text(name)) if form.text(name).isdigit() else None
    values["stream"] = form.flag("stream")
    return form.text("prompt"), values, len(form.files.get("image", ()))


def _size(size: str) -> tuple[int, int, str]:
    if size in ("auto", ""):
        return 1_024, 1_024, "1024x1024"
    match = _SIZE.fullmatch(size)
    if match is None or not 1 <= int(match[1]) <= SIDE_MAX or not 1 <= int(match[2]) <= SIDE_MAX:
        raise Refused(400, f"Invalid size '{size}'.", param="size", code="invalid_value")
    return int(match[1]), int(match[2]), size


def _usage(
    request: Request, prompt: str, uploads: int, count: int, quality: str, width: int, height: int
) -> JsonObject:
    form = "square" if width == height else "portrait" if width < height else "landscape"
    text, image = request.count(prompt) if prompt else 0, uploads * _INPUT_IMAGE_TOKENS
    output = _OUTPUT_TOKENS[quality][form] * count
    return {
        "total_tokens": text + image + output,
        "input_tokens": text + image,
        "output_tokens": output,
        "input_tokens_details": {"text_tokens": text, "image_tokens": image},
        "output_tokens_details": {"text_tokens": 0, "image_tokens": output},
    }


def _stream(
    request: Request, name: str, pictures: list[str], partial: int, described: JsonObject, usage: JsonObject
) -> Reply:
    head: JsonObject = {"created_at": request.ids.created_at, **described}
    events = []
    for picture in pictures:
        for index in range(partial):
            event = {"type": f"{name}.partial_image", "b64_json": picture, "partial_image_index": index, **head}
            events.append(named_event(f"{name}.partial_image", event))
        completed: JsonObject = {"type": f"{name}.completed", "b64_json": picture, **head}
        if request.magic.kind != "nousage":
            completed["usage"] = usage
        events.append(named_event(f"{name}.completed", completed))
    return event_stream(events)

"""The catalogue: what is on sale, for how much, and what it can do."""

from __future__ import annotations

from starlette.responses import Response

from proxyapi.console.marks import N_
from proxyapi.console.page import Page, get
from proxyapi.providers.listing import Listing
from proxyapi.usage import Unit

ROWS_MAX = 2000
PAGE_ROWS = 50
ABILITIES = {
    "text": N_("Text"),
    "image": N_("Images"),
    "audio": N_("Audio"),
    "video": N_("Video"),
    "file": N_("Files"),
    "pdf": N_("Files"),
    "embedding": N_("Embeddings"),
    "embeddings": N_("Embeddings"),
}
"""What pages call modalities; others are shown as they are."""
MAIN = (Unit.INPUT.value, Unit.CACHE_READ.value, Unit.OUTPUT.value)
"""The columns; other units stand on the model's own page."""


async def index(page: Page) -> Response:
    """A page of them: by words of the name, vendor and ability."""
    wanted = page.asked("q").strip().lower()[:100]
    vendor, ability = page.asked("vendor"), page.asked("ability")
    everything = page.desk.catalog.models()
    vendors = sorted({listing.vendor for listing in everything})
    found = [
        listing
        for listing in everything
        if all(word in listing.name.lower() for word in wanted.split())
        and (not vendor or listing.vendor == vendor)
        and (not ability or ability in abilities(listing))
    ]
    if page.asked("sort") == "price":
        found.sort(
            key=lambda listing: (listing.pricing.get(MAIN[0], 0) + listing.pricing.get(MAIN[2], 0), listing.name)
        )
    start = _start(page.asked("from"))

    def word(name: str) -> str:
        return page.speech.gettext(ABILITIES.get(name, name))

    return await page.render(
        "models.html",
        nav="models",
        rows=found[start : start + PAGE_ROWS],
        found=len(found),
        whole=len(everything),
        start=start,
        following=start + PAGE_ROWS if start + PAGE_ROWS < len(found) else 0,
        vendors=vendors,
        abilities=abilities,
        words=word,
        asked={name: page.asked(name) for name in ("q", "vendor", "ability", "sort")},
        choices=("image", "audio", "video", "embedding"),
        columns=MAIN,
        others=lambda listing: {Unit(unit): rate for unit, rate in listing.pricing.items() if unit not in MAIN},
    )


def abilities(listing: Listing) -> list[str]:
    """What goes in and comes out, each once; an embedding model is one whatever goes in."""
    if listing.mode == "embedding":
        return ["embedding"]
    return list(dict.fromkeys((*listing.modalities_in, *listing.modalities_out)))


def _start(text: str) -> int:
    return min(int(text), ROWS_MAX) if text.isascii() and text.isdecimal() and len(text) < 6 else 0


ROUTES = (get("/models", index),)

"""What pages call the units that are metered."""

from __future__ import annotations

from collections.abc import Mapping

from proxyapi.console.marks import N_
from proxyapi.usage import Unit

UNITS: Mapping[Unit, str] = {
    Unit.INPUT: N_("Input"),
    Unit.INPUT_AUDIO: N_("Audio input"),
    Unit.INPUT_IMAGE: N_("Image input"),
    Unit.CACHE_READ: N_("Cached input"),
    Unit.CACHE_READ_AUDIO: N_("Cached audio input"),
    Unit.CACHE_WRITE_5M: N_("Written to the cache"),
    Unit.CACHE_WRITE_30M: N_("Written to the cache for 30 minutes"),
    Unit.CACHE_WRITE_1H: N_("Written to the cache for an hour"),
    Unit.CACHE_WRITE_12H: N_("Written to the cache for 12 hours"),
    Unit.OUTPUT: N_("Output"),
    Unit.REASONING: N_("Reasoning"),
    Unit.OUTPUT_AUDIO: N_("Audio output"),
    Unit.OUTPUT_IMAGE: N_("Image output"),
    Unit.IMAGES: N_("Images"),
    Unit.CHARACTERS: N_("Characters"),
    Unit.AUDIO_SECONDS: N_("Seconds of audio"),
    Unit.WEB_SEARCH: N_("Web searches"),
    Unit.WEB_FETCH: N_("Web pages"),
    Unit.FILE_SEARCH: N_("File searches"),
    Unit.CODE_SESSION: N_("Code sessions"),
    Unit.REQUESTS: N_("Requests"),
    Unit.REPORTED_COST: N_("The provider's own price, 10⁻⁹ $"),
    Unit.OTHER_MODELS: N_("Other models in the same answer, 10⁻⁹"),
}

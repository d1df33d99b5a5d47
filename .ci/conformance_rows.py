"""Every recorded row that has a native route, through the gateway: bodies byte-equal, the ledger's units as recorded.

    conformance_rows.py KIT_JSONL GATEWAY_URL KEY DATABASE

Prints totals and every difference; exit 1 if there is one that is not explained by a rule (`EXPLAINED`).
"""

from __future__ import annotations

import base64
import collections
import http.client
import json
import math
import re
import sqlite3
import sys
import time
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PREFIXES = {
    "openai": "/openai",
    "anthropic": "/anthropic",
    "google": "/google",
    "openrouter": "/openrouter",
    "deepseek": "/deepseek",
}
ENDPOINTS = {
    "chat.completions", "completions", "responses", "messages", "messages.count_tokens", "embeddings", "moderations",
    "gemini.generateContent", "gemini.streamGenerateContent", "gemini.countTokens", "gemini.embedContent",
    "gemini.batchEmbedContents", "images.generations", "responses.input_tokens", "audio.speech",
}  # fmt: skip
CHAT = {"chat.completions", "completions"}
EXPLAINED = (
    (r"does not exist\. The addresses", "refused: not in the table of routes"),
    (r"Missing required field: model", "refused: without a model there is no price (a prompt template names it)"),
    (r"it does not serve", "refused: the model does not serve this endpoint"),
)
"""Refusals on purpose: rows that no gateway with this contract may pass on."""
OTHER_MODELS = ("advisor_message", "compaction")
"""Iterations of an Anthropic reply that come on top of its own usage: they are charged too."""


def number(value: Any) -> int:
    return int(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else 0


def frames(text: str) -> list[Any]:
    found = []
    for block in re.split(r"\r\n\r\n|\n\n", text):
        data = [line[5:].removeprefix(" ") for line in re.split(r"\r\n|\n", block) if line.startswith("data:")]
        try:
            found.append(json.loads("\n".join(data), parse_float=Decimal))
        except ValueError:
            continue
    return found


def objects(text: str) -> list[dict[str, Any]]:
    """The JSON objects of a reply, whether body, stream or array."""
    try:
        whole = json.loads(text, parse_float=Decimal)
    except ValueError:
        whole = frames(text)
    return [item for item in (whole if isinstance(whole, list) else [whole]) if isinstance(item, dict)]


def openai_totals(usage: dict[str, Any]) -> tuple[int, int]:
    prompt = number(usage.get("prompt_tokens", usage.get("input_tokens")))
    output = number(usage.get("completion_tokens", usage.get("output_tokens")))
    return prompt, output + max(0, number(usage.get("total_tokens")) - prompt - output)


def recorded(endpoint: str, text: str) -> tuple[int, int] | None:
    """Prompt and answer tokens as the provider reported them, all kinds together. None: no usage."""
    seen = objects(text)
    if endpoint in CHAT or endpoint == "embeddings":
        usages = [item["usage"] for item in seen if item.get("usage")]
        return openai_totals(usages[-1]) if usages else None
    if endpoint == "responses":
        finals = [
            item.get("response", item)
            for item in seen
            if item.get("type", "response").startswith("response.") or "output" in item
        ]
        usages = [item["usage"] for item in finals if item.get("usage")]
        return openai_totals(usages[-1]) if usages else None
    if endpoint == "messages":
        merged: dict[str, Any] = {}
        for item in seen:
            for usage in (item.get("usage"), (item.get("message") or {}).get("usage")):
                merged |= {name: value for name, value in (usage or {}).items() if value or name not in merged}
        if not merged:
            return None
        prompt = sum(number(merged.get(f"{kind}input_tokens")) for kind in ("", "cache_read_", "cache_creation_"))
        return prompt, number(merged.get("output_tokens"))
    if endpoint.startswith("gemini.") and "enerateContent" in endpoint:
        merged = {}
        for item in seen:
            merged |= item.get("usageMetadata") or {}
        if not merged:
            return None
        prompt = number(merged.get("promptTokenCount")) + number(merged.get("toolUsePromptTokenCount"))
        return prompt, number(merged.get("candidatesTokenCount")) + number(merged.get("thoughtsTokenCount"))
    return None


def reported_cost(text: str) -> int | None:
    """OpenRouter's bill in nano-dollars."""
    costs = [
        item["usage"]
        for item in objects(text)
        if isinstance(item.get("usage"), dict) and item["usage"].get("cost") is not None
    ]
    if not costs:
        return None
    cost = Decimal(costs[-1]["cost"])
    if costs[-1].get("is_byok") is True:
        cost += Decimal((costs[-1].get("cost_details") or {}).get("upstream_inference_cost") or 0)
    return math.ceil(cost * 10**9)


def path_of(row: dict[str, Any]) -> str:
    path = row["path"]
    if row["provider"] == "openrouter":
        path = path.removeprefix("/api")
    return PREFIXES[row["provider"]] + path


class Through:
    """One kept connection to the gateway."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self._key = key

    def ask(self, row: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        body = json.dumps(row["request"]["body"], ensure_ascii=False).encode()
        query = "&".join(part for part in row["query"].split("&") if part and not part.startswith("key="))
        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json", "x-replay-id": row["id"]}
        self._connection.request("POST", path_of(row) + (f"?{query}" if query else ""), body, headers)
        answer = self._connection.getresponse()
        data = answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, data


def main(data: str, url: str, key: str, database: str) -> int:
    through = Through(url, key)
    totals: collections.Counter[str] = collections.Counter()
    differences: list[str] = []
    asked: list[tuple[dict[str, Any], str, bytes]] = []
    for line in Path(data).open(encoding="utf-8"):  # noqa: SIM115
        row = json.loads(line)
        if row["provider"] not in PREFIXES or row["endpoint"] not in ENDPOINTS or row["kind"] != "exchange":
            continue
        if not isinstance(row["request"].get("body"), dict) or row["method"] != "POST":
            continue
        totals["rows"] += 1
        response = row["response"]
        expected = base64.b64decode(response["body_b64"]) if "body_b64" in response else response["body"].encode()
        status, headers, body = through.ask(row)
        reason = next(
            (
                why
                for pattern, why in EXPLAINED
                if status >= 400 and re.search(pattern, body.decode("utf-8", "replace"))
            ),
            "",
        )
        if reason:
            totals[reason] += 1
            continue
        if status >= 400 and response["status"] >= 400 and b'"detail":' in body and status == response["status"]:
            totals["refused by the gateway with the provider's own status"] += 1
            continue
        if status != response["status"]:
            totals["other status"] += 1
            differences.append(
                f"{row['id']} {row['provider']} {row['endpoint']} {row['model']}: "
                f"{status} instead of {response['status']}: {body[:160]!r}"
            )
            continue
        if body != expected:
            if row["stream"] and row["endpoint"] in CHAT and stripped(expected) == body:
                totals["byte-equal but for the usage chunk that the client did not ask for"] += 1
            else:
                totals["other bytes"] += 1
                differences.append(f"{row['id']} {row['endpoint']}: {len(body)} bytes instead of {len(expected)}")
        else:
            totals["byte-equal"] += 1
        if status < 400:
            asked.append((row, headers["x-request-id"], expected))
    time.sleep(1)  # the last settlements
    check_units(asked, database, totals, differences)
    for name, count in sorted(totals.items()):
        print(f"{count:6} {name}")
    for difference in differences:
        print("DIFF", difference)
    return 1 if differences else 0


def stripped(expected: bytes) -> bytes:
    """The stream without its chunk of nothing but usage."""
    kept = []
    for frame in re.split(rb"(?<=\n\n)|(?<=\r\n\r\n)", expected):
        found = frames(frame.decode("utf-8", "replace"))
        if not (found and isinstance(found[0], dict) and found[0].get("usage") and not found[0].get("choices")):
            kept.append(frame)
    return b"".join(kept)


def check_units(
    asked: list[tuple[dict[str, Any], str, bytes]],
    database: str,
    totals: collections.Counter[str],
    differences: list[str],
) -> None:
    store = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    for row, request_id, expected in asked:
        text = expected.decode("utf-8", "replace")
        found = store.execute(
            "SELECT kind, units, source, charged, ending FROM entry WHERE id = ?", (uuid.UUID(request_id).bytes,)
        ).fetchone()
        if found is None and re.search(r'"status": ?"(queued|in_progress)"', text) and not row["stream"]:
            totals["background: held until the provider has ended"] += 1
            continue
        if found is None:
            differences.append(f"{row['id']} {row['endpoint']}: no journal entry")
            continue
        kind, units_text, source, charged, ending = found
        units = json.loads(units_text or "{}")
        usage = recorded(row["endpoint"], text)
        if usage is None:
            totals[f"without usage: {kind} {source}"] += 1
            continue
        totals["with usage"] += 1
        prompt = sum(count for name, count in units.items() if name.startswith(("input_", "cache_")))
        answer = sum(count for name, count in units.items() if name.startswith(("output_", "reasoning_")))
        if (prompt, answer) != usage and any(f'"{word}"' in text for word in OTHER_MODELS):
            totals["units equal, and those of other iterations on top"] += 1
        elif (prompt, answer) != usage:
            totals["units differ"] += 1
            differences.append(
                f"{row['id']} {row['endpoint']} {row['model']}: units {units} ({source}, {ending}), recorded {usage}"
            )
        else:
            totals["units equal"] += 1
        cost = reported_cost(text) if row["provider"] == "openrouter" else None
        if cost is not None:
            totals["charged by the provider's cost"] += 1
            if charged != cost * 100:
                differences.append(f"{row['id']}: charged {charged}, the provider's cost is {cost} nano-dollars")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""What the gateway answers itself: health, metrics over all workers, and the lists of models in each shape."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types

_SAMPLE = re.compile(
    r'([a-z_:][a-z0-9_:]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (-?[0-9.e+-]+|\+Inf|NaN)', re.I
)
CHAT = "/openai/v1/chat/completions"
BODY: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 20}


def parse(text: str) -> dict[str, dict[str, float]]:
    """The Prometheus text format: every sample belongs to the family announced before it."""
    assert text.endswith("\n")
    found: dict[str, dict[str, float]] = {}
    family, kinds = "", {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split(" ", 3)[2]
            assert family not in kinds, f"{family} is announced twice"
        elif line.startswith("# TYPE "):
            assert line.split(" ")[2] == family
            kinds[family] = line.split(" ")[3]
        else:
            match = _SAMPLE.fullmatch(line)
            assert match, line
            name, labels, value = match.groups()
            suffix = name.removeprefix(family)
            assert suffix in (("_bucket", "_sum", "_count") if kinds[family] == "histogram" else ("",)), line
            assert (labels or "") not in found.setdefault(name, {}), line
            found[name][labels or ""] = float(value)
    for family in (family for family, kind in kinds.items() if kind == "histogram"):
        buckets = list(found[f"{family}_bucket"].values())
        assert buckets == sorted(buckets)
        assert buckets[-1] == found[f"{family}_count"][""]
    return found


@pytest.fixture(scope="module")
def gateway(gateways: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    config = "trusted_proxies = ['10.0.0.0/8']\n[pause]\nenabled = false\n"
    with gateways.Gateway(tmp_path_factory.mktemp("own"), config, workers=2) as running:
        yield running


def metrics(gateway: Any) -> dict[str, dict[str, float]]:
    status, headers, text = gateway.request("GET", "/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    return parse(text.decode())


def test_metrics_are_the_sum_of_all_workers(gateway: Any, eventually: Any) -> None:
    key = gateway.customer()[1]
    label = 'operation="chat",provider="sandbox",status="200"'
    before = metrics(gateway).get("proxyapi_requests_total", {}).get(label, 0)
    for _ in range(24):  # a connection each: the system deals them to both workers
        assert gateway.request("POST", CHAT, key=key, body=BODY)[0] == 200
    assert gateway.request("POST", CHAT, key="sk-wrong", body=BODY)[0] == 401
    eventually(lambda: metrics(gateway)["proxyapi_requests_total"].get(label, 0) == before + 24)
    found = eventually(lambda: now if (now := metrics(gateway))["proxyapi_workers"] == {"": 2} else None)
    assert found["proxyapi_refused_total"]['code="invalid_api_key"'] >= 1
    assert found["proxyapi_charged_nanos_total"][""] > 0
    assert found["proxyapi_ledger_operations_total"][""] >= 24
    assert found["proxyapi_ledger_batches_total"][""] >= 1
    units = found["proxyapi_units_total"]
    assert units['provider="sandbox",unit="input_tokens"'] > 0
    assert units['provider="sandbox",unit="output_tokens"'] > 0
    assert found["proxyapi_request_duration_ms_count"][""] >= 24


def test_metrics_exist_for_this_machine_only(gateway: Any) -> None:
    for forwarded in ("203.0.113.7", "127.0.0.1"):
        status, _, body = gateway.request("GET", "/metrics", headers={"x-forwarded-for": forwarded})
        assert (status, json.loads(body)["detail"]) == (404, "/metrics does not exist.")


def test_health_and_readiness_need_no_key(gateway: Any) -> None:
    assert gateway.request("GET", "/healthz")[::2] == (200, b'{"status":"ok"}')
    assert gateway.request("GET", "/readyz")[::2] == (200, b'{"status":"ok"}')
    assert gateway.request("GET", "/readyz/")[0] == 200


# --- models ----------------------------------------------------------------------------------------------------------


def test_the_openai_client_lists_models_natively_and_unified(sandboxed: Any, rich_key: str) -> None:
    def client(base: str) -> openai.OpenAI:
        return openai.OpenAI(api_key=rich_key, base_url=sandboxed.url + base, max_retries=0)

    native = {model.id: model for model in client("/openai/v1").models.list()}
    unified = {model.id: model for model in client("/v1").models.list()}
    assert "gpt-4o" in native and "openai/gpt-4o" in unified
    assert all("/" in id for id in unified)
    assert native["gpt-4o"].owned_by == "openai"
    assert client("/openai/v1").models.retrieve("gpt-4o").id == "gpt-4o"
    assert client("/v1").models.retrieve("openai/gpt-4o").id == "openai/gpt-4o"
    with pytest.raises(openai.NotFoundError):
        client("/openai/v1").models.retrieve("gpt-0-none")
    assert "deepseek-v3.2" in {model.id for model in client("/deepseek").models.list()}
    assert "mistralai/mistral-medium-3.1" in {model.id for model in client("/openrouter/v1").models.list()}


def test_the_anthropic_client_lists_models(sandboxed: Any, rich_key: str) -> None:
    client = anthropic.Anthropic(api_key=rich_key, base_url=f"{sandboxed.url}/anthropic", max_retries=0)
    names = [model.id for model in client.models.list()]
    assert "claude-haiku-4-5" in names
    assert len(names) == len(set(names))
    assert client.models.retrieve("claude-sonnet-4-20250514").type == "model"
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("claude-none")


def test_the_google_client_lists_models(sandboxed: Any, rich_key: str) -> None:
    client = genai.Client(api_key=rich_key, http_options=types.HttpOptions(base_url=f"{sandboxed.url}/google"))
    names = [model.name for model in client.models.list()]
    assert "models/gemini-2.0-flash" in names
    model = client.models.get(model="gemini-2.0-flash")
    assert model.name == "models/gemini-2.0-flash"
    assert model.input_token_limit and model.input_token_limit > 100_000
    with pytest.raises(genai.errors.ClientError):
        client.models.get(model="gemini-none")


def test_prices_are_numbers_in_the_currency_per_million(sandboxed: Any, rich_key: str) -> None:
    status, _, body = sandboxed.request("GET", "/proxyapi/prices", key=rich_key)
    answer = json.loads(body)
    assert (status, answer["currency"], answer["per"]) == (200, "RUB", 1_000_000)
    prices = {row["model"]: row["pricing"] for row in answer["prices"]}
    assert prices["openai/gpt-4o"]["input_tokens"] == 250
    assert len(prices) == len(answer["prices"]) > 100

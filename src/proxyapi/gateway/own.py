"""What the gateway answers itself: balance, estimate, prices, lists of models, health and metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec
from msgspec import Raw

from proxyapi import telemetry
from proxyapi.errors import InvalidRequest, NotFound
from proxyapi.gateway import routes
from proxyapi.gateway.entrance import JSON_HEADERS
from proxyapi.identity.addresses import contains, parse_address, parse_network
from proxyapi.identity.permissions import check_balance_query
from proxyapi.ids import parse_id
from proxyapi.ledger.receipt import customer_json
from proxyapi.money import format_amount
from proxyapi.pricing.charge import charge

if TYPE_CHECKING:
    from proxyapi.dialects.call import Call
    from proxyapi.gateway.relay import Relay
    from proxyapi.gateway.visit import Visit
    from proxyapi.ledger.ledger import Ledger
    from proxyapi.ledger.receipt import Receipt
    from proxyapi.providers.catalog import Catalog, Listing, Target

METRICS_NETWORKS = tuple(map(parse_network, ("127.0.0.0/8", "::1/128")))
"""`/metrics` tells what the installation earns: for others it does not exist. A scraper elsewhere needs a tunnel."""

Fetch = Callable[[str, Sequence[object]], Awaitable[Sequence[Sequence[Any]]]]

_encode = msgspec.json.Encoder().encode


def number(nanos: int) -> Raw:
    """An amount as a JSON number with all its decimals; no float on the way."""
    return Raw(format_amount(nanos).encode())


class Own:
    def __init__(
        self,
        *,
        ledger: Ledger,
        catalog: Catalog,
        relay: Relay,
        metrics: telemetry.Metrics,
        snapshots: Callable[[], Awaitable[Sequence[str]]],
        receipts: Callable[[bytes], Awaitable[Receipt | None]],
        currency: str,
        ready: Callable[[], str],
        home: bytes = b"",
    ) -> None:
        """`snapshots`: metrics of the other workers, as JSON. `receipts`: by the id of a request.

        `ready`: empty, or why no request is taken. `home`: where
        a browser that asks for the base address is sent."""
        self._ledger = ledger
        self._catalog = catalog
        self._relay = relay
        self._metrics = metrics
        self._snapshots = snapshots
        self._receipts = receipts
        self._currency = currency
        self._ready = ready
        self._home = home

    # --- money ----------------------------------------------------------------------------------------------------

    async def balance(self, visit: Visit) -> None:
        """`{"balance": 123.45}`; for a key with a budget what is left of it, with limit and used."""
        caller = visit.caller
        assert caller is not None, "the route needs a key"
        check_balance_query(caller)
        if caller.budget is None:
            state = await self._ledger.balance(caller.account_id)
            answer: dict[str, object] = {"balance": number(state.balance)}
        else:
            used = (await self._ledger.budget_state(caller.budget)).spent
            limit = caller.budget.limit
            answer = {
                "balance": number(max(0, limit - used)),
                "budget": {"limit": number(limit), "used": number(used)},
            }
        visit.respond(200, JSON_HEADERS, _encode(answer))

    async def receipt(self, visit: Visit) -> None:
        """What a request cost, for the key that made it; for a key that may query the balance, of any of its account's.
        For others there is no such request."""
        route, caller = visit.route, visit.caller
        assert route is not None and caller is not None, "the route needs a key"
        try:
            found = await self._receipts(parse_id(route.object_id))
        except ValueError:
            found = None
        if (
            found is None
            or found.account_id != caller.account_id
            or not (found.key_id == caller.key_id or caller.may_query_balance)
        ):
            raise NotFound(f"There is no request {route.object_id[:100]}.")
        visit.respond(200, JSON_HEADERS, _encode(customer_json(found, self._currency)))

    async def estimate(self, visit: Visit) -> None:
        """What a request would hold: `POST /proxyapi/estimate?path=/v1/chat/completions` with its body."""
        path = parse_qs(visit.exchange.query).get("path", [""])[0].partition("?")[0]
        if not path:
            raise InvalidRequest("Say which request: ?path=/v1/chat/completions", param="path")
        route = routes.find("POST", path)
        if route.kind not in ("paid", "upload"):
            raise InvalidRequest(f"{path} costs nothing.", param="path")
        priced = [await self._priced(call, target) for call, target in await self._relay.would_be(visit, route)]
        amount = max(amount for amount, _ in priced)
        first, *others = [about for _, about in priced]
        answer = first | {"estimate": number(amount), "currency": self._currency}
        visit.respond(200, JSON_HEADERS, _encode(answer | ({"fallbacks": others} if others else {})))

    async def _priced(self, call: Call, target: Target) -> tuple[int, dict[str, object]]:
        """What a target would hold, in nanos, and of what."""
        predicted = await self._relay.forecast(call, target)
        amount = charge(predicted.usage, target.price, variant=predicted.variant)
        return amount, {
            "estimate": number(amount),
            "model": target.name,
            "provider": target.provider.name,
            "units": {unit.value: quantity for unit, quantity in predicted.usage.items() if quantity},
        }

    async def prices(self, visit: Visit) -> None:
        """Every model on sale with its prices per million units, in the currency."""
        prices = [{"model": listing.name, "pricing": _pricing(listing.pricing)} for listing in self._catalog.models()]
        visit.respond(200, JSON_HEADERS, _encode({"currency": self._currency, "per": 1_000_000, "prices": prices}))

    # --- models ---------------------------------------------------------------------------------------------------

    async def models(self, visit: Visit) -> None:
        """The list, in the shape of the path's dialect."""
        route = visit.route
        assert route is not None, "the entrance found it"
        listings = self._catalog.models(route.provider)
        answer = _LISTS[route.shape](listings, self._currency, unified=route.provider is None)
        visit.respond(200, JSON_HEADERS, _encode(answer))

    async def model(self, visit: Visit) -> None:
        """One model; its id may contain slashes."""
        route = visit.route
        assert route is not None and route.model is not None, "the entrance found them"
        listing = self._catalog.find(route.model, route.provider)
        if listing is None:
            raise NotFound(f"The model '{route.model[:200]}' does not exist.", param="model")
        answer = _MODELS[route.shape](listing, self._currency, unified=route.provider is None)
        visit.respond(200, JSON_HEADERS, _encode(answer))

    # --- health ---------------------------------------------------------------------------------------------------

    async def hello(self, visit: Visit) -> None:
        """Clients probe the base address before they begin; people come here with a browser."""
        if self._home and visit.exchange.path == "/" and b"text/html" in (visit.exchange.header(b"accept") or b""):
            visit.respond(302, b"location: %b\r\nvary: accept\r\ncache-control: no-store\r\n" % self._home, b"")
            return
        visit.respond(200, JSON_HEADERS, b'{"service":"proxyapi","status":"ok"}')

    async def health(self, visit: Visit) -> None:
        """The process answers."""
        visit.respond(200, JSON_HEADERS, b'{"status":"ok"}')

    async def ready(self, visit: Visit) -> None:
        """Requests are taken: the store answers and this worker is not stopping."""
        why = self._ready()
        status = 503 if why else 200
        visit.respond(status, JSON_HEADERS, _encode({"status": why or "ok"}))

    async def metrics(self, visit: Visit) -> None:
        """Prometheus text of all workers, for this machine only."""
        address = parse_address(visit.peer)
        direct = visit.peer != visit.exchange.peer or visit.exchange.header(b"x-forwarded-for") is None
        if address is None or not direct or not contains(METRICS_NETWORKS, address):
            raise NotFound("/metrics does not exist.")
        others = [msgspec.json.decode(text) for text in await self._snapshots()]
        total = telemetry.add([self._metrics.snapshot(), *others])
        visit.respond(200, b"content-type: text/plain; version=0.0.4; charset=utf-8\r\n", telemetry.exposition(total))


# --- shapes of the lists ----------------------------------------------------------------------------------------------


def _pricing(pricing: dict[str, int]) -> dict[str, Raw]:
    return {unit: number(nanos) for unit, nanos in pricing.items()}


def _openai_model(listing: Listing, currency: str, *, unified: bool) -> dict[str, object]:
    return {
        "id": listing.name if unified else listing.native_name,
        "object": "model",
        "created": listing.created,
        "owned_by": listing.vendor,
        "context_window": listing.context_tokens_max,
        "max_output_tokens": listing.output_tokens_max,
        "modalities": {"input": listing.modalities_in, "output": listing.modalities_out},
        "pricing": {**_pricing(listing.pricing), "currency": currency, "per": 1_000_000},
        **({"fallbacks": listing.fallbacks} if listing.fallbacks else {}),
    }


def _openai_list(listings: Sequence[Listing], currency: str, *, unified: bool) -> dict[str, object]:
    return {"object": "list", "data": [_openai_model(listing, currency, unified=unified) for listing in listings]}


def _anthropic_model(listing: Listing, currency: str, *, unified: bool) -> dict[str, object]:
    return {
        "type": "model",
        "id": listing.name if unified else listing.native_name,
        "display_name": listing.native_name,
        "created_at": "1970-01-01T00:00:00Z",
        "max_input_tokens": listing.context_tokens_max,
        "max_tokens": listing.output_tokens_max,
    }


def _anthropic_list(listings: Sequence[Listing], currency: str, *, unified: bool) -> dict[str, object]:
    data = [_anthropic_model(listing, currency, unified=unified) for listing in listings]
    return {
        "data": data,
        "has_more": False,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }


def _google_model(listing: Listing, currency: str, *, unified: bool) -> dict[str, object]:
    embeds = listing.mode == "embedding"
    name = listing.name if unified else listing.native_name
    return {
        "name": f"models/{name}",
        "baseModelId": name,
        "version": "001",
        "displayName": name,
        "inputTokenLimit": listing.context_tokens_max,
        "outputTokenLimit": listing.output_tokens_max,
        "supportedGenerationMethods": ["embedContent", "countTokens"]
        if embeds
        else ["generateContent", "streamGenerateContent", "countTokens"],
    }


def _google_list(listings: Sequence[Listing], currency: str, *, unified: bool) -> dict[str, object]:
    return {"models": [_google_model(listing, currency, unified=unified) for listing in listings]}


_LISTS = {"openai": _openai_list, "anthropic": _anthropic_list, "google": _google_list}
_MODELS = {"openai": _openai_model, "anthropic": _anthropic_model, "google": _google_model}

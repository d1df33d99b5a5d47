"""What a key may use: models, endpoints, addresses. Pure; an empty list allows everything."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, get_args

from proxyapi.dialects.call import Operation
from proxyapi.errors import Forbidden
from proxyapi.identity.addresses import Network, contains, parse_address

if TYPE_CHECKING:
    from proxyapi.identity.keys import Caller

ENDPOINTS: tuple[str, ...] = get_args(Operation)
"""Names of `--endpoint`."""
FREE_ENDPOINTS = frozenset({"models", "model", "balance", "estimate", "prices", "receipt"})
"""Answers of the gateway itself that cost nothing: no key is kept from them by its list of endpoints."""


def model_allowed(patterns: Sequence[str], name: str, native_name: str) -> bool:
    """Does one of the patterns match: `openai/*` the unified name, `gpt-4o*` the provider's bare one?

    A pattern with a slash never means a bare name: `openai/*` is not OpenAI's models at an aggregator.
    """
    return not patterns or any(
        fnmatchcase(name, at) or ("/" not in at and fnmatchcase(native_name, at)) for at in patterns
    )


def check_model(caller: Caller, name: str, native_name: str) -> None:
    """Forbidden unless the key may use the model. `name` is `vendor/name`, `native_name` as the provider says it."""
    if caller.models and not model_allowed(caller.models, name, native_name):
        raise Forbidden(f"You are not allowed to access this model: {name}", param="model")


def check_endpoint(caller: Caller, operation: str) -> None:
    """Forbidden unless the key may use the endpoint. `operation` is of `ENDPOINTS` or of `FREE_ENDPOINTS`."""
    if caller.endpoints and operation not in caller.endpoints and operation not in FREE_ENDPOINTS:
        raise Forbidden(f"You are not allowed to access this endpoint: {operation}")


def check_address(caller: Caller, ip: str) -> None:
    """Forbidden unless the key may be used from the address."""
    if caller.networks and not _address_allowed(caller.networks, ip):
        raise Forbidden(f"You are not allowed to access this API from this IP address: {ip}")


def check_balance_query(caller: Caller) -> None:
    """Forbidden unless the key may see the balance, which is off by default."""
    if not caller.may_query_balance:
        raise Forbidden("You are not allowed to access this resource: the key may not query the balance")


def _address_allowed(networks: Sequence[Network], ip: str) -> bool:
    address = parse_address(ip)
    return address is not None and contains(networks, address)

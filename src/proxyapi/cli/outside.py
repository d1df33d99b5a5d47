"""I9 of `proxyapi audit`, in JSON and for people: the journal beside what payment and model providers say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from proxyapi.cli.output import money, table
from proxyapi.ledger.months import format_month
from proxyapi.money import format_amount

if TYPE_CHECKING:
    from proxyapi.ledger.audit.outside import DepositsReport, UpstreamCost

SHOWN_MAX = 20
"""Payments of a kind that are printed for people; --json has all."""


def deposits_report(report: DepositsReport) -> tuple[dict[str, object], str]:
    """JSON and text."""
    value = {
        "equal": report.equal,
        "booked": money(report.booked),
        "exported": money(report.exported),
        "only_booked": report.only_booked,
        "only_exported": report.only_exported,
        "different": [
            {"reference": one.reference, "booked": money(one.booked), "exported": money(one.exported)}
            for one in report.different
        ],
    }
    lines = [f"Deposits: {format_amount(report.booked)} booked, {format_amount(report.exported)} in the export."]
    lines += _some("Booked, but not in the export", report.only_booked)
    lines += _some("In the export, but not booked (`proxyapi deposit` books one)", report.only_exported)
    lines += _some(
        "Booked with another amount",
        [
            f"{one.reference}: {format_amount(one.booked)} instead of {format_amount(one.exported)}"
            for one in report.different
        ],
    )
    return value, "\n".join(lines)


def _some(title: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    more = f", and {len(names) - SHOWN_MAX:,} more" if len(names) > SHOWN_MAX else ""
    return [f"{title}: {', '.join(names[:SHOWN_MAX])}{more}."]


def costs_report(costs: Sequence[UpstreamCost]) -> tuple[list[dict[str, object]], str]:
    """JSON and text."""
    value: list[dict[str, object]] = [
        {
            "provider": one.provider,
            "month": format_month(one.month),
            "cost": money(one.cost),
            "requests_without_cost": one.unknown,
            "invoice": None if one.invoice is None else money(one.invoice),
            "difference": None if one.invoice is None else money(one.invoice - one.cost),
        }
        for one in costs
    ]
    rows = [
        (
            format_month(one.month),
            one.provider,
            format_amount(one.cost),
            one.unknown,
            "" if one.invoice is None else format_amount(one.invoice),
            "" if one.invoice is None else format_amount(one.invoice - one.cost),
        )
        for one in costs
    ]
    return value, table(("month", "provider", "cost>", "without cost>", "invoice>", "difference>"), rows)

"""`proxyapi usage`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from proxyapi.cli.installation import installation
from proxyapi.cli.options import SINCE, installation_options
from proxyapi.cli.output import emit, facts, money, table, timestamp
from proxyapi.errors import NotFound
from proxyapi.ids import format_id, parse_id
from proxyapi.money import format_amount

if TYPE_CHECKING:
    from proxyapi.ledger.receipt import Receipt
    from proxyapi.ledger.usage import UsageLine


@click.command()
@click.argument("account", required=False)
@click.option("--since", type=SINCE, help="A date (UTC), or 7d, 24h. From the beginning of its hour.")
@click.option(
    "--by", type=click.Choice(("day", "model", "key")), default="day", show_default=True, help="One line per."
)
@click.option("--request", metavar="ID", help="The receipt of one request, by its X-Request-ID.")
@installation_options
def usage(
    account: str | None,
    request: str | None,
    since: int | None,
    by: Literal["day", "model", "key"],
    data: Path | None,
    config: Path | None,
    json: bool,
) -> None:
    """What all customers, or ACCOUNT, used and were charged.

    \b
    proxyapi usage
    proxyapi usage acme --since 7d --by model
    proxyapi usage --request 019abc12-…                  the receipt of one request
    """
    if request is not None:
        if account is not None:
            raise click.UsageError("--request is about one request: name no account.")
        _show_receipt(request, data, config, json=json)
        return
    from proxyapi.ledger.usage import usage_now

    with installation(data, config, only_read=True) as at:
        found = at.accounts.find(account) if account else None
        lines = usage_now(at.database, by, account_id=found.id if found else None, since_ms=since or 0)
        currency = at.currency
        names = {str(key.id): _key_name(key.id, key.settings.name) for key in at.keys.list()} if by == "key" else {}
    value = {
        "by": by,
        "account": found.name if found else None,
        "since": timestamp(since),
        "currency": currency,
        "lines": [_line_json(line, by) for line in lines],
        "total": {
            "requests": sum(line.requests for line in lines),
            "failed": sum(line.failed for line in lines),
            "charged": money(sum(line.charged for line in lines)),
            "loss": money(sum(line.loss for line in lines)),
        },
    }
    emit(value, _usage_table(lines, by, names, currency), json=json)


def _show_receipt(request: str, data: Path | None, config: Path | None, *, json: bool) -> None:
    from proxyapi.ledger.receipt import operator_json, receipt_now
    from proxyapi.ledger.sealed import sealed_now

    with installation(data, config, only_read=True) as at:
        try:
            id = parse_id(request)
        except ValueError:
            raise NotFound(f"There is no request {request}: it is no id.") from None
        found = receipt_now(at.database, id)
        if found is None:
            files = sealed_now(at.database).files_with(id)
            sealed = f" in the database; its month is sealed in {' or '.join(files)}" if files else ""
            raise NotFound(f"There is no request {request}{sealed}.")
        account, currency = at.accounts.find(str(found.account_id)).name, at.currency
    value = operator_json(found, currency) | {"account": account}
    emit(value, _receipt_text(found, account, currency), json=json)


def _receipt_text(receipt: Receipt, account: str, currency: str) -> str:
    from proxyapi.ledger.receipt import words_of

    upstream = receipt.upstream_cost
    about = facts(
        [
            ("request", format_id(receipt.id)),
            ("state", receipt.state if receipt.state == "held" else f"{receipt.state}: {receipt.words}"),
            ("account", account),
            ("key", receipt.key_id),
            ("model", receipt.model),
            ("provider", receipt.provider),
            ("endpoint", receipt.operation),
            ("began", timestamp(receipt.started_at)),
            ("ended", timestamp(receipt.ended_at)),
            ("corrected", timestamp(receipt.corrected_at)),
            ("latency, ms", receipt.latency_ms),
            ("first byte, ms", receipt.first_byte_ms),
            ("attempts", receipt.attempts or None),
            ("before", "; ".join(f"{tried.provider}: {words_of(tried.ending)}" for tried in receipt.tried)),
            ("status", receipt.status),
            ("provider's id", receipt.upstream_id),
            ("usage", receipt.source),
            ("price version", f"{receipt.price_id} {receipt.variant}".rstrip()),
        ]
    )
    if receipt.state == "held":
        return f"{about}\n\nheld  {format_amount(receipt.held)} {currency}"
    sums = [
        ("cost", receipt.actual),
        ("held", receipt.held),
        ("returned", receipt.returned),
        ("charged", receipt.charged),
        ("loss", receipt.loss),
        ("upstream cost", upstream),
    ]
    rows = [(line.unit, line.quantity, format_amount(line.rate), line.amount) for line in receipt.lines]
    lines = table(("unit", "quantity>", "per million>", f"amount, {currency}>"), rows, empty="Nothing was used.")
    amounts = table(("", f"{currency}>"), [(name, format_amount(n)) for name, n in sums if n is not None])
    return f"{about}\n\n{lines}\n\n{amounts}"


def _key_name(key_id: int, name: str) -> str:
    return f"{key_id} {name}".rstrip()


def _line_json(line: UsageLine, by: str) -> dict[str, object]:
    name: object = int(line.name) if by == "key" else line.name
    return {
        by: name,
        "requests": line.requests,
        "failed": line.failed,
        "input": line.input,
        "cached": line.cached,
        "cache_write": line.cache_write,
        "output": line.output,
        "reasoning": line.reasoning,
        "other": line.other,
        "charged": money(line.charged),
        "loss": money(line.loss),
    }


def _quantities(line: UsageLine) -> tuple[int, ...]:
    return (
        line.requests, line.failed, line.input, line.cached, line.cache_write, line.output, line.reasoning, line.other,
    )  # fmt: skip


def _usage_table(lines: Sequence[UsageLine], by: str, names: Mapping[str, str], currency: str) -> str:
    columns = (
        by, "requests>", "failed>", "input>", "cached>", "cache write>", "output>", "reasoning>", "other>",
        f"charged, {currency}>",
    )  # fmt: skip
    rows: list[tuple[object, ...]] = [
        (
            names.get(line.name, line.name),
            *_quantities(line),
            format_amount(line.charged),
        )
        for line in lines
    ]
    if len(lines) > 1:
        sums = [sum(column) for column in zip(*(_quantities(line) for line in lines), strict=True)]
        rows.append(("total", *sums, format_amount(sum(line.charged for line in lines))))
    return table(columns, rows, empty="Nothing was used.")

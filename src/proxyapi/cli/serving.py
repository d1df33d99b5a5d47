"""`proxyapi serve` and `proxyapi demo`."""

from __future__ import annotations

from pathlib import Path

import click

from proxyapi.cli.installation import load_settings
from proxyapi.cli.options import place_options
from proxyapi.cli.output import emit


@click.command()
@click.option("--listen", metavar="HOST:PORT", help="Else PROXYAPI_LISTEN, the setting `listen`, 127.0.0.1:8080.")
@click.option("--workers", type=click.IntRange(0, 256), metavar="N", help="Processes; 0 is one per processor.")
@place_options
def serve(listen: str | None, workers: int | None, data: Path | None, config: Path | None) -> None:
    """Start the gateway. It needs no configuration.

    The first start makes the data directory, an account with test money and one key, which is printed once. A sandbox
    answers for every provider without a key. OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY, OPENROUTER_API_KEY and
    DEEPSEEK_API_KEY in the environment switch the real ones on.

    \b
    proxyapi serve
    proxyapi serve --listen 0.0.0.0:8080 --workers 4 --data /var/lib/proxyapi
    """
    settings = load_settings(data, config, listen=listen, workers=workers)
    from proxyapi import supervisor

    raise SystemExit(supervisor.serve(settings))


@click.command()
@click.option("--json", "json", is_flag=True, help="Print one JSON object instead of text.")
def demo(json: bool) -> None:
    """A tour in a minute: starts a gateway on a free port, sends it the documented requests through real clients and
    prints answers, costs and the balance. Needs no keys and leaves nothing behind.
    """
    from proxyapi import demo as tour

    lines: list[str] = []

    def write(text: str) -> None:
        lines.append(text)
        if not json:
            click.echo(text)

    code = tour.run(write)
    if json:
        emit({"ok": code == 0, "output": lines}, "", json=True)
    raise SystemExit(code)

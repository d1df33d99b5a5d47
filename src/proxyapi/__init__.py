"""proxyapi: a self-hosted gateway to AI providers with prepaid billing.

    cli                                    commands
    supervisor                             `serve`: gateway workers on one port
    app                                    composition root: settings -> objects
    sandbox                                a provider that needs no key
    gateway                                the data plane: one request, top to bottom
    identity                               who may spend
    ledger   |  pricing                    whose money  |  what it costs
    providers                              who answers: data (TOML), not code
    dialects |  wire  |  store             wire formats (pure)  |  HTTP/1.1 on transports  |  databases
    telemetry : settings
    errors | ids | money | usage           vocabulary

Imports point down; `make check` proves it.
"""

__version__ = "0.1.0"

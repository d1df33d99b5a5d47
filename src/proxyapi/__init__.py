"""proxyapi: a self-hosted gateway to AI providers with prepaid billing.

    cli                                    commands
    demo | supervisor                      a tour  |  `serve`: gateway workers on one port
    worker | firststart                    one gateway process  |  the first account and key
    app | maintenance                      composition root: settings -> objects  |  periodic work
    resources                              what a worker holds open
    gateway | sandbox                      the data plane  |  a provider that needs no key
    identity                               who may spend
    ledger | logbook | providers           whose money  |  the request log  |  who answers: data (TOML), not code
    pricing                                what it costs
    dialects | wire | store                wire formats (pure)  |  HTTP/1.1 on transports  |  databases
    telemetry | settings
    errors : ids : money : usage           vocabulary

Imports point down; `make check` proves it.
"""

__version__ = "0.1.0"

"""Who answers: providers are data (`data/*.toml`), not code.

* `provider`   a provider as it is reached: address, credential, paths by dialect, policies
* `catalog`    names of models -> targets: provider, native name, price and facts
* `listing`    a model as customers see it
* `quirks`     what differs from model to model: `[quirks]` and `[[models]]` of the data files
"""

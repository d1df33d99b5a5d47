"""What an operator can set: `proxyapi.toml`, the environment and flags become one frozen `Settings`.

Strongest first: flags, environment, file, defaults. A wrong key or value is a `SettingsError` that names it.

model      every setting as a field; its description is its documentation
load       file, environment and flags to `Settings`
reference  the page of all settings (`python -m proxyapi.settings` prints it) and the example file
"""

from proxyapi.settings.load import load
from proxyapi.settings.model import KEY_VARIABLES, TABLES, ProviderSettings, Secret, Settings, parse_listen
from proxyapi.settings.reference import example_toml, reference_markdown, shown

__all__ = [
    "KEY_VARIABLES",
    "TABLES",
    "ProviderSettings",
    "Secret",
    "Settings",
    "example_toml",
    "load",
    "parse_listen",
    "reference_markdown",
    "shown",
]

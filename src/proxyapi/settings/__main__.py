"""`python -m proxyapi.settings` prints the reference page."""

from proxyapi.settings.reference import reference_markdown

print(reference_markdown(), end="")  # noqa: T201 - this is its output

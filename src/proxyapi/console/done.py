"""What just succeeded, said in a toast after the redirect: `page.go("/keys", done="key-saved")`."""

from __future__ import annotations

from proxyapi.console.marks import N_

DONE = {
    "signed-out": N_("You have signed out"),
    "password-saved": N_("The password is changed"),
}
"""Only these words can be put on a page by an address."""

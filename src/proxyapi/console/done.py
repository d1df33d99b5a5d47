"""What just succeeded, said in a toast after the redirect: `page.go("/keys", done="key-saved")`."""

from __future__ import annotations

from proxyapi.console.marks import N_

DONE = {
    "log-off": N_("Requests are not kept any more"),
    "log-on": N_("Saved: requests are kept from now on"),
    "signed-out": N_("You have signed out"),
    "key-saved": N_("The key is saved"),
    "key-disabled": N_("The key is disabled"),
    "key-enabled": N_("The key works again"),
    "key-revoked": N_("The key is revoked"),
    "settings-saved": N_("The settings are saved"),
    "factor-off": N_("The second factor is off"),
    "session-ended": N_("The session has ended"),
    "sessions-ended": N_("All other sessions have ended"),
    "topped-up": N_("The voucher is booked"),
    "alert-saved": N_("The alert is saved"),
    "password-saved": N_("The password is changed"),
}
"""Only these words can be put on a page by an address."""

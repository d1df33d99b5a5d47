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
    "account-created": N_("The account is open"),
    "account-blocked": N_("The account is blocked"),
    "account-unblocked": N_("The account's keys work again"),
    "user-blocked": N_("The user is blocked and signed out"),
    "user-unblocked": N_("The user may sign in again"),
    "user-role": N_("The role is changed"),
    "user-factor": N_("The second factor is off"),
    "user-signed-out": N_("All sessions of the user have ended"),
    "deposited": N_("The deposit is booked"),
    "deposited-before": N_("This reference was booked before: nothing was changed"),
    "adjusted": N_("The balance is adjusted"),
    "refund-begun": N_("The money is taken from the account and on its way back"),
    "pricing-saved": N_("New prices count for requests from now on"),
    "price-saved": N_("Your price counts for requests from now on"),
    "price-reset": N_("The published price counts again"),
    "provider-on": N_("The provider is on"),
    "provider-off": N_("The provider is off: its models are not sold"),
    "vouchers-revoked": N_("The codes that are left pay no more"),
}
"""Only these words can be put on a page by an address."""

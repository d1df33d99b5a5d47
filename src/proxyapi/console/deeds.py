"""The operators' record in the words of a page: what was done, to what, by whom, and what was told of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import quote

from proxyapi.admin.acts import Facts
from proxyapi.console.marks import N_
from proxyapi.console.speech import Speech
from proxyapi.console.units import UNITS

DEEDS: Mapping[str, str] = {
    "account.create": N_("Opened an account"),
    "account.block": N_("Blocked an account"),
    "account.unblock": N_("Let an account work again"),
    "account.deposit": N_("Booked a deposit"),
    "account.adjust": N_("Adjusted a balance"),
    "account.request_log": N_("Chose how long requests are kept"),
    "account.when_short": N_("Chose what happens when money is short"),
    "user.create": N_("Let somebody sign in"),
    "user.password": N_("Set a user's password"),
    "user.block": N_("Blocked a user"),
    "user.unblock": N_("Let a user sign in again"),
    "user.role": N_("Changed a role"),
    "user.reset_factor": N_("Took a second factor off"),
    "user.sign_out": N_("Signed a user out"),
    "key.create": N_("Created a key"),
    "key.edit": N_("Changed a key"),
    "key.enable": N_("Enabled a key"),
    "key.disable": N_("Disabled a key"),
    "key.revoke": N_("Revoked a key"),
    "payment.refund": N_("Sent a payment back"),
    "vouchers.make": N_("Made vouchers"),
    "vouchers.revoke": N_("Revoked vouchers"),
    "price.set": N_("Set an own price"),
    "price.reset": N_("Dropped an own price"),
    "pricing.set": N_("Set rate and markup"),
    "provider.switch": N_("Switched a provider"),
    "audit.run": N_("Asked for an audit"),
    "token.create": N_("Created an API token"),
    "token.revoke": N_("Revoked an API token"),
}
"""Action -> what its operator did. Others are shown as they are called."""
SUBJECTS: Mapping[str, tuple[str, str]] = {
    "account": (N_("account %(name)s"), "/operator/accounts/{}"),
    "user": (N_("user %(name)s"), "/operator/users/{}"),
    "key": (N_("key %(name)s"), ""),
    "payment": (N_("payment %(name)s"), "/operator/payments/{}"),
    "vouchers": (N_("batch %(name)s"), "/operator/vouchers"),
    "model": (N_("model %(name)s"), "/operator/price?model={}"),
    "provider": (N_("provider %(name)s"), "/operator/providers/{}"),
    "token": (N_("token %(name)s"), ""),
    "pricing": (N_("all prices"), "/operator/prices"),
    "ledger": (N_("the journal"), "/operator/audit"),
}
"""First word of a subject -> its words, and its page."""
FACTS: Mapping[str, str] = {
    "account": N_("account"),
    "amount": N_("sum"),
    "balance": N_("balance"),
    "blocked": N_("blocked"),
    "budget": N_("budget"),
    "budget_period": N_("renewed"),
    "days": N_("days"),
    "email": N_("e-mail"),
    "enabled": N_("switched on"),
    "endpoints": N_("parts of the API"),
    "exchange_rate": N_("exchange rate"),
    "expires_at": N_("expires"),
    "left": N_("codes left"),
    "markup": N_("markup"),
    "may_query_balance": N_("may ask for the balance"),
    "models": N_("models"),
    "name": N_("name"),
    "networks": N_("networks"),
    "new": N_("new"),
    "note": N_("note"),
    "number": N_("codes"),
    "ok": N_("agrees"),
    "prefix": N_("begins with"),
    "reason": N_("reason"),
    "reference": N_("reference"),
    "refund": N_("refund"),
    "requests_per_minute": N_("requests a minute"),
    "role": N_("role"),
    "scope": N_("may"),
    "second_factor": N_("second factor"),
    "sessions": N_("sessions"),
    "status": N_("status"),
    "tokens_per_minute": N_("tokens a minute"),
    "violations": N_("violations"),
    "when_short": N_("when money is short"),
} | {unit.value: word for unit, word in UNITS.items()}
VALUES: Mapping[object, str] = {
    True: N_("yes"),
    False: N_("no"),
    "active": N_("active"),
    "disabled": N_("disabled"),
    "revoked": N_("revoked"),
    "never": N_("never"),
    "day": N_("daily"),
    "month": N_("monthly"),
    "customer": N_("customer"),
    "operator": N_("operator"),
    "refuse": N_("is refused"),
    "shorten": N_("gets a shorter answer"),
}
"""Of facts whose values are words of the program."""
SPOKEN_FACTS = frozenset({"status", "budget_period", "role", "when_short"})
"""Facts with such words; in others a text is somebody's own."""
OPERATORS: Mapping[str, str] = {"command line": N_("command line")}


class Subject(NamedTuple):
    words: str
    path: str
    """Of its page below /console; empty if it has none."""


def deed(speech: Speech, action: str) -> str:
    return speech.gettext(DEEDS[action]) if action in DEEDS else action


def subject(speech: Speech, text: str) -> Subject:
    kind, _, name = text.partition(" ")
    words, path = SUBJECTS.get(kind, ("", ""))
    return Subject(speech.gettext(words) % {"name": name}, path.format(quote(name))) if words else Subject(text, "")


def subject_of(speech: Speech, words: str) -> str:
    """What somebody looks for, as the record has it: `счёт 7` is `account 7`."""
    for kind, (said, _path) in SUBJECTS.items():
        before, place, after = speech.gettext(said).partition("%(name)s")
        if words.startswith(before) and words.endswith(after) and (place or words == before):
            return f"{kind} {words.removeprefix(before).removesuffix(after)}".strip()
    return words


def operator(speech: Speech, name: str) -> str:
    """An address as it is; a token, or the command line, in words."""
    kind, _, rest = name.partition(" ")
    if kind == "token" and rest:
        words, _path = SUBJECTS[kind]
        return speech.gettext(words) % {"name": rest}
    return speech.gettext(OPERATORS[name]) if name in OPERATORS else name


def facts(speech: Speech, told: Facts | None) -> Iterator[tuple[str, str]]:
    """Name and value of what is worth saying."""
    for name, value in (told or {}).items():
        if value in (None, "", [], ()):
            continue
        words = speech.gettext(FACTS[name]) if name in FACTS else name
        if isinstance(value, bool) or name in SPOKEN_FACTS:
            yield words, speech.gettext(VALUES[value]) if value in VALUES else str(value)
        else:
            yield words, ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)

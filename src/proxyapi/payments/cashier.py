"""Payments from the order to the deposit. Blocking: the provider is asked between transactions, never inside one.

Every step can be lost and is done again: creation under the idempotence key that is written down before; the deposit
under the payment's own reference, in the transaction that closes the payment. Notices come late, twice, in any order
or from somebody else: each is only the occasion to ask. Without any notice `reconcile` asks by itself.

Refunds are in `refunds`.
"""

from __future__ import annotations

from collections.abc import Callable

from proxyapi.errors import InvalidRequest, NotFound, PaymentRefused, TooManyRequests
from proxyapi.ids import IdSource, format_id, parse_id
from proxyapi.ledger.offline import OfflineLedger
from proxyapi.ledger.ops import TEXT_MAX
from proxyapi.money import format_amount
from proxyapi.payments.port import REPEAT_MS, Notice, Order, Provider, Providers, Remote
from proxyapi.payments.records import SQL, Funded, Payment, Records
from proxyapi.store.database import Database

OPEN_MAX = 20
"""Payments of one account that wait for their customer: more is not a customer who pays."""
RETRY_MS_MIN = 30_000
RETRY_MS_MAX = 3_600_000
"""An open payment is asked for again after a quarter of its age, but neither sooner nor later than this."""

Problem = Callable[[str], None]
"""Hears, in a sentence without secrets, of what an operator has to look at."""


def retry_at(created_at: int, now: int) -> int:
    """When to ask again for something that is open."""
    return now + min(max((now - created_at) // 4, RETRY_MS_MIN), RETRY_MS_MAX)


class Cashier:
    """Safe for several processes and threads."""

    def __init__(
        self,
        database: Database,
        ledger: OfflineLedger,
        *,
        providers: Providers,
        currency: str,
        amount_min: int,
        amount_max: int,
        return_url: str,
        ids: IdSource,
        clock_ms: Callable[[], int],
        funded: Funded,
        problem: Problem,
    ) -> None:
        """`return_url`: the page that customers come back to; `?payment=ID` is added."""
        self._database = database
        self._ledger = ledger
        self._providers = providers
        self._currency = currency
        self._amount_min = amount_min
        self._amount_max = amount_max
        self._return_url = return_url
        self._ids = ids
        self._clock_ms = clock_ms
        self._funded = funded
        self._problem = problem
        self.records = Records(database)

    @property
    def providers(self) -> list[str]:
        """Names of those that can be paid through."""
        return [name for name, at in self._providers.items() if self._currency in at.currencies]

    # --- a payment ---------------------------------------------------------------------------------------------------

    def start(self, account_id: int, amount: int, *, provider: str) -> Payment:
        """Begin a payment; its `link` is where the customer pays. InvalidRequest names a wrong amount.

        PaymentRefused: there is none. PaymentUnknown: the provider could not be asked; it will be asked again, and
        nobody can pay what has no link."""
        at = self._provider(provider)
        self._check(at, amount)
        id, now = self._ids(), self._clock_ms()
        with self._database.transaction() as transaction:
            if transaction.execute(SQL["payments_open_of_account"], (account_id,))[0][0] >= OPEN_MAX:
                raise TooManyRequests(
                    f"{OPEN_MAX} payments are open already: pay one of them.", retry_after_seconds=600
                )
            values = (id, account_id, provider, None, "new", self._currency, amount, 0, "", now, now)
            transaction.execute(SQL["payment_add"], (*values, now + RETRY_MS_MIN))
        self._create(self.records.payment(id), at)
        return self.records.payment(id)

    def refresh(self, payment: Payment) -> Payment:
        """Ask its provider how it stands, and book what has come."""
        at = self._providers.get(payment.provider)
        if at is None:
            return payment
        if payment.provider_id is not None:
            remote = at.ask(payment.provider_id)
            if remote is None:
                self._end(payment, None, "failed", "unknown_to_provider")
            else:
                self.take(payment, remote, at)
        elif self._clock_ms() - payment.created_at < REPEAT_MS:
            self._create(payment, at)
        else:  # nobody has ever seen its link
            self._end(payment, None, "canceled", "not_answered")
        return self.records.payment(payment.id)

    def find(self, provider: str, notice: Notice) -> Payment | None:
        """The payment that a notice is about, if we have begun it: for others the provider is not asked at all."""
        payment = self.records.payment_at(provider, notice.payment_id)
        if payment is not None or not notice.order_id:
            return payment
        try:  # the answer that named the provider's id was lost
            payment = self.records.payment(parse_id(notice.order_id))
        except (ValueError, NotFound):
            return None
        return payment if payment.provider == provider and payment.provider_id is None else None

    def noticed(self, provider: str, notice: Notice, payment: Payment) -> bool:
        """A payment may have changed. False: the provider knows of no such payment, the notice is forged."""
        if payment.state == "succeeded":
            return True
        at = self._provider(provider)
        remote = at.ask(notice.payment_id)
        if remote is None or remote.order_id != format_id(payment.id):
            return False
        self.take(payment, remote, at)
        return True

    def claim(self, payment: Payment, now: int) -> bool:
        """Of several processes that find it due, one asks."""
        with self._database.transaction() as transaction:
            values = (retry_at(payment.created_at, now), payment.id, payment.next_at)
            return bool(transaction.execute(SQL["payment_claim"], values))

    # --- what the provider says --------------------------------------------------------------------------------------

    def _create(self, payment: Payment, at: Provider) -> None:
        id = format_id(payment.id)
        order = Order(
            id=id,
            account_id=payment.account_id,
            amount=payment.amount,
            currency=payment.currency,
            description=f"Account {payment.account_id}: {format_amount(payment.amount)} {payment.currency}",
            return_url=f"{self._return_url}{'&' if '?' in self._return_url else '?'}payment={id}",
        )
        try:
            remote = at.create(order)
        except PaymentRefused:
            self._end(payment, None, "canceled", "refused_by_provider")
            raise
        self.take(payment, remote, at)

    def take(self, payment: Payment, remote: Remote, at: Provider) -> None:
        """What the provider itself has said of a payment becomes our record, and a deposit once it has succeeded."""
        if remote.currency != payment.currency:
            self._problem(f"Payment {format_id(payment.id)} is in {remote.currency}, not {payment.currency}.")
            self._end(payment, remote.id, "failed", "currency")
            return
        match remote.state:
            case "succeeded":
                self._paid(payment, remote)
            case "canceled":
                self._end(payment, remote.id, "canceled", remote.reason)
            case "waiting":
                self._move(payment, remote)
                captured = at.capture(remote)
                if captured.state != "waiting":
                    self.take(payment, captured, at)
            case "pending":
                self._move(payment, remote)

    def _paid(self, payment: Payment, remote: Remote) -> None:
        """Exactly one deposit, of what came: the row's state decides, and the ledger's reference stands behind it."""
        if remote.amount <= 0:
            self._problem(f"Payment {format_id(payment.id)} has succeeded with nothing paid.")
            self._end(payment, remote.id, "failed", "nothing_paid")
            return
        with self._database.transaction() as transaction:
            values = (remote.id, remote.amount, self._clock_ms(), payment.id)
            if not transaction.execute(SQL["payment_paid"], values):
                return
            reference = f"{payment.provider}:{remote.id}"
            self._ledger.deposit(payment.account_id, remote.amount, reference=reference, within=transaction)
            self._funded(transaction, payment.account_id)
        if remote.amount != payment.amount:
            asked, came = format_amount(payment.amount), format_amount(remote.amount)
            self._problem(f"Of payment {format_id(payment.id)} {asked} was asked, {came} came and was deposited.")

    def _move(self, payment: Payment, remote: Remote) -> None:
        values = (remote.id, remote.state, remote.link or payment.link, "", self._clock_ms(), payment.id)
        with self._database.transaction() as transaction:
            transaction.execute(SQL["payment_begun"], values)

    def _end(self, payment: Payment, remote_id: str | None, state: str, reason: str) -> None:
        values = (remote_id, state, reason[:TEXT_MAX], self._clock_ms(), payment.id)
        with self._database.transaction() as transaction:
            transaction.execute(SQL["payment_ended"], values)

    # --- checks ------------------------------------------------------------------------------------------------------

    def _provider(self, name: str) -> Provider:
        at = self._providers.get(name)
        if at is None or self._currency not in at.currencies:
            raise NotFound("There is no such way to pay.", param="provider")
        return at

    def _check(self, at: Provider, amount: int) -> None:
        if not self._amount_min <= amount <= self._amount_max:
            least, most = format_amount(self._amount_min), format_amount(self._amount_max)
            raise InvalidRequest(f"a payment is from {least} to {most} {self._currency}", param="amount")
        if amount % at.step:
            raise InvalidRequest(
                f"a payment is a multiple of {format_amount(at.step)} {self._currency}", param="amount"
            )

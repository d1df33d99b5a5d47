"""People who sign in to the console, as operators see and change them. The money is their accounts': `customers`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from proxyapi.admin.acts import SQL, Facts, Operator
from proxyapi.admin.customers import QUERY_CHARACTERS_MAX, escaped
from proxyapi.admin.office import LIMIT_MAX, Office, number_cursor
from proxyapi.admin.views import Page, UserView, moment, page
from proxyapi.errors import Conflict, NotFound
from proxyapi.store.database import Transaction

Which = Literal["all", "operators", "blocked"]
Role = Literal["customer", "operator"]
_WHICH = {"all": "", "operators": " AND u.role = 'operator'", "blocked": " AND u.blocked = 1"}


def search(
    office: Office, *, query: str = "", which: Which = "all", account: int | None = None, after: str = "",
    limit: int = 50,
) -> Page[UserView]:  # fmt: skip
    """Newest first, by a part of the e-mail address."""
    limit = min(limit, LIMIT_MAX)
    where, values = f" WHERE u.id < ?{_WHICH[which]}", [office.clock_ms(), number_cursor(after)]
    if query := query.strip()[:QUERY_CHARACTERS_MAX]:
        where += " AND u.email LIKE ? ESCAPE '!'"
        values.append(f"%{escaped(query.lower())}%")  # type: ignore[arg-type]
    if account is not None:
        where += " AND u.account_id = ?"
        values.append(account)
    rows = office.database.fetch_now(f"{SQL['user_columns']}{where} ORDER BY u.id DESC LIMIT ?", (*values, limit + 1))
    return page([_user(row) for row in rows], limit, str(rows[limit - 1][0]) if len(rows) > limit else "")


def user(office: Office, id: int) -> UserView:
    """NotFound."""
    rows = office.database.fetch_now(f"{SQL['user_columns']} WHERE u.id = ?", (office.clock_ms(), id))
    if not rows:
        raise NotFound(f"There is no user {id}.")
    return _user(rows[0])


def set_blocked(office: Office, operator: Operator, id: int, blocked: bool) -> UserView:
    """Who is blocked is signed out and cannot sign in; keys of the account go on working. Conflict: oneself."""
    before = user(office, id)
    if before.blocked == blocked:
        return before
    return _change(
        office, operator, before, "user.block" if blocked else "user.unblock",
        lambda within: office.users.set_blocked(id, blocked, within=within),
        {"blocked": before.blocked}, {"blocked": blocked},
    )  # fmt: skip


def set_role(office: Office, operator: Operator, id: int, role: Role) -> UserView:
    """Let somebody run the installation, or no more. Conflict: oneself."""
    before = user(office, id)
    if before.role == role:
        return before
    return _change(
        office, operator, before, "user.role", lambda within: office.users.set_role(id, role, within=within),
        {"role": before.role}, {"role": role},
    )  # fmt: skip


def reset_factor(office: Office, operator: Operator, id: int) -> UserView:
    """For whoever lost the phone and the recovery codes: the password is enough again. Conflict: there is none."""
    before = user(office, id)
    if not before.second_factor:
        raise Conflict("There is no second factor.")
    return _change(
        office, operator, before, "user.reset_factor",
        lambda within: office.users.set_factor(id, None, within=within),
        {"second_factor": True}, {"second_factor": False}, oneself=True,
    )  # fmt: skip


def sign_out(office: Office, operator: Operator, id: int) -> UserView:
    """End all sessions of somebody."""
    before = user(office, id)
    return _change(
        office, operator, before, "user.sign_out", lambda within: office.users.end_sessions(id, within=within),
        {"sessions": before.sessions}, {"sessions": 0}, oneself=True,
    )  # fmt: skip


def _change(
    office: Office, operator: Operator, before: UserView, action: str, change: Callable[[Transaction], None],
    was: Facts, became: Facts, *, oneself: bool = False,
) -> UserView:  # fmt: skip
    """`oneself`: an operator may do it to himself."""
    if not oneself and operator.name == before.email:
        raise Conflict("Another operator has to do this: you could not undo it yourself.")
    with office.doing(operator, action, f"user {before.id}") as act:
        change(act.transaction)
        act.was, act.became = {"email": before.email, **was}, {"email": before.email, **became}
    return user(office, before.id)


def _user(row: Sequence[Any]) -> UserView:
    id, email, role, account_id, confirmed_at, blocked, factor, sessions, created_at = row
    return UserView(
        id=id, email=email, role=role, account_id=account_id, confirmed=confirmed_at is not None, blocked=bool(blocked),
        second_factor=bool(factor), sessions=sessions, created_at=moment(created_at),
    )  # fmt: skip

"""People who sign in, as operators and their programs see and change them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from proxyapi.admin import people
from proxyapi.admin.acts import Operator
from proxyapi.console.sessions import Sessions
from proxyapi.console.users import Role, User, Users
from proxyapi.errors import Conflict


@pytest.fixture
def users(house: Any) -> Users:
    return Users(house.database, time.time)


def _add(house: Any, users: Users, email: str, role: Role = "customer") -> User:
    return users.add(email, "hashed", role=role, account_id=house.account(email), confirmed=True)


def test_users_are_found_by_a_part_of_the_address_role_or_account(house: Any, users: Users) -> None:
    maria = _add(house, users, "maria@example.com")
    _add(house, users, "root@example.com", "operator")

    def found(**query: str) -> list[str]:
        return [item["email"] for item in house.get("/users", **query)["items"]]

    assert found() == ["root@example.com", "maria@example.com"]
    assert found(query="ARIA@") == ["maria@example.com"]
    assert found(query="m_ria") == []
    assert found(which="operators") == ["root@example.com"]
    assert found(account=str(maria.account_id)) == ["maria@example.com"]
    first = house.get("/users", limit=1)
    assert [item["email"] for item in house.get("/users", limit=1, after=first["next"])["items"]] == [maria.email]


def test_who_is_blocked_is_signed_out_and_it_is_recorded(house: Any, users: Users) -> None:
    maria = _add(house, users, "maria@example.com")
    Sessions(house.database, time.time).start(maria.id, agent="", address="", kept=False)
    assert house.get(f"/users/{maria.id}")["sessions"] == 1
    changed = house.do("PATCH", f"/users/{maria.id}", {"blocked": True})
    assert (changed["blocked"], changed["sessions"]) == (True, 0)
    assert users.get(maria.id).blocked
    house.do("PATCH", f"/users/{maria.id}", {"blocked": True})  # is so already: nothing to record
    assert not house.do("PATCH", f"/users/{maria.id}", {"blocked": False})["blocked"]
    assert house.acts()[-2:] == ["user.block", "user.unblock"]


def test_somebody_is_signed_out_everywhere_and_may_come_back(house: Any, users: Users) -> None:
    maria = _add(house, users, "maria@example.com")
    sessions = Sessions(house.database, time.time)
    for _ in range(2):
        sessions.start(maria.id, agent="", address="", kept=True)
    assert house.do("DELETE", f"/users/{maria.id}/sessions", None)["sessions"] == 0
    sessions.start(maria.id, agent="", address="", kept=True)
    act = house.get("/acts")["items"][0]
    assert (act["action"], act["was"]) == ("user.sign_out", {"email": maria.email, "sessions": 2})
    assert house.get(f"/users/{maria.id}")["sessions"] == 1


def test_a_lost_second_factor_is_taken_off_once(house: Any, users: Users) -> None:
    maria = _add(house, users, "maria@example.com")
    users.set_factor(maria.id, b"secret", ["code"])
    assert house.do("DELETE", f"/users/{maria.id}/factor", None)["second_factor"] is False
    assert users.codes_left(maria.id) == 0
    assert house.ask("DELETE", f"/users/{maria.id}/factor").status == 409


def test_a_role_is_given_and_taken_but_never_ones_own(house: Any, users: Users) -> None:
    root = _add(house, users, "root@example.com", "operator")
    maria = _add(house, users, "maria@example.com")
    himself, office = Operator(name=root.email), house.back.office
    for act in (
        lambda: people.set_role(office, himself, root.id, "customer"),
        lambda: people.set_blocked(office, himself, root.id, True),
    ):
        with pytest.raises(Conflict):
            act()
    assert people.set_role(office, himself, maria.id, "operator").role == "operator"
    assert house.do("PATCH", f"/users/{root.id}", {"role": "customer"})["role"] == "customer"
    assert house.ask("GET", "/users/987654").status == 404


def test_what_happens_when_money_is_short_is_chosen_for_an_account_and_recorded(house: Any) -> None:
    account = house.account()
    assert house.get(f"/accounts/{account}")["when_short"] == "refuse"
    changed = house.do("PATCH", f"/accounts/{account}", {"when_short": "shorten"})
    assert (changed["when_short"], changed["blocked"]) == ("shorten", False)
    act = house.get("/acts")["items"][0]
    assert (act["action"], act["was"], act["became"]) == (
        "account.when_short", {"when_short": "refuse"}, {"when_short": "shorten"},
    )  # fmt: skip

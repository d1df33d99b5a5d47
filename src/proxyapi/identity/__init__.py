"""Who may spend: accounts, their keys, and what each key is allowed.

keys.py        a request's key to its `Caller`: extraction, digest, cache
permissions.py models, endpoints and addresses that a key may use
addresses.py   the client's address, behind trusted proxies too
pause.py       keys that collect errors pause, longer each time
revisions.py   edits made elsewhere are noticed within a second
objects.py     what a provider keeps belongs to the account that made it
accounts.py    management of accounts and keys, for the command line and the console
currency.py    the one currency of an installation; secret.py its one secret
identity.sql   the statements
"""

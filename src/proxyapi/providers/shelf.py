"""What is on sale, for a process in which some threads read prices while others edit them.

The catalog on the shelf is replaced, never changed: who has taken it reads on in peace. It is listed before it is put
there, as looking up some thousand prices takes a part of a second that no page shall wait for.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from proxyapi.providers.catalog import Catalog


class Shelf:
    """One for a process, on which others may edit prices too."""

    def __init__(
        self, make: Callable[[], Catalog], *, renew: Callable[[Catalog], None], edition: Callable[[], int]
    ) -> None:
        """`renew` reads again what was edited. `edition`: a number that grows with every edit."""
        self._renew = renew
        self._edition = edition
        self._lock = Lock()
        self._listed = False
        self._number = edition()  # before what it counts: an edit in between is read twice rather than never
        self._catalog = make()

    @property
    def catalog(self) -> Catalog:
        """As it was when somebody last looked."""
        return self._catalog

    def list(self) -> None:
        """From now on, what is put on the shelf is listed already. Takes a part of a second."""
        with self._lock:
            self._catalog.models()
            self._listed = True

    def look(self) -> Catalog:
        """As it is now, whoever has changed it. Blocks."""
        with self._lock:
            number = self._edition()
            if number != self._number or self._catalog.expired:
                fresh = self._catalog.copy()
                self._renew(fresh)
                if self._listed:
                    fresh.models()
                self._catalog, self._number = fresh, number
            return self._catalog

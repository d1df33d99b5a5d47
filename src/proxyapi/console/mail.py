"""Messages to users: by SMTP, or into the log where no server is set, so that a first try needs none."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any, Literal, Protocol

from msgspec import Struct

SEND_SECONDS = 20.0


class MailServer(Struct, frozen=True, kw_only=True):
    """Where messages are handed in."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    user: str
    password: str
    sender: str


class Mailer(Protocol):
    """Sends one message of plain text."""

    async def send(self, to: str, subject: str, text: str) -> None:
        """Returns when it is on its way, or has failed: a page must not show which addresses exist."""


class LogMailer:
    """Prints messages for the operator. For development: who reads the log can sign in as anybody."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    async def send(self, to: str, subject: str, text: str) -> None:
        self._write(f"No mail server is set: a message to {to} is printed instead.\n  {subject}\n\n{_indented(text)}\n")


class SmtpMailer:
    """Hands messages to a mail server, in a thread; what fails is told to the operator."""

    def __init__(self, server: MailServer, tls: Callable[[], Any], on_failure: Callable[[str], None]) -> None:
        """`tls` makes a context that verifies certificates (`ssl.create_default_context`); smtplib's own does not."""
        self._server = server
        self._tls = tls
        self._on_failure = on_failure

    async def send(self, to: str, subject: str, text: str) -> None:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._server.sender, to, subject
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        try:
            await asyncio.to_thread(self._hand_in, message)
        except (OSError, smtplib.SMTPException) as error:
            self._on_failure(f"A message could not be sent: {type(error).__name__}")

    def _hand_in(self, message: EmailMessage) -> None:
        server = self._server
        context = self._tls()
        if server.security == "tls":
            client: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=SEND_SECONDS, context=context)
        else:
            client = smtplib.SMTP(server.host, server.port, timeout=SEND_SECONDS)
        with client:
            if server.security == "starttls":
                client.starttls(context=context)
            if server.user:
                client.login(server.user, server.password)
            client.send_message(message)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())

"""Who may open a stream: static or signed tokens, and web pages of known origin. Nothing here is ever logged."""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import os
import sys
from urllib.parse import urlsplit

from services.capture.settings import is_loopback
from shared.clock import SystemClock

_PREFIX = "mt1"
_MIN_SECRET_CHARS = 16


def sign(secret: str, expires_s: int) -> str:
    """A token ``mt1.<epoch seconds>.<signature>`` that is good until ``expires_s``."""
    digest = hmac.new(secret.encode(), f"{_PREFIX}.{expires_s}".encode(), hashlib.sha256).digest()
    return f"{_PREFIX}.{expires_s}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


class Doorkeeper:
    """Checks what a client shows. With neither tokens nor a secret everybody who can reach the socket may come in."""

    def __init__(self, tokens: str, secret: str, origins: str) -> None:
        """Raises ``ValueError`` for a secret that can be guessed."""
        if secret and len(secret) < _MIN_SECRET_CHARS:
            raise ValueError(f"CAPTURE_TOKEN_SECRET needs at least {_MIN_SECRET_CHARS} characters")
        self._tokens = [token.strip().encode() for token in tokens.split(",") if token.strip()]
        self._secret = secret
        self._origins = {_authority(origin) for origin in origins.split(",") if origin.strip()}

    @property
    def open(self) -> bool:
        return not self._tokens and not self._secret

    def admits(self, token: str, now_s: float) -> bool:
        """Whether this token opens the door; compares in constant time."""
        if self.open:
            return True
        given = token.encode()
        known = False
        for candidate in self._tokens:
            known |= hmac.compare_digest(given, candidate)
        return known or (bool(self._secret) and self._signed(token, now_s))

    def admits_page(self, origin: str, host: str) -> bool:
        """Whether a page of ``origin`` ("" for clients that are no browsers) may connect to this ``host``.

        A page that some other site serves could otherwise open a stream on a visitor's own machine. Where no token
        is asked for, the server's own pages must go by a local name too, or a name that resolves to this machine
        would do.
        """
        if not origin:
            return True
        authority = _authority(origin)
        if authority in self._origins:
            return True
        own = bool(authority) and authority == host.lower()
        return own and (not self.open or is_loopback(urlsplit(f"//{authority}").hostname or ""))

    def _signed(self, token: str, now_s: float) -> bool:
        prefix, _, rest = token.partition(".")
        expires, _, _ = rest.partition(".")
        if prefix != _PREFIX or not expires.isdecimal() or len(expires) > 12:
            return False
        return hmac.compare_digest(token.encode(), sign(self._secret, int(expires)).encode()) and now_s < int(expires)


def _authority(origin: str) -> str:
    return urlsplit(origin.strip()).netloc.lower()


def main() -> int:
    """Print a signed token made with ``CAPTURE_TOKEN_SECRET``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--ttl", type=int, default=3600, help="seconds until it expires")
    ttl = parser.parse_args().ttl
    secret = os.environ.get("CAPTURE_TOKEN_SECRET", "")
    if len(secret) < _MIN_SECRET_CHARS:
        print(f"CAPTURE_TOKEN_SECRET needs at least {_MIN_SECRET_CHARS} characters", file=sys.stderr)
        return 2
    print(sign(secret, int(SystemClock().wall_ms() / 1000) + ttl))
    return 0


if __name__ == "__main__":
    sys.exit(main())

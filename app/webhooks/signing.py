"""Signatures as Standard Webhooks 1.0.0 has them: HMAC-SHA256 over id, time and body."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

_PREFIX = "whsec_"
_BYTES = 32


def new_secret() -> str:
    """Return a secret in the form that is shown, and that libraries for receivers take."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def headers(event: str, now: float, body: bytes, keys: Sequence[str]) -> dict[str, str]:
    """Return what identifies and signs a body that is sent now; `keys`: each signs it, during a rotation two."""
    stamp = str(int(now))
    content = b".".join((event.encode(), stamp.encode(), body))
    return {
        "webhook-id": event,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(_signature(key, content) for key in keys),
    }


def _signature(key: str, content: bytes) -> str:
    secret = base64.b64decode(key.removeprefix(_PREFIX))
    return "v1," + base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()

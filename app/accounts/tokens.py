"""What an API key looks like, and what is stored of it: `sh_<32 hex digits: id>_<64 hex digits: 256 random bits>`.

Secret scanners find it by `sh_[0-9a-f]{32}_[0-9a-f]{64}`. A slow hash is for passwords, which can be guessed; 256
random bits cannot, and are looked at in each request: HMAC-SHA256 under a pepper that the database does not hold.
"""

import hashlib
import hmac
import re
import secrets

_FORM = re.compile(r"sh_([0-9a-f]{32})_[0-9a-f]{64}")
_NOBODY = "0" * 64
"""No key's hash."""


def make(key_id: str) -> str:
    """Return a new secret for `key_…`, in the form that is shown."""
    return f"sh_{key_id.removeprefix('key_')}_{secrets.token_hex(32)}"


def id_of(token: str) -> str | None:
    """Return the id that a key names, or None where it has not the form of one."""
    match = _FORM.fullmatch(token)
    return f"key_{match.group(1)}" if match else None


def hashed(token: str, pepper: bytes) -> str:
    """Return what is stored: HMAC-SHA256 in hex."""
    return hmac.new(pepper, token.encode(), hashlib.sha256).hexdigest()


def matches(token: str, pepper: bytes, stored: str | None) -> bool:
    """Return whether it is the key with this hash, in the same time whatever the answer and its reason."""
    return hmac.compare_digest(hashed(token, pepper), stored or _NOBODY)

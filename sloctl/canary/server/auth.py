"""Who may ask: bearer tokens, kept as digests only.

A tokens file has one token per line: a name, a role and the SHA-256 of the token. A name may stand on two lines, so
that a token can be replaced without a moment in which neither is valid.

    argo evaluate sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from sloctl.errors import OutsideError, SloctlError

_LINE: Final = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,64})[ \t]+(?P<role>\S+)[ \t]+sha256:(?P<digest>[0-9a-f]{64})")
_MOST_OF_ONE_NAME: Final = 2
_LONGEST: Final = 512
ANYONE: Final = "anyone"
"""Name of the caller where no tokens are asked for."""


class Role(Enum):
    """What a token allows; `approve` allows all that `evaluate` does."""

    EVALUATE = "evaluate"
    APPROVE = "approve"


@dataclass(frozen=True, slots=True)
class AuthorizedCaller:
    """Who asks."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Tokens:
    """The valid tokens by their digest; none at all lets everybody in."""

    callers: tuple[tuple[str, AuthorizedCaller], ...] = ()

    def caller(self, authorization: str | None) -> AuthorizedCaller | None:
        """Who sent this header; None for nobody we know.

        The token comes as `Bearer TOKEN`, or as the password of `Basic` from those who can write a URL only.
        Every digest is compared, in the same time whether it is the right one.
        """
        if not self.callers:
            return AuthorizedCaller(ANYONE, Role.APPROVE)
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() == "basic":
            token = _password(token)
        elif scheme.lower() != "bearer":
            return None
        if not 0 < len(token) <= _LONGEST:
            return None
        digest = token_digest(token.strip())
        found = [caller for known, caller in self.callers if hmac.compare_digest(known, digest)]
        return found[0] if found else None


def _password(encoded: str) -> str:
    """The password of a basic authorization (RFC 7617); empty where it is none."""
    try:
        return base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")[2]
    except ValueError:
        return ""


def token_digest(token: str) -> str:
    """What is kept of a token. A random one of 256 bits needs no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(32)


def read_tokens(path: Path) -> Tokens:
    """The tokens of a file.

    Raises:
        OutsideError: it cannot be read.
        SloctlError: a line is not as it should be, or there is none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise OutsideError(f"{path} cannot be read: {error}") from error
    callers = [
        _read(line.strip(), f"{path}:{number}")
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not callers:
        raise SloctlError(f"{path} holds no token; `sloctl canary token NAME` makes one")
    for name, count in Counter(caller.name for _, caller in callers).items():
        if count > _MOST_OF_ONE_NAME:
            raise SloctlError(f"{path}: {name} has {count} tokens; at most two are valid at once, remove the oldest")
    return Tokens(tuple(callers))


def _read(line: str, place: str) -> tuple[str, AuthorizedCaller]:
    found = _LINE.fullmatch(line)
    if found is None:
        raise SloctlError(f"{place}: this is no token; write NAME ROLE sha256:DIGEST, see `sloctl canary token`")
    roles = {role.value: role for role in Role}
    if found["role"] not in roles:
        raise SloctlError(f"{place}: there is no such role; write {' or '.join(roles)}")
    return found["digest"], AuthorizedCaller(found["name"], roles[found["role"]])

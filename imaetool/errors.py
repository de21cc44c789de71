"""The errors a user can cause: one line, with what was wrong, where, and what to do."""

from difflib import get_close_matches

__all__ = ["UserError", "unknown_name"]


class UserError(Exception):
    """Wrong input. The command line prints its one line and exits with code 1."""


def unknown_name(kind: str, name: str, known) -> UserError:
    """The error for a name that is not among ``known``: names the nearest right ones.

    >>> str(unknown_name("objective", "imea", ["imae", "vae"]))
    "unknown objective 'imea': did you mean 'imae'? (known: imae, vae)"
    """
    known = sorted(known)
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return UserError(f"unknown {kind} {name!r}: {hint}(known: {', '.join(known)})")

"""The errors a user can cause: one line, with what was wrong, where, and what to do."""

from difflib import get_close_matches

__all__ = ["UserError", "plain", "unknown_name"]


_MANY = 20  # names that are listed; of more only where none is near what was given


class UserError(Exception):
    """Wrong input. The command line prints its one line and exits with code 1."""


def plain(text: str) -> str:
    r"""``text`` with every character that a terminal would not just show (escapes, lone surrogates) written out.

    >>> plain("a\x1b]0;b")
    'a\\x1b]0;b'
    """
    text = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def unknown_name(kind: str, name: str, known) -> UserError:
    """The error for a name that is not among ``known``: names the nearest right ones.

    >>> str(unknown_name("objective", "imea", ["imae", "vae"]))
    "unknown objective 'imea': did you mean 'imae'? (known: imae, vae)"
    """
    known = sorted(set(known))
    name = name[:100]
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f": did you mean {' or '.join(map(repr, near))}?" if near else ""
    more = f" and {len(known) - _MANY} more" if len(known) > _MANY else ""
    known = "" if near and more else f" (known: {', '.join(known[:_MANY])}{more})"
    return UserError(f"unknown {kind} {name!r}{hint}{known}")

"""The command line's entry: runs the Typer app and turns errors into one line and an exit code."""

from __future__ import annotations

import errno
import os
import sys
import warnings

__all__ = ["main"]

_LONGEST = 4000  # characters of an error's line


def _optional_value(argv: list[str], option: str, value: str) -> list[str]:
    """``option`` given without a value gets ``value``."""
    done: list[str] = []
    for index, word in enumerate(argv):
        done.append(word)
        following = argv[index + 1] if index + 1 < len(argv) else "-"
        if word == option and following.startswith("-"):
            done.append(value)
    return done


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        what = "the disk is full" if error.errno == errno.ENOSPC else error.strerror.lower()
        return f"{error.filename}: {what}" if error.filename else what
    text = str(error) or type(error).__name__
    text = " ".join(text.split("\n"))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def main(argv: list[str] | None = None) -> None:
    """Run ``imaetool``; exits with 0, 1 (an error, one line on stderr), 2 (usage) or 130 (Ctrl-C)."""
    argv = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in argv
    argv = _optional_value([word for word in argv if word != "--debug"], "--resume", "auto")
    from imaetool.cli.app import app
    from imaetool.errors import UserError, plain

    warnings.showwarning = lambda message, *_, **__: print(plain(f"warning: {message}"), file=sys.stderr)
    try:
        app(args=argv, prog_name="imaetool")
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our stdout has gone, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if debug:
            raise
        expected = isinstance(error, (UserError, OSError, FloatingPointError))
        hint = "" if expected else f" ({type(error).__name__}; run again with --debug for where)"
        print(plain(f"error: {_one_line(error)}{hint}"), file=sys.stderr)
        sys.exit(130 if type(error).__name__ == "Interrupted" else 1)


if __name__ == "__main__":
    main()

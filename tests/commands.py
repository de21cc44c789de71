"""Commands, run as a user runs them: shared by the tests of the command line."""

import contextlib
import io
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace

import pytest


def run(*arguments, cwd, code=0, **env):
    """Run imaetool in ``cwd``, within this process; check its exit code; what it printed."""
    from imaetool.__main__ import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name, value in {"COLUMNS": "160", **env}.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as left:
            main([str(a) for a in arguments])
    done = SimpleNamespace(returncode=left.value.code or 0, stdout=out.getvalue(), stderr=err.getvalue())
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def one_line(done):
    """The command's whole complaint: one error line, no traceback, nothing on stdout."""
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "Traceback" not in done.stderr and done.stdout == "", done.stderr
    return errors[0]

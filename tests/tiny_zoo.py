"""Commands on a zoo of one tiny model, and what that model was measured by: shared by the tests of the zoo."""

from typer.testing import CliRunner

from imaetool.cli.app import app

METRICS = ["accuracy", "information", "reconstruction"]


def run(*arguments):
    return CliRunner().invoke(app, list(arguments), catch_exceptions=True)

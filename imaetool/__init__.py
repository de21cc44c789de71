"""imaetool: see, measure and edit what is inside your images, without labels.

The public names below are loaded on first use, so that importing the package stays cheap:
``imaetool.load``, ``imaetool.train``, ``imaetool.evaluate``, ``imaetool.Autoencoder``, ``imaetool.Codes``,
and ``imaetool.UserError``, which everything raises for wrong input, with one line that says what to do.
"""

__version__ = "0.1.0"

_PUBLIC = {
    "load": "imaetool.zoo.find",
    "train": "imaetool.training.run",
    "evaluate": "imaetool.evaluation.evaluate",
    "Autoencoder": "imaetool.model",
    "Codes": "imaetool.model",
    "UserError": "imaetool.errors",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str):
    if name in _PUBLIC:
        from importlib import import_module

        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'imaetool' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

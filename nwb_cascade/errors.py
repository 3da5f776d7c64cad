"""Errors that a caller may want to tell apart; everything else is a plain ValueError, TypeError or OSError."""


class InputError(ValueError):
    """The recording, a series in it or an option cannot be used as it is."""


class NoRateError(InputError):
    """A recording states no imaging rate, and none was given."""


class OnePhotonError(InputError):
    """Traces of a one-photon microscope that were not asked for."""


class AmbiguousSeriesError(InputError):
    """More than one series could be meant; the message lists them and the option that picks one."""


class NameTakenError(InputError):
    """An object of this name is already in the file and was made from other inputs."""


class NoModelError(LookupError):
    """No installed model fits the recording; the message names the nearest ones."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class ModelFileError(ValueError):
    """A model's files are missing, damaged or do not agree with each other."""


class RemoteError(Exception):
    """A server could not be reached or did not deliver, after every retry; trying again later may help.

    Not an OSError: zarr takes an OSError from its storage for a missing chunk and fills in zeros.
    """


class RemoteChangedError(RemoteError):
    """The file on the server is no longer the one that was looked up."""

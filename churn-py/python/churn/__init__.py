"""Who is about to leave, why, what to offer, through which channel, when and at what cost."""

from ._churn import Customers, EventLog, Table, __version__
from .exceptions import (
    CancelledError,
    ChurnError,
    InfeasibleError,
    InvalidParameterError,
    InvalidValueError,
    LengthMismatchError,
    MisalignedError,
    NotConvergedError,
    NotEnoughDataError,
    UnknownNameError,
)

__all__ = [
    "CancelledError",
    "ChurnError",
    "Customers",
    "EventLog",
    "InfeasibleError",
    "InvalidParameterError",
    "InvalidValueError",
    "LengthMismatchError",
    "MisalignedError",
    "NotConvergedError",
    "NotEnoughDataError",
    "Table",
    "UnknownNameError",
    "__version__",
]

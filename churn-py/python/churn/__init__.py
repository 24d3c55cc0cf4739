"""Who is about to leave, why, what to offer, through which channel, when and at what cost.

>>> log = churn.EventLog(frame, names={"customer": "CustomerID", "time": "InvoiceDate"})
>>> features = log.features("2011-12-10")
>>> scores = churn.Scorecard().score(features)
>>> scores.reasons(17850)
"""

from ._churn import (
    Customers,
    EventLog,
    Facts,
    FeatureTable,
    Grid,
    Plan,
    Playbook,
    Population,
    Reason,
    RfmSummary,
    RiskTiers,
    Scorecard,
    Scores,
    Segments,
    Table,
    __version__,
    lifecycle,
    match_actions,
)
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
    "Facts",
    "FeatureTable",
    "Grid",
    "InfeasibleError",
    "InvalidParameterError",
    "InvalidValueError",
    "LengthMismatchError",
    "MisalignedError",
    "NotConvergedError",
    "NotEnoughDataError",
    "Plan",
    "Playbook",
    "Population",
    "Reason",
    "RfmSummary",
    "RiskTiers",
    "Scorecard",
    "Scores",
    "Segments",
    "Table",
    "UnknownNameError",
    "__version__",
    "lifecycle",
    "match_actions",
]

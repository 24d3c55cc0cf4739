"""Who is about to leave, why, what to offer, through which channel, when and at what cost.

    log = churn.EventLog(frame, names={"customer": "CustomerID", "time": "InvoiceDate"})
    result = churn.winback(log, as_of="2011-12-10")
    print(result)
    result.scores.reasons(17850)
    result.plan.why(17850)

Or step by step: EventLog -> features -> Scorecard.score -> RiskTiers.assign, Grid.assign ->
Facts, Playbook -> match_actions.
"""

from . import metrics
from ._churn import (
    Customers,
    EventLog,
    Facts,
    FeatureTable,
    FittedModel,
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
    Shop,
    SimulatedShop,
    Table,
    TrainingData,
    WinBack,
    __version__,
    defaults,
    drivers,
    lifecycle,
    match_actions,
    winback,
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
from .model import ChurnModel

__all__ = [
    "CancelledError",
    "ChurnError",
    "ChurnModel",
    "Customers",
    "EventLog",
    "Facts",
    "FeatureTable",
    "FittedModel",
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
    "Shop",
    "SimulatedShop",
    "Table",
    "TrainingData",
    "UnknownNameError",
    "WinBack",
    "__version__",
    "defaults",
    "drivers",
    "lifecycle",
    "match_actions",
    "metrics",
    "winback",
]

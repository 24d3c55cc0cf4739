"""Who is about to leave, why, what to offer, through which channel, when and at what cost.

    log = churn.EventLog(frame, names={"customer": "CustomerID", "time": "InvoiceDate"})
    result = churn.winback(log, as_of="2011-12-10")
    print(result)
    result.scores.reasons(17850)
    result.plan.why(17850)

Or step by step: EventLog -> features -> Scorecard.score -> RiskTiers.assign, Grid.assign ->
Facts, Playbook -> match_actions, or optimize for the largest profit under a budget.
"""

from ._churn import (
    Allocation,
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
    Shop,
    SimulatedShop,
    Table,
    WinBack,
    __version__,
    defaults,
    lifecycle,
    match_actions,
    optimize,
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

__all__ = [
    "Allocation",
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
    "Shop",
    "SimulatedShop",
    "Table",
    "UnknownNameError",
    "WinBack",
    "__version__",
    "defaults",
    "lifecycle",
    "match_actions",
    "optimize",
    "winback",
]

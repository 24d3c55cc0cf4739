"""Did it work? Experiments, hold-outs and policies.

    result = compare_arms(arm, bought, control="no mail", kind="binary")
    result["effects"][0]["difference"]["low"]

Answers are plain dicts; their fields are those of the Rust types of the same names.
"""

from ._churn import (
    Exposures,
    PolicyValue,
    compare_arms,
    effects_of,
    group_sequential_bounds,
    journey_report,
    minimum_detectable_effect,
    plan_from_log,
    power,
    profit_curve,
    sample_ratio,
    sample_size,
)
from ._churn import policy_value_of as policy_value

__all__ = [
    "Exposures",
    "PolicyValue",
    "compare_arms",
    "effects_of",
    "group_sequential_bounds",
    "journey_report",
    "minimum_detectable_effect",
    "plan_from_log",
    "policy_value",
    "power",
    "profit_curve",
    "sample_ratio",
    "sample_size",
]

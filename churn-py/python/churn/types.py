"""Types for annotations: what the functions of `churn` take and give besides its classes.

Not imported by `churn` itself; `from churn.types import Cleaning` where you need one.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypedDict

if TYPE_CHECKING:
    import numpy as np

    from ._churn import Grid, Playbook, Scorecard

CustomerId: TypeAlias = int | str
Instant: TypeAlias = "str | date | datetime | np.datetime64"
Language: TypeAlias = Literal["en", "zh"]
TimeUnit: TypeAlias = Literal["day", "second", "millisecond", "microsecond", "nanosecond"]
Kind: TypeAlias = Literal[
    "purchase",
    "refund",
    "view",
    "cart",
    "favourite",
    "share",
    "review",
    "interaction",
    "message_sent",
    "message_opened",
    "message_clicked",
    "message_answered",
    "ad_click",
    "service_contact",
    "complaint",
]
Progress: TypeAlias = Callable[[str, int, int], object]
"""Called with (step, done, total); raising, or returning False, stops the work."""


class ArrowStream(Protocol):
    """Anything that exports an Arrow stream: data frames of pandas, polars, pyarrow, duckdb."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...


class ColumnNames(TypedDict, total=False):
    """Names of the caller's columns, where they differ from these."""

    customer: str
    time: str
    kind: str
    value: str
    """A column, or a product of columns such as ``"Quantity*UnitPrice"``."""
    channel: str
    order: str
    item: str
    time_unit: TimeUnit
    """What integer times count from 1970-01-01 UTC on."""


class Cleaning(TypedDict, total=False):
    """What happens to rows that cannot be used."""

    kinds: Mapping[str, Kind]
    missing_customer: Literal["reject", "drop"]
    missing_time: Literal["reject", "drop"]
    impossible_time: Literal["reject", "drop"]
    unknown_kind: Literal["reject", "drop"]
    missing_value: Literal["reject", "drop"]
    non_finite_value: Literal["reject", "drop"]
    negative_value: Literal["reject", "drop", "refund"]
    duplicates: Literal["keep", "drop", "reject"]
    earliest: Instant
    latest: Instant


class Tally(TypedDict):
    """Rows and money behind one reason."""

    rows: int
    money: float


class CleaningReport(TypedDict):
    """What cleaning did to a log."""

    rows_in: int
    unreadable_cells: int
    rows_kept: int
    rows_dropped: int
    purchases_kept: float
    refunds_kept: float
    dropped: dict[str, Tally]
    read_as_refund: Tally
    duplicates_kept: Tally


class FeatureInfo(TypedDict):
    """What a feature means."""

    name: str
    unit: str
    definition: str
    undefined: str
    min: float | None
    max: float | None


class RiskCuts(TypedDict, total=False):
    """Where the risk tiers begin, as probabilities."""

    medium: float
    high: float


class RfmSettings(TypedDict, total=False):
    """Scores of recency, frequency and money."""

    bins: int
    recency_cuts: Sequence[float]
    frequency_cuts: Sequence[float]
    monetary_cuts: Sequence[float]


class RhythmSettings(TypedDict, total=False):
    """Gaps between purchases."""

    prior_gaps: float
    spread_prior_gaps: float


class ActivitySettings(TypedDict, total=False):
    """Browsing and interacting: what one event of each kind weighs, and how fast it fades."""

    half_life_days: float
    half_point: float
    view: float
    dwell_minute: float
    dwell_cap_minutes: float
    cart: float
    favourite: float
    share: float
    review: float
    interaction: float
    ad_click: float


class TouchpointSettings(TypedDict, total=False):
    """Messages and responses."""

    prior_messages: float


class FeedbackSettings(TypedDict, total=False):
    """Refunds and complaints."""

    complaints_days: int


class LifecycleSettings(TypedDict, total=False):
    """Stages of a customer's life with the shop."""

    new_days: float
    won_back_days: float
    slipping_level: float
    lapsed_level: float
    slipping_days: float
    lapsed_days: float
    lost_days: float


class FeatureSpec(TypedDict, total=False):
    """Which features to build, and how."""

    features: Sequence[str]
    """Names of the wanted features; all of them if left out."""
    windows_days: Sequence[int]
    rfm: RfmSettings
    rhythm: RhythmSettings
    activity: ActivitySettings
    touchpoints: TouchpointSettings
    feedback: FeedbackSettings
    lifecycle: LifecycleSettings


class SummarySettings(TypedDict, total=False):
    """How purchases are counted."""

    period_days: int
    """Length of a period in days: purchases of one period count as one."""
    time_scale: float
    """Periods per unit of recency and age: 7 turns days into weeks."""


class ShopSettings(TypedDict, total=False):
    """A shop to simulate."""

    customers: int
    start: Instant
    days: int
    seed: int
    regular_share: float
    lapsing_share: float
    gap_days: float
    gap_shape: float
    order_value: float
    season_peak: float
    campaign_days: int
    items: int


class PlaybookToml(TypedDict):
    """A playbook as TOML text: errors name its lines."""

    toml: str


class PlaybookJson(TypedDict):
    """A playbook as JSON text: errors name its lines."""

    json: str


class SegmentName(TypedDict):
    """One group of a segmentation."""

    segmentation: str
    label: str


class _Observed(TypedDict):
    action: str
    treated: int
    treated_stayed: int


class ObservedResponse(_Observed, total=False):
    """How many stayed of those who got an action and of those who were left alone."""

    channels: Sequence[str]
    segment: SegmentName
    control: int
    control_stayed: int


class EffectSettings(TypedDict, total=False):
    """What is known of the changes that actions make to the probability of staying."""

    saved_per_response: float
    prior_strength: float
    observed: Sequence[ObservedResponse]


class ValueSettings(TypedDict, total=False):
    """What staying is worth: ``feature`` times ``scale`` (currency) times ``margin``."""

    feature: str
    scale: float
    margin: float


class _ChannelLimit(TypedDict):
    channel: str


class ChannelLimit(_ChannelLimit, total=False):
    """How many customers may be contacted over a channel."""

    min: int
    max: int
    max_per_day: int


class _OfferLimit(TypedDict):
    offer: str


class OfferLimit(_OfferLimit, total=False):
    """How many customers may be given an offer."""

    min: int
    max: int


class _ActionLimit(TypedDict):
    action: str


class ActionLimit(_ActionLimit, total=False):
    """How many customers may get an action."""

    min: int
    max: int


class SegmentLimit(SegmentName, total=False):
    """A share of the segment's customers, or of the plan's."""

    of: Literal["segment", "plan"]
    min_share: float
    max_share: float


class _Need(TypedDict):
    offer: str
    needs: str


class Need(_Need, total=False):
    """An offer that is never given without another one."""

    within: Literal["customer", "plan"]
    unless: str


class Constraints(TypedDict, total=False):
    """Limits of a plan; all may be left out."""

    budget: float
    days: int
    max_customers: int
    channels: Sequence[ChannelLimit]
    offers: Sequence[OfferLimit]
    actions: Sequence[ActionLimit]
    segments: Sequence[SegmentLimit]
    needs: Sequence[Need]
    exclude: Sequence[int] | Sequence[str]
    exclude_where: str
    hold_out: Sequence[int] | Sequence[str]


class OptimizeSettings(TypedDict, total=False):
    """Settings of ``churn.optimize``; what is left out has its default."""

    effects: EffectSettings
    value: ValueSettings
    constraints: Constraints
    gap: float
    curve_points: int


class WinBackSettings(TypedDict, total=False):
    """Settings of every step of ``churn.winback``; what is left out has its default."""

    features: FeatureSpec
    scorecard: "Scorecard"
    risk_tiers: RiskCuts
    grid: "Grid"
    playbook: "Playbook | PlaybookToml | PlaybookJson"
    optimize: OptimizeSettings

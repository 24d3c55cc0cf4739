"""Types for annotations: what the functions of `churn` take and give besides its classes.

Not imported by `churn` itself; `from churn.types import Cleaning` where you need one.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypedDict

if TYPE_CHECKING:
    import numpy as np

    from ._churn import Customers, FeatureTable, Grid, Playbook, Scorecard

CustomerId: TypeAlias = int | str
Numbers: TypeAlias = "Sequence[float] | np.ndarray[Any, Any] | Any"
"""An array, a series or a list of numbers."""
Flags: TypeAlias = "Sequence[bool] | Sequence[int] | np.ndarray[Any, Any] | Any"
"""An array, a series or a list of truth values, or of 0 and 1."""
Labels: TypeAlias = "Sequence[int] | Sequence[str] | np.ndarray[Any, Any] | Any"
"""An array, a series or a list of integers or texts."""
Covariates: TypeAlias = "Mapping[str, Numbers] | Any"
"""A dict of arrays, or a data frame, of numbers."""
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
Progress: TypeAlias = Callable[[str, int, int], object] | bool
"""Called with (step, done, total); raising, or returning False, stops the work. True shows a bar
on stderr (tqdm's, where it is installed)."""


class BinaryWriter(Protocol):
    """A file open for writing bytes."""

    def write(self, data: bytes, /) -> int: ...


class BinaryReader(Protocol):
    """A file open for reading bytes."""

    def read(self, size: int, /) -> bytes: ...


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


class Keep(TypedDict, total=False):
    """Which events and columns a log stores; the rest is counted and left out."""

    kinds: Sequence[Kind] | None
    """Kinds of the events that are kept; all of them if left out."""
    channels: bool
    orders: bool
    items: bool


class Cleaning(TypedDict, total=False):
    """What happens to rows that cannot be used."""

    keep: Keep
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


class Appended(TypedDict):
    """What an append did."""

    touched: "Customers"
    """Whose events changed: their features may be out of date."""
    new_customers: int
    report: CleaningReport
    """What cleaning did to the batch."""


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


class _ExperimentEffect(TypedDict):
    action: str
    change: float
    standard_error: float


class ExperimentEffect(_ExperimentEffect, total=False):
    """By how much an experiment found an action to change the share who stay."""

    channels: Sequence[str]
    segment: SegmentName


class EffectSettings(TypedDict, total=False):
    """What is known of the changes that actions make to the probability of staying."""

    saved_per_response: float
    prior_strength: float
    prior_spread: float
    experiments: Sequence[ExperimentEffect]
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


class Holdout(TypedDict):
    """Who is held out: those whose lot under the salt is below the share."""

    salt: str
    share: float


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
    hold_out_by: Holdout


class OptimizeSettings(TypedDict, total=False):
    """Settings of ``churn.optimize``; what is left out has its default."""

    effects: EffectSettings
    value: ValueSettings
    constraints: Constraints
    gap: float
    curve_points: int


class Regularity(TypedDict, total=False):
    """How regular purchases are: one of the two."""

    fixed: int
    up_to: int


class LifetimeSettings(TypedDict, total=False):
    """A model of buying, and how it is fitted."""

    family: Literal["bg_nbd", "mbg_nbd", "pareto_nbd"]
    regularity: Regularity
    purchase_covariates: Sequence[str]
    dropout_covariates: Sequence[str]
    penalty: float
    covariate_penalty: float
    max_evaluations: int


class LifetimeScoring(TypedDict, total=False):
    """A model of buying in the main flow."""

    model: LifetimeSettings
    summary: SummarySettings
    horizon_days: int
    scores: bool
    """Whether its probabilities are the churn probabilities; else it gives features only."""


class WinBackSettings(TypedDict, total=False):
    """Settings of every step of ``churn.winback``; what is left out has its default."""

    features: FeatureSpec
    scorecard: "Scorecard"
    lifetime: LifetimeScoring
    risk_tiers: RiskCuts
    grid: "Grid"
    playbook: "Playbook | PlaybookToml | PlaybookJson"
    optimize: OptimizeSettings


class KaplanMeierSettings(TypedDict, total=False):
    """How a survival curve is told."""

    confidence: float
    transform: Literal["log_log", "log", "plain"]
    """The scale on which intervals are symmetric."""


class NelsonAalenSettings(TypedDict, total=False):
    """How a cumulative hazard is told."""

    confidence: float
    ties: Literal["one_by_one", "together"]


LogRankWeights: TypeAlias = "Literal['log_rank', 'wilcoxon', 'tarone_ware'] | dict[Literal['fleming_harrington'], dict[Literal['p', 'q'], float]]"


class CoxSettings(TypedDict, total=False):
    """How a Cox model is fitted."""

    ties: Literal["efron", "breslow"]
    l2_penalty: float
    confidence: float
    max_iterations: int


class WeibullSettings(TypedDict, total=False):
    """How a Weibull model is fitted."""

    l2_penalty: float
    confidence: float
    max_iterations: int


Period: TypeAlias = Literal["day", "week", "month"]
Weekday: TypeAlias = Literal[
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"
]


class RetentionSettings(TypedDict, total=False):
    """What counts as starting and as coming back, and in which periods."""

    time_zone: str
    period: Period
    week_start: Weekday
    retention: "Literal['n_day', 'unbounded'] | dict[Literal['bracket'], list[list[int]]]"
    cohorts: Literal["first_time", "recurring"]
    windows: Literal["calendar", "rolling"]
    start_kinds: "list[Kind]"
    return_kinds: "list[Kind]"
    periods: int
    """Periods after the first."""
    since: "Instant"
    """The first cohort told is that of the period that holds this instant."""


class LifecycleOverTimeSettings(TypedDict, total=False):
    """What counts as active, and in which periods."""

    time_zone: str
    period: Period
    week_start: Weekday
    kinds: "list[Kind]"
    first_seen: Literal["any_event", "active"]
    since: "Instant"


class StickinessSettings(TypedDict, total=False):
    """What counts as active, and in which periods."""

    time_zone: str
    period: Period
    week_start: Weekday
    kinds: "list[Kind]"
    since: "Instant"


Fold: TypeAlias = tuple[list[int], list[int]]
"""Rows to fit on and rows to judge on."""
Rows: TypeAlias = "FeatureTable | ArrowStream | Mapping[str, Any]"
"""What models read: a feature table, a data frame with Arrow export, a dict of arrays."""
Bins: TypeAlias = "dict[Literal['uniform', 'quantile'], int]"


class ChurnDefinition(TypedDict, total=False):
    """When a customer counts as lost: no activity of these kinds within the horizon."""

    horizon_days: int
    gap_days: int
    activity: Sequence[Kind]


class Eligibility(TypedDict, total=False):
    """Which customers count at a cut-off."""

    bought_within_days: int | None
    min_orders: int


class RollingCutOffs(TypedDict):
    """How many cut-offs, and how far apart."""

    count: int
    every_days: int


class TrainingSettings(TypedDict, total=False):
    """Settings of ``TrainingData.build``."""

    features: FeatureSpec
    churn: ChurnDefinition
    cut_offs: "dict[Literal['at'], Sequence[Instant]] | dict[Literal['rolling'], RollingCutOffs]"
    eligible: Eligibility
    observed_until: Instant | None


class ChurnModelSettings(TypedDict, total=False):
    """Settings of a churn model; ``churn.defaults("model")`` has all of them."""

    learner: str
    calibration: Literal["none", "sigmoid", "isotonic", "isotonic_forced", "beta"]
    folds: int
    logistic: Mapping[str, Any]
    boosting: Mapping[str, Any]
    forest: Mapping[str, Any]
    tree: Mapping[str, Any]
    svm: Mapping[str, Any]
    monotone_silence: bool
    seed: int


class SearchSettings(TypedDict, total=False):
    """How a search spends its time, and what it compares by."""

    method: "Literal['grid'] | dict[Literal['halving'], dict[Literal['factor', 'first_rows'], int]]"
    measure: Literal["log_loss", "roc_auc", "average_precision", "brier"]
    seed: int


class PcaSettings(TypedDict, total=False):
    """Settings of principal components."""

    components: int
    standardise: bool


class ProfitSettings(TypedDict, total=False):
    """Money and acceptance of a retention campaign."""

    customer_value: float
    offer_cost: float
    contact_cost: float
    acceptance: float
    acceptance_shapes: Sequence[float]


class BootstrapSettings(TypedDict, total=False):
    """Settings of a bootstrap interval."""

    replicates: int
    level: float
    stratified: bool
    seed: int

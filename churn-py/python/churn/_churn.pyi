"""Types of the compiled module; `churn` re-exports them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from os import PathLike
from typing import Any, Final, Literal, Unpack, final

import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

from .model import ChurnModel
from .types import (
    Appended,
    ArrowStream,
    Bins,
    BootstrapSettings,
    ChurnModelSettings,
    BinaryReader,
    BinaryWriter,
    Cleaning,
    CleaningReport,
    ColumnNames,
    Covariates,
    CoxSettings,
    CustomerId,
    FeatureInfo,
    FeatureSpec,
    Flags,
    Fold,
    Instant,
    Keep,
    KaplanMeierSettings,
    Labels,
    Language,
    LifecycleOverTimeSettings,
    LogRankWeights,
    NelsonAalenSettings,
    Numbers,
    PcaSettings,
    ProfitSettings,
    OptimizeSettings,
    Progress,
    RetentionSettings,
    RiskCuts,
    Rows,
    SearchSettings,
    ShopSettings,
    StickinessSettings,
    SummarySettings,
    TrainingSettings,
    WeibullSettings,
    WinBackSettings,
)

__all__ = [
    "Allocation",
    "BgBbModel",
    "ContactPolicy",
    "CoxModel",
    "CoxPH",
    "Customers",
    "Describer",
    "EventLog",
    "Exposures",
    "Facts",
    "FeatureTable",
    "FeatureTables",
    "FittedModel",
    "Grid",
    "HazardCurve",
    "Holdout",
    "Journey",
    "JourneyEngine",
    "JourneyOutcome",
    "JourneyReplay",
    "JourneyState",
    "KaplanMeier",
    "LifetimeModel",
    "LogRank",
    "LogStream",
    "NelsonAalen",
    "PartitionedLog",
    "Pca",
    "Plan",
    "Playbook",
    "PolicyValue",
    "Population",
    "Reason",
    "RenewalModel",
    "Retention",
    "RfmSummary",
    "RiskTiers",
    "RunningSummary",
    "Scorecard",
    "Scores",
    "Segments",
    "Shop",
    "SimulatedShop",
    "SpendModel",
    "Stickiness",
    "SurvivalCurve",
    "Table",
    "TrainingData",
    "UpliftModel",
    "WeibullAFT",
    "WeibullModel",
    "WinBack",
    "__version__",
    "average_precision",
    "bootstrap",
    "brier_score",
    "calibrated_uplift",
    "calibration_drift",
    "calibration_error",
    "capture_at",
    "class_separation",
    "compare_arms",
    "concordance_index",
    "confusion",
    "cost_curve",
    "cross_validate",
    "defaults",
    "drivers",
    "effects_of",
    "empc",
    "gain_curve",
    "group_sequential_bounds",
    "hold_out",
    "hold_out_stratified",
    "journey_report",
    "kolmogorov_smirnov",
    "lifecycle",
    "lifecycle_over_time",
    "lift_at",
    "likelihood_ratio",
    "log_loss",
    "logrank",
    "lot",
    "make_folds",
    "match_actions",
    "minimum_detectable_effect",
    "mpc",
    "mutual_information",
    "needs",
    "optimize",
    "plan_from_log",
    "policy_value_of",
    "power",
    "pr_auc",
    "profit_curve",
    "propensity_scores",
    "psi",
    "purchase_gaps",
    "rate",
    "rate_interval",
    "reliability_curve",
    "replay",
    "retention",
    "roc_auc",
    "sample_ratio",
    "sample_size",
    "search",
    "stickiness",
    "survival_brier_score",
    "toc_curve",
    "uplift_at_k",
    "uplift_calibration",
    "uplift_curve",
    "uplift_intervals",
    "uplift_metrics",
    "uplift_out_of_fold",
    "variation",
    "winback",
]

__version__: Final[str]

@final
class Customers:
    """Sorted unique ids: row i of every table is customer i."""

    def __len__(self) -> int: ...
    def __getitem__(self, key: int, /) -> CustomerId: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __iter__(self) -> Iterator[CustomerId]: ...
    def __eq__(self, value: object, /) -> bool: ...
    def row(self, customer: CustomerId) -> int:
        """Row of a customer; UnknownNameError if there is none of this id."""
    def to_list(self) -> list[CustomerId]:
        """All ids as a list."""

@final
class EventLog:
    """A cleaned event log, each customer's events in order of time.

    ``data`` is a data frame with Arrow export (pandas, polars, pyarrow, duckdb) or a dict of
    numpy arrays or lists. Without a kind column every row is a purchase. Times without a zone
    are UTC. Rows that cannot be used are dropped or refused as ``cleaning`` says; see ``report``.
    """

    def __new__(
        cls,
        data: ArrowStream | Mapping[str, Sequence[Any] | npt.NDArray[Any]],
        *,
        names: ColumnNames | None = None,
        progress: Progress | None = None,
        **cleaning: Unpack[Cleaning],
    ) -> EventLog: ...
    @staticmethod
    def from_csv(
        source: str | PathLike[str] | bytes,
        *,
        names: ColumnNames | None = None,
        delimiter: str | None = None,
        unreadable: Literal["reject", "drop"] | None = None,
        progress: Progress | None = None,
        **cleaning: Unpack[Cleaning],
    ) -> EventLog:
        """Reads a CSV file, plain or gzip, by its path or from bytes.

        Ids are read as text. A cell that cannot be read refuses the file with row and line, or
        counts as missing with ``unreadable="drop"``.
        """
    def appended(
        self,
        data: ArrowStream | Mapping[str, Sequence[Any] | npt.NDArray[Any]],
        *,
        names: ColumnNames | None = None,
        progress: Progress | None = None,
    ) -> EventLog:
        """A new log with a batch of events added; this one stays as it is.

        Late events are fine: the new log equals one built from all rows, and is cleaned as this
        one was. Only the customers of the batch are ordered again.
        """
    def append(
        self,
        data: ArrowStream | Mapping[str, Sequence[Any] | npt.NDArray[Any]],
        *,
        names: ColumnNames | None = None,
        progress: Progress | None = None,
    ) -> Appended:
        """Adds a batch of events to this log, which equals one built from all rows then.

        Only the customers of the batch are ordered again; tables made before stay as they are, and
        ``FeatureTable.refreshed`` brings them up to date. On an error the log is as it was before.
        """
    def save(
        self, target: str | PathLike[str] | BinaryWriter, *, progress: Progress | None = None
    ) -> None:
        """Writes the log to a path or a binary file, in the library's own form.

        At a path there is the old file until the new one is whole.
        """
    @staticmethod
    def load(
        source: str | PathLike[str] | bytes | BinaryReader, *, progress: Progress | None = None
    ) -> EventLog:
        """Reads a saved log; one that is cut short, damaged or forged is an InvalidValueError."""
    def __reduce__(self) -> tuple[Any, ...]: ...
    def describer(
        self,
        as_of: Instant,
        *,
        population: Population | None = None,
        **spec: Unpack[FeatureSpec],
    ) -> Describer:
        """Prepares to describe one customer at a time, as the log is when asked.

        Without a ``population`` learned before it learns from all customers now what the features
        need.
        """
    def features(
        self,
        as_of: Instant,
        *,
        population: Population | None = None,
        progress: Progress | None = None,
        **spec: Unpack[FeatureSpec],
    ) -> FeatureTable:
        """Features of all customers with an event before ``as_of``, from those events only.

        A ``population`` learned before replaces what this history would teach. Without one, the
        table's ``population`` is what was learned for these features; ``Population.fit`` learns
        everything.
        """
    def features_at(
        self,
        instants: Sequence[Instant] | npt.NDArray[Any],
        *,
        progress: Progress | None = None,
        **spec: Unpack[FeatureSpec],
    ) -> list[FeatureTable]:
        """The features as of several instants, in any order: one table each, equal to ``features``
        bit for bit, in one pass over the log. Their ``population`` is None."""
    def summarize(
        self,
        as_of: Instant,
        *,
        progress: Progress | None = None,
        **settings: Unpack[SummarySettings],
    ) -> RfmSummary:
        """Frequency, recency, age and monetary value of all customers before ``as_of``."""
    def __len__(self) -> int:
        """Number of events."""
    def __eq__(self, value: object, /) -> bool: ...
    @property
    def customers(self) -> Customers:
        """All customers of the log."""
    @property
    def channels(self) -> list[str]:
        """Names of the channels, sorted."""
    @property
    def time_range(self) -> tuple[datetime, datetime] | None:
        """First and last instant, or None for an empty log."""
    @property
    def keep(self) -> Keep:
        """Which events and columns the log stores."""
    @property
    def report(self) -> CleaningReport:
        """What cleaning did."""

@final
class Describer:
    """Describes customers of a log one by one, with the numbers that a table would have."""

    def describe(self, customer: CustomerId) -> dict[str, float]:
        """The features of one customer as the log is now.

        UnknownNameError for a customer without event before the instant.
        """
    @property
    def as_of(self) -> datetime:
        """The instant that is described."""
    @property
    def population(self) -> Population:
        """What all customers together taught."""

@final
class LogStream:
    """Takes batches of events one by one, of logs of any length.

    Rows are cleaned as in one ``EventLog`` of all of them and spread over files in a folder inside
    ``scratch`` (default: where Python keeps temporary files), customer by customer. One partition at
    a time must fit into memory.
    """

    def __new__(
        cls,
        scratch: str | PathLike[str] | None = None,
        *,
        partitions: int | None = None,
        buffer_bytes: int | None = None,
        **cleaning: Unpack[Cleaning],
    ) -> LogStream: ...
    def push(
        self,
        data: ArrowStream | Mapping[str, Sequence[Any] | npt.NDArray[Any]],
        *,
        names: ColumnNames | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Adds a batch, or all batches of an Arrow reader one by one.

        A batch that fails is left out whole, and errors name the row in the whole stream.
        """
    def push_csv(
        self,
        source: str | PathLike[str] | bytes,
        *,
        names: ColumnNames | None = None,
        delimiter: str | None = None,
        unreadable: Literal["reject", "drop"] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Adds a CSV file, plain or gzip, however long."""
    def finish(self, *, progress: Progress | None = None) -> PartitionedLog:
        """Orders the partitions; the stream is used up then."""
    @property
    def rows(self) -> int:
        """Number of rows pushed so far."""

@final
class PartitionedLog:
    """The logs of a stream, one per partition, in files that go with it.

    Every customer is in one partition with all events.
    """

    @property
    def partitions(self) -> int:
        """Number of partitions."""
    def log(self, partition: int, *, progress: Progress | None = None) -> EventLog:
        """The log of one partition, which counts only its own rows in its report."""
    def partition_of(self, customer: CustomerId) -> int:
        """The partition that holds a customer, known or not."""
    def learn(
        self,
        as_of: Instant,
        *,
        progress: Progress | None = None,
        **spec: Unpack[FeatureSpec],
    ) -> Population:
        """What all customers of all partitions together teach."""
    def features(
        self,
        as_of: Instant,
        *,
        population: Population | None = None,
        progress: Progress | None = None,
        **spec: Unpack[FeatureSpec],
    ) -> FeatureTables:
        """The feature tables, one partition after another.

        Together they hold the rows of the one table of the whole log, bit for bit.
        """
    def __len__(self) -> int:
        """Number of events."""
    @property
    def customer_count(self) -> int:
        """Number of customers."""
    @property
    def channels(self) -> list[str]:
        """Names of the channels, sorted."""
    @property
    def time_range(self) -> tuple[datetime, datetime] | None:
        """First and last instant, or None for an empty stream."""
    @property
    def report(self) -> CleaningReport:
        """What cleaning did to the whole stream."""

@final
class FeatureTables:
    """Feature tables of a stream, each built when it is asked for."""

    @property
    def population(self) -> Population:
        """What all customers together taught."""
    def __iter__(self) -> FeatureTables: ...
    def __next__(self) -> FeatureTable: ...

@disjoint_base
class Table:
    """Named columns of equal length; the base of every result.

    Read it with polars (``polars.DataFrame(table)``), pyarrow (``pyarrow.table(table)``), duckdb,
    pandas (``pandas.DataFrame.from_arrow(table)`` or ``pandas.DataFrame(table.to_dict())``).
    """

    def __len__(self) -> int:
        """Number of rows."""
    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
    def column(self, name: str) -> npt.NDArray[Any]:
        """One column as a read-only numpy array.

        Numbers of which none is missing are not copied: the array shows the table's memory and keeps
        it. Copy a column that is to outlive a large table.
        """
    def to_dict(self) -> dict[str, npt.NDArray[Any]]:
        """All columns as read-only numpy arrays, as ``column`` gives them."""
    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The columns by Arrow's stream protocol."""

@final
class FeatureTable(Table):
    """Features of all customers as of one instant: ``customer``, then one column per feature.

    NaN stands only where the feature's ``undefined`` says so.
    """

    @staticmethod
    def from_columns(
        customers: Customers | Sequence[CustomerId] | npt.NDArray[Any],
        as_of: Instant,
        columns: Mapping[str, Sequence[float | None] | npt.NDArray[Any]],
    ) -> FeatureTable:
        """A table of the caller's own features; customers must ascend and differ."""
    def refreshed(
        self,
        log: EventLog,
        touched: Customers | Sequence[CustomerId],
        *,
        progress: Progress | None = None,
        **spec: Unpack[FeatureSpec],
    ) -> FeatureTable:
        """The table brought up to date with a log that was appended to.

        ``touched`` are all customers whose events changed since, as ``EventLog.append`` tells them;
        only they are described anew. ``spec`` is that of the table. Equal, bit for bit, to
        ``log.features`` with the table's population.
        """
    def save(
        self, target: str | PathLike[str] | BinaryWriter, *, progress: Progress | None = None
    ) -> None:
        """Writes the table to a path or a binary file, bit for bit."""
    @staticmethod
    def load(
        source: str | PathLike[str] | bytes | BinaryReader, *, progress: Progress | None = None
    ) -> FeatureTable:
        """Reads a saved table, without its population: keep that as JSON."""
    @property
    def customers(self) -> Customers:
        """The customers, one per row."""
    @property
    def as_of(self) -> datetime:
        """The instant that the table describes."""
    @property
    def population(self) -> Population | None:
        """What all customers together taught; None for a table of the caller's own."""
    @property
    def features(self) -> list[FeatureInfo]:
        """What every feature means."""
    def to_numpy(self) -> npt.NDArray[np.float64]:
        """The features as a read-only matrix of shape (customers, features), not copied."""

@final
class Population:
    """Cut points and priors that all customers together taught: built once, used again tomorrow.

    That of a table of selected features knows what these need; other features that need more are
    refused with an InvalidParameterError that names them.
    """

    @staticmethod
    def fit(
        log: EventLog,
        as_of: Instant,
        *,
        progress: Progress | None = None,
        **spec: Unpack[FeatureSpec],
    ) -> Population:
        """Learns everything from the events before ``as_of``, whatever features are selected."""
    @staticmethod
    def from_json(text: str) -> Population:
        """Reads a population from JSON and checks it."""
    def to_json(self) -> str:
        """The population as JSON."""

@final
class RfmSummary(Table):
    """``customer``, ``frequency``, ``recency``, ``age``, ``monetary_value`` and ``log_gaps``.

    Frequency counts repeat purchases, recency runs from the first to the last purchase, age from
    the first purchase to ``as_of``; monetary value is the mean value of repeat purchases, log gaps
    the sum of the logarithms of the gaps between purchases.
    """

    @property
    def customers(self) -> Customers:
        """The customers, one per row."""
    @property
    def as_of(self) -> datetime:
        """The instant that the summary describes."""
    @property
    def unit_days(self) -> float:
        """Days per unit of recency and age."""
    def holdout(
        self, log: EventLog, as_of: Instant, **settings: Unpack[SummarySettings]
    ) -> Holdout:
        """What these customers bought after ``as_of`` of the summary and before this one."""

@final
class Holdout(Table):
    """``customer``, ``frequency`` and ``monetary_value`` of what came after a summary."""

    @property
    def duration(self) -> float:
        """Length of the holdout in units of the summary."""

@final
class RunningSummary:
    """One customer's summary, brought up to date by each new order."""

    def __new__(cls, time: Instant, **settings: Unpack[SummarySettings]) -> RunningSummary: ...
    def add(self, time: Instant, value: float) -> None:
        """Adds a purchase, no earlier than the period of the last one."""
    def row(self, as_of: Instant) -> dict[str, float]:
        """The customer's row of the summary as of an instant after the last purchase."""
    @staticmethod
    def from_json(text: str) -> RunningSummary:
        """Reads a stored running summary and checks it."""
    def to_json(self) -> str:
        """The running summary as JSON."""

@final
class Scorecard:
    """Points per range of each feature, written by people and read like a document."""

    def __new__(cls) -> Scorecard: ...
    def __eq__(self, value: object, /) -> bool: ...
    @staticmethod
    def from_toml(text: str) -> Scorecard:
        """Reads a card from TOML and checks it."""
    @staticmethod
    def from_json(text: str) -> Scorecard:
        """Reads a card from JSON and checks it."""
    def to_toml(self) -> str:
        """The card as TOML."""
    def to_json(self) -> str:
        """The card as JSON."""
    @property
    def features(self) -> list[str]:
        """Names of the features that the card reads."""
    @property
    def horizon_days(self) -> int:
        """How far the probability looks ahead, in days."""
    def score(self, features: FeatureTable, *, progress: Progress | None = None) -> Scores:
        """Scores all customers of a feature table."""

@final
class Scores(Table):
    """Churn probabilities of all customers: ``customer``, ``churn_probability``,
    ``points_<factor>`` for every factor, ``reason_1`` to ``reason_3``."""

    @property
    def customers(self) -> Customers:
        """The customers, one per row."""
    @property
    def as_of(self) -> datetime:
        """The instant that the scores describe."""
    @property
    def horizon_days(self) -> int:
        """How far the probability looks ahead of ``as_of``, in days."""
    @property
    def churn_probability(self) -> npt.NDArray[np.float64]:
        """Probability of no purchase within the horizon, one per customer."""
    @property
    def factors(self) -> list[str]:
        """Names of the factors that contributions are given for."""
    def reasons(
        self, customer: CustomerId, *, limit: int = 3, language: Language | None = None
    ) -> list[Reason]:
        """The factors that moved one customer's probability most, largest first."""

@final
class Reason:
    """One reason for one customer's score; ``str()`` gives the sentence."""

    @property
    def feature(self) -> str:
        """The feature behind it."""
    @property
    def points(self) -> float:
        """How far it moved the score, in points: positive raises the churn probability."""
    @property
    def value(self) -> float | None:
        """The feature's value, or None where it is missing."""
    @property
    def sentence(self) -> str:
        """The reason in words."""
    def __eq__(self, value: object, /) -> bool: ...

@final
class Segments(Table):
    """Every customer in exactly one named group: ``customer`` and the group under its name."""

    @property
    def name(self) -> str:
        """Name of the grouping, e.g. ``"risk_tier"``."""
    @property
    def customers(self) -> Customers:
        """The customers, one per row."""
    @property
    def as_of(self) -> datetime:
        """The instant that the groups describe."""
    @property
    def labels(self) -> list[str]:
        """Names of the groups."""
    def label(self, customer: CustomerId) -> str:
        """The group of one customer."""
    def profile(self, features: FeatureTable) -> Table:
        """One row per group: ``segment``, ``size``, ``share``, ``money``, ``money_share``, then
        ``mean_<feature>`` of every feature."""

@final
class RiskTiers:
    """Low, medium and high churn probability."""

    def __new__(cls, **cuts: Unpack[RiskCuts]) -> RiskTiers: ...
    def __eq__(self, value: object, /) -> bool: ...
    @property
    def medium(self) -> float:
        """Smallest probability of the medium tier."""
    @property
    def high(self) -> float:
        """Smallest probability of the high tier."""
    def assign(self, scores: Scores) -> Segments:
        """Puts every customer into ``low``, ``medium`` or ``high``."""

@final
class Grid:
    """Named rectangles on the scores of recency, frequency and money."""

    @staticmethod
    def rf25() -> Grid:
        """Ten segments on recency × frequency."""
    @staticmethod
    def rfm11() -> Grid:
        """Eleven segments on recency × the mean of frequency and monetary score."""
    @staticmethod
    def from_toml(text: str) -> Grid:
        """Reads a grid from TOML and proves that it has no hole and no overlap."""
    @staticmethod
    def from_json(text: str) -> Grid:
        """Reads a grid from JSON and proves that it has no hole and no overlap."""
    def __eq__(self, value: object, /) -> bool: ...
    def to_toml(self) -> str:
        """The grid as TOML."""
    def to_json(self) -> str:
        """The grid as JSON."""
    @property
    def name(self) -> str:
        """Name of the segments that the grid assigns."""
    def assign(self, features: FeatureTable) -> Segments:
        """Puts every customer into one segment."""

def lifecycle(features: FeatureTable) -> Segments:
    """Groups customers by where they stand in their life with the shop."""

@final
class Facts:
    """Features, scores and segments of the same customers: what conditions speak of."""

    def __new__(
        cls, features: FeatureTable, scores: Scores, segments: Sequence[Segments]
    ) -> Facts: ...
    @property
    def customers(self) -> Customers:
        """The customers, one per row."""

@final
class Playbook:
    """Channels and offers with their costs, and actions for audiences; read like a document."""

    DEFAULT_TOML: Final[str]
    """The default playbook as TOML: a start to copy and to adapt."""

    @staticmethod
    def default_for(facts: Facts) -> Playbook:
        """The default playbook, checked against the names of these facts."""
    @staticmethod
    def from_toml(text: str, facts: Facts) -> Playbook:
        """Reads a playbook from TOML and checks it against the names of these facts."""
    @staticmethod
    def from_json(text: str, facts: Facts) -> Playbook:
        """Reads a playbook from JSON and checks it against the names of these facts."""
    def __eq__(self, value: object, /) -> bool: ...
    def to_toml(self) -> str:
        """The playbook as TOML."""
    def to_json(self) -> str:
        """The playbook as JSON."""
    @property
    def name(self) -> str:
        """Name of the playbook."""
    @property
    def currency(self) -> str:
        """The currency of all costs and values."""
    @property
    def actions(self) -> list[str]:
        """Ids of the actions."""
    @property
    def channels(self) -> list[str]:
        """Ids of the channels."""
    @property
    def offers(self) -> list[str]:
        """Ids of the offers."""

@final
class Plan(Table):
    """What is done for each customer: ``customer``, ``action``, ``channels`` and ``offers``
    (ids, several joined by ``+``, None without an action), ``expected_response``,
    ``contact_cost``, ``offer_cost``. ``print(plan)`` shows the summary.

    A plan for profit has in addition ``expected_profit``, ``change`` (of the probability of
    staying), ``source`` of the change, ``stake``, ``day`` (from 0, missing without an action) and
    ``no_action``."""

    @property
    def customers(self) -> Customers:
        """The customers, one per row."""
    @property
    def as_of(self) -> datetime:
        """The instant that the plan is made for."""
    @property
    def horizon_days(self) -> int:
        """How far the churn probabilities behind it look ahead of ``as_of``, in days."""
    @property
    def playbook(self) -> Playbook:
        """The playbook that was matched."""
    @property
    def allocation(self) -> Allocation | None:
        """Profit, prices and proof, where the plan is made for profit."""
    def no_action(self, customer: CustomerId) -> str | None:
        """Why one customer has no action: ``no_audience`` or ``nothing_open``, and in plans for
        profit also ``unprofitable``, ``outbid``, ``unknown_value``, ``excluded`` or ``held_out``;
        None where there is one."""
    def action(self, customer: CustomerId) -> str | None:
        """Id of one customer's action, or None."""
    def channels(self, customer: CustomerId) -> list[str]:
        """Ids of the channels that one customer is contacted over."""
    def offers(self, customer: CustomerId) -> list[str]:
        """Ids of the offers that one customer is given."""
    def intended(self, customer: CustomerId) -> tuple[str, list[str], list[str]] | None:
        """What the plan means for one customer, also for one who is held out: action, channels,
        offers; None where it means nothing."""
    def why(self, customer: CustomerId, *, language: Language | None = None) -> str:
        """Why one customer gets this action over these channels, or none, in words."""
    def summary(self) -> Table:
        """One row per action: ``action``, ``customers``, ``share``, ``expected_responses``,
        ``contact_cost``, ``offer_cost``."""

def needs(**spec: Unpack[FeatureSpec]) -> Keep:
    """What a log must keep for these features: ``EventLog(data, keep=needs(features=[...]))``."""

def match_actions(playbook: Playbook, facts: Facts) -> Plan:
    """Gives each customer an action of the playbook, or none."""

def optimize(
    playbook: Playbook,
    facts: Facts,
    *,
    uplift: Mapping[Any, Any] | None = None,
    progress: Progress | None = None,
    **settings: Unpack[OptimizeSettings],
) -> Plan:
    """Gives each customer at most one action over one of its channel sets so that the expected
    profit of all together is as large as the constraints allow.

    ``uplift`` maps an action, or ``(action, channels)``, to an array with the estimated change of
    each customer's probability of staying, in the rows of ``facts``, NaN where there is none; or to
    a dict with ``change`` and ``standard_error``, which is drawn towards what is known otherwise.
    """

@final
class Allocation:
    """Profit, prices and proof of a plan made for profit; ``print`` shows them."""

    @property
    def profit(self) -> float:
        """Expected incremental profit of the plan."""
    @property
    def bound(self) -> float:
        """Profit that no plan under the constraints exceeds."""
    @property
    def gap(self) -> float:
        """How far the plan may be from the best one: (bound - profit) / bound."""
    @property
    def spent(self) -> float:
        """What contacts and, by expectation, offers cost together."""
    @property
    def chosen(self) -> int:
        """Number of customers with an action."""
    @property
    def prices(self) -> Table:
        """One row per constraint: ``constraint``, ``subject``, ``is_minimum``, ``limit``, ``used``,
        ``price`` (what one unit more would bring)."""
    @property
    def curve(self) -> Table:
        """``budget``, ``profit``, ``bound``, ``price`` at ``curve_points`` budgets."""

@final
class Journey:
    """Who enters, what happens in which order and what ends it; read like a document."""

    DEFAULT_TOML: Final[str]
    """The default journey as TOML: a start to copy and to adapt."""

    @staticmethod
    def default_for(playbook: Playbook, facts: Facts) -> Journey:
        """The default journey, checked against this playbook and the names of these facts."""
    @staticmethod
    def from_toml(text: str, playbook: Playbook, facts: Facts) -> Journey:
        """Reads a journey from TOML and checks it against this playbook and the names of these
        facts."""
    @staticmethod
    def from_json(text: str, playbook: Playbook, facts: Facts) -> Journey:
        """Reads a journey from JSON and checks it against this playbook and the names of these
        facts."""
    def __eq__(self, value: object, /) -> bool: ...
    def to_toml(self) -> str:
        """The journey as TOML."""
    def to_json(self) -> str:
        """The journey as JSON."""
    def differences(self, other: Journey) -> list[str]:
        """Where this journey and another differ, one line per place."""
    @property
    def id(self) -> str:
        """Id of the journey."""
    @property
    def steps(self) -> list[str]:
        """Ids of the steps."""

@final
class ContactPolicy:
    """How often, when and over which channels customers may be contacted; read like a document."""

    DEFAULT_TOML: Final[str]
    """The default policy as TOML: a start to copy and to adapt."""
    PRESETS: Final[list[str]]
    """The names of ``preset``."""

    @staticmethod
    def default_for(playbook: Playbook) -> ContactPolicy:
        """The default policy, without what it says about channels that the playbook lacks."""
    @staticmethod
    def preset(name: str, playbook: Playbook) -> ContactPolicy:
        """The way that a product of the trade words its limits, with its customary numbers."""
    @staticmethod
    def from_toml(text: str, playbook: Playbook) -> ContactPolicy:
        """Reads a policy from TOML and checks it against the channels of a playbook."""
    @staticmethod
    def from_json(text: str, playbook: Playbook) -> ContactPolicy:
        """Reads a policy from JSON and checks it against the channels of a playbook."""
    def __eq__(self, value: object, /) -> bool: ...
    def to_toml(self) -> str:
        """The policy as TOML."""
    def to_json(self) -> str:
        """The policy as JSON."""
    def differences(self, other: ContactPolicy) -> list[str]:
        """Where this policy and another differ, one line per place."""

@final
class JourneyState:
    """Where every customer stands; stored between two steps."""

    @staticmethod
    def from_json(text: str) -> JourneyState:
        """Reads a state from JSON."""
    def __eq__(self, value: object, /) -> bool: ...
    def to_json(self) -> str:
        """The state as JSON."""
    @property
    def customers(self) -> Customers:
        """The customers it knows."""
    @property
    def clock(self) -> datetime:
        """The instant up to which everything is done."""
    @property
    def nbytes(self) -> int:
        """Bytes in memory, ids of customers not counted."""
    def step_of(self, customer: CustomerId, journey: str) -> str | None:
        """Id of the step at which a customer stands in a journey, or None."""
    def inside(self, journey: str) -> int:
        """Number of customers inside a journey."""
    def held_out(self) -> list[bool]:
        """Whether each customer is held out."""
    def with_held_out(
        self, customers: Customers | Sequence[CustomerId], held: Sequence[bool]
    ) -> JourneyState:
        """The same state with these customers (ascending ids) held out or not."""
    def with_zones(
        self, customers: Customers | Sequence[CustomerId], zones: Sequence[str]
    ) -> JourneyState:
        """The same state with the time zones of these customers (ascending ids)."""
    def learned(self) -> dict[str, Any]:
        """What contacts taught so far: ``options`` and ``exposures``."""
    def learned_text(self) -> str:
        """What contacts taught so far, as a table for reading."""

@final
class JourneyOutcome(Table):
    """What a step decided; as a table the contacts to make: ``customer``, ``at``, ``journey``,
    ``step``, ``offers``, ``channels``, ``segment``, ``propensity``, ``cost``, ``offer_cost``,
    ``replaced``, ``planned``."""

    @property
    def log(self) -> Table:
        """Every decision: ``customer``, ``at``, ``journey``, ``step``, ``decision``, ``reason``,
        ``segment``, ``until``, ``propensity``."""
    def lines(self) -> list[str]:
        """Every decision as a line for reading."""
    @property
    def next_due(self) -> datetime | None:
        """The next instant at which something is due if nothing happens before."""

@final
class JourneyEngine:
    """Journeys, policy and playbook, checked and ready to run: a pure function from state to
    state. ``learning`` takes the fields of ``churn.defaults("learning")``."""

    def __new__(
        cls,
        journeys: Sequence[Journey],
        policy: ContactPolicy,
        playbook: Playbook,
        facts: Facts,
        *,
        learning: dict[str, Any] | None = None,
    ) -> JourneyEngine: ...
    @property
    def reads(self) -> list[str]:
        """Names of the features, scores and segmentations that decisions read; where there is
        one, every step needs facts."""
    def start(self, now: Instant) -> JourneyState:
        """The state of a shop about which nothing is known yet."""
    def begin(self, log: EventLog, as_of: Instant) -> JourneyState:
        """The state of a shop with a past: last purchases and complaints, messages sent."""
    def step(
        self,
        state: JourneyState,
        now: Instant,
        *,
        until: Instant | None = None,
        events: Sequence[Mapping[str, object]] | None = None,
        log: EventLog | None = None,
        since: Instant | None = None,
        facts: Facts | None = None,
        plan: Plan | None = None,
    ) -> tuple[JourneyState, JourneyOutcome]:
        """Steps to ``until`` (``now`` where left out); the state that is given stays as it is.

        ``events`` are dicts with ``customer``, ``time``, ``kind`` (a kind of the event log,
        ``unsubscribed`` or ``subscribed``) and, where there is one, ``channel``. ``log`` tells the
        events of a log from ``since`` (the state's clock where left out) to ``now``. ``plan`` is the
        plan in force, for steps that make what it says."""

@final
class JourneyReplay(Table):
    """Journeys run over a span of days; as a table one row per day: ``date``, ``entered``,
    ``left``, ``contacts``, ``contacts_<channel>``, ``held_out``, ``held_<rule>``,
    ``skipped_<rule>``, ``cost``. ``print(replay)`` shows the calendar."""

    @property
    def contacts(self) -> Table:
        """The contacts made, with the columns of ``JourneyOutcome``."""
    @property
    def log(self) -> Table:
        """Every decision, with the columns of ``JourneyOutcome.log``."""
    @property
    def state(self) -> JourneyState:
        """The state at the end."""
    @property
    def cost(self) -> float:
        """Cost of all contacts (currency of the playbook)."""
    def report(
        self,
        log: EventLog,
        *,
        horizon_days: int,
        observed_until: Instant | None = None,
        **incremental: Any,
    ) -> dict[str, Any]:
        """What the contacts changed against the hold-out, from these logs and what ``log`` says
        happened afterwards: the fields of the core's JourneyReport."""
    def histogram(self) -> list[int]:
        """How many customers had how many contacts: entry k counts those with k."""
    def calendar(self, days: int = 7) -> str:
        """The calendar as a table for reading, some days per line."""
    def compare(self, other: JourneyReplay) -> str:
        """This replay (first) and a rival one (second) side by side, as a table for reading."""

def replay(
    log: EventLog,
    start: Instant,
    end: Instant,
    *,
    journeys: Sequence[Journey] | None = None,
    policy: ContactPolicy | str | None = None,
    learning: dict[str, Any] | None = None,
    plans: Sequence[Plan] | None = None,
    progress: Progress | None = None,
    **settings: Unpack[WinBackSettings],
) -> JourneyReplay:
    """Runs journeys over the days from ``start`` to ``end`` (exclusive) of a log.

    ``policy`` may be the name of a preset. Steps that make what the plan says make what the one of
    ``plans`` says that was made last before the day. Days after the last event are a forecast for customers
    who stay silent."""

def journey_report(
    outcomes: Sequence[JourneyOutcome],
    log: EventLog,
    *,
    horizon_days: int,
    observed_until: Instant | None = None,
    **incremental: Any,
) -> dict[str, Any]:
    """What the contacts of several steps changed against the hold-out, as
    ``JourneyReplay.report``."""

def lot(salt: str, customer: CustomerId) -> float:
    """The lot of a customer under a salt, in [0, 1): held out are those below the share."""

def hold_out(
    customers: Customers | Sequence[CustomerId], *, salt: str, share: float
) -> list[bool]:
    """Whether each of these customers (ascending ids) is held out, everyone judged alone."""

def hold_out_stratified(segments: Segments, *, salt: str, share: float) -> list[bool]:
    """Whether each customer of a segmentation is held out, the share met in each segment."""

@final
class WinBack:
    """Everything the flow found out; all rows are the same customers. ``print`` shows the plan."""

    @property
    def features(self) -> FeatureTable:
        """What describes each customer."""
    @property
    def lifetime(self) -> LifetimeModel | None:
        """The model of buying that was fitted, if the settings ask for one."""
    @property
    def scores(self) -> Scores:
        """Churn probabilities with reasons."""
    @property
    def risk_tier(self) -> Segments:
        """Risk tiers."""
    @property
    def rfm_segment(self) -> Segments:
        """Segments of the grid."""
    @property
    def lifecycle(self) -> Segments:
        """Lifecycle stages."""
    @property
    def plan(self) -> Plan:
        """Who gets what, through which channels."""
    def story(self, customer: CustomerId, *, language: Language | None = None) -> str:
        """One customer told as a story: the numbers, the reasons, the offer."""
    def examples(self) -> list[CustomerId]:
        """Three customers worth telling about, from every risk tier that has one, high to low."""
    def plan_csv(self, *, language: Language | None = None) -> bytes:
        """The plan as the bytes of a CSV file, one row per customer."""

def winback(
    log: EventLog,
    as_of: Instant | None = None,
    *,
    model: FittedModel | ChurnModel | None = None,
    progress: Progress | None = None,
    **settings: Unpack[WinBackSettings],
) -> WinBack:
    """Features, scores, segments and plan of all customers with an event before ``as_of``.

    Without ``as_of`` it is the day after the last event: the first as of which the log is all past.

    A fitted ``model`` gives the churn probabilities in place of the scorecard.
    """

@final
class Shop:
    """A shop to simulate: its customers, their habits, and the seed that decides all chance."""

    def __new__(cls, **settings: Unpack[ShopSettings]) -> Shop: ...
    def __eq__(self, value: object, /) -> bool: ...
    def open(self) -> SimulatedShop:
        """Simulates the log."""

@final
class SimulatedShop:
    """A simulated log and the truth behind it."""

    def __len__(self) -> int:
        """Number of events."""
    def log(self, *, progress: Progress | None = None, **cleaning: Unpack[Cleaning]) -> EventLog:
        """The event log."""
    def change(
        self,
        at: Instant,
        *,
        horizon_days: int,
        channels: Sequence[str],
        strength: float,
        **persuasion: float,
    ) -> npt.NDArray[np.float64]:
        """By how much a campaign raises each customer's probability of going on to buy.

        ``strength`` is the share of readers about to leave whom the offer persuades."""
    def respond(
        self,
        customer: Sequence[int] | npt.NDArray[Any],
        at: Instant | Sequence[Instant],
        *,
        channels: Sequence[str],
        strength: float,
        horizon_days: int,
        seed: int,
        **persuasion: float,
    ) -> SimulatedShop:
        """The same shop after contacts: whoever is persuaded comes back and buys."""
    @property
    def truth(self) -> Table:
        """How every customer really behaves: ``customer``, ``pattern`` (regular, lapsing or
        one_time), ``joined``, ``left`` (None for regular customers), ``gap_days``,
        ``order_value`` and one ``<channel>_open_probability`` per channel."""

def defaults(name: str) -> dict[str, Any]:
    """The default settings of one name: what is left out anywhere has these values.

    Names: cleaning, names, csv, features, summary, scorecard, risk_tiers, grid, playbook,
    winback, shop, kaplan_meier, nelson_aalen, cox, weibull_aft, retention,
    lifecycle_over_time, stickiness.
    """

@final
class KaplanMeier:
    """Settings of a Kaplan-Meier curve: ``confidence``, and ``transform`` of the interval."""

    def __new__(cls, **settings: Unpack[KaplanMeierSettings]) -> KaplanMeier: ...
    def fit(
        self, durations: Numbers, event_observed: Flags | None = None, *, entry: Numbers | None = None
    ) -> SurvivalCurve:
        """The curve of these spells; without ``event_observed`` all were seen to end."""

@final
class SurvivalCurve(Table):
    """A Kaplan-Meier curve, one row per distinct time: ``time``, ``at_risk``, ``events``,
    ``censored``, ``survival``, ``lower``, ``upper``."""

    @property
    def median(self) -> float | None:
        """The time at which half are left; None if the curve never falls that far."""
    def percentile(self, survival: float) -> float | None:
        """The first time at which at most the share ``survival`` is left."""
    def percentile_interval(self, survival: float) -> tuple[float | None, float | None]:
        """The interval of a percentile."""
    def survival_at(self, times: Numbers) -> npt.NDArray[np.float64]:
        """Survival at any times."""
    def restricted_mean(self, limit: float) -> float:
        """Mean duration when every spell is cut at ``limit``."""

@final
class NelsonAalen:
    """Settings of a Nelson-Aalen curve: ``confidence`` and ``ties``."""

    def __new__(cls, **settings: Unpack[NelsonAalenSettings]) -> NelsonAalen: ...
    def fit(
        self, durations: Numbers, event_observed: Flags | None = None, *, entry: Numbers | None = None
    ) -> HazardCurve:
        """The curve of these spells; without ``event_observed`` all were seen to end."""

@final
class HazardCurve(Table):
    """A Nelson-Aalen curve, one row per distinct time: ``time``, ``at_risk``, ``events``,
    ``censored``, ``cumulative_hazard``, ``lower``, ``upper``."""

    def cumulative_hazard_at(self, times: Numbers) -> npt.NDArray[np.float64]:
        """Cumulative hazard at any times."""

@final
class LogRank(Table):
    """What a log-rank test found, one row per group: ``group``, ``size``, ``observed``,
    ``expected``."""

    @property
    def statistic(self) -> float:
        """Chi-square statistic."""
    @property
    def degrees_of_freedom(self) -> int:
        """Number of groups minus one."""
    @property
    def p_value(self) -> float:
        """Probability of a statistic at least as large if the groups do not differ."""

def logrank(
    durations: Numbers,
    groups: Labels,
    event_observed: Flags | None = None,
    *,
    entry: Numbers | None = None,
    weights: LogRankWeights | None = None,
) -> LogRank:
    """Tests whether two or more groups end at the same rate."""

@final
class CoxPH:
    """Settings of a Cox proportional-hazards model."""

    def __new__(cls, **settings: Unpack[CoxSettings]) -> CoxPH: ...
    def fit(
        self,
        durations: Numbers,
        covariates: Covariates,
        event_observed: Flags | None = None,
        *,
        entry: Numbers | None = None,
        strata: Labels | None = None,
        progress: Progress | None = None,
    ) -> CoxModel:
        """Fits the model: every column of ``covariates`` is one.

        Covariates that change are one row per stretch, from ``entry`` to ``durations``.
        """

@final
class CoxModel:
    """A fitted Cox model."""

    @property
    def summary(self) -> Table:
        """One row per covariate: ``covariate``, ``coefficient``, ``standard_error``, ``z``,
        ``p_value``, ``lower``, ``upper``."""
    @property
    def coefficients(self) -> dict[str, float]:
        """The change of the log hazard per unit, by covariate."""
    @property
    def log_likelihood(self) -> float:
        """Logarithm of the partial likelihood at the estimate, without the penalty."""
    @property
    def null_log_likelihood(self) -> float:
        """The same with all coefficients 0."""
    @property
    def likelihood_ratio(self) -> tuple[float, int, float]:
        """Statistic, degrees of freedom and p-value of all coefficients together."""
    @property
    def concordance(self) -> float | None:
        """Harrell's concordance on the rows of the fit; None without a pair to compare."""
    @property
    def iterations(self) -> int:
        """Newton steps taken."""
    @property
    def baseline(self) -> Table:
        """Breslow's cumulative hazard of a row with mean covariates: ``stratum``, ``time``,
        ``cumulative_hazard``."""
    def log_partial_hazard(self, covariates: Covariates) -> npt.NDArray[np.float64]:
        """ln of each row's hazard over that of a row with mean covariates."""
    def survival(
        self,
        covariates: Covariates,
        times: Numbers,
        *,
        strata: Labels | None = None,
        conditional_after: Numbers | None = None,
    ) -> npt.NDArray[np.float64]:
        """Probability that each row lasts longer than each time, of shape (rows, times).

        With ``conditional_after``, that much longer, given that it has run that long.
        """
    def percentile(
        self, covariates: Covariates, survival: float = 0.5, *, strata: Labels | None = None
    ) -> npt.NDArray[np.float64]:
        """The first time at which each row's survival is at most ``survival``; NaN where it
        never is within the times of the fit."""

@final
class WeibullAFT:
    """Settings of a Weibull accelerated-failure-time model."""

    def __new__(cls, **settings: Unpack[WeibullSettings]) -> WeibullAFT: ...
    def fit(
        self,
        durations: Numbers,
        covariates: Covariates | None = None,
        event_observed: Flags | None = None,
    ) -> WeibullModel:
        """Fits the model: every column of ``covariates`` is one; None = the durations alone."""

@final
class WeibullModel:
    """A fitted Weibull model."""

    @property
    def summary(self) -> Table:
        """The ``intercept``, one row per covariate, and ``log_shape``: ``covariate``,
        ``coefficient``, ``standard_error``, ``z``, ``p_value``, ``lower``, ``upper``."""
    @property
    def coefficients(self) -> dict[str, float]:
        """The change of ln(scale) per unit, by covariate, and the intercept."""
    @property
    def shape(self) -> float:
        """The shape: above 1 the risk grows with the age of the spell."""
    @property
    def scale(self) -> float:
        """The scale where all covariates are 0."""
    @property
    def log_likelihood(self) -> float:
        """Log-likelihood at the estimate, without the penalty."""
    @property
    def null_log_likelihood(self) -> float:
        """The same without covariates."""
    @property
    def likelihood_ratio(self) -> tuple[float, int, float]:
        """Statistic, degrees of freedom and p-value of all covariates together."""
    @property
    def concordance(self) -> float | None:
        """Harrell's concordance on the rows of the fit; None without covariates."""
    def survival(
        self,
        covariates: Covariates,
        times: Numbers,
        *,
        conditional_after: Numbers | None = None,
    ) -> npt.NDArray[np.float64]:
        """Probability that each row lasts longer than each time, of shape (rows, times)."""
    def percentile(
        self, covariates: Covariates, survival: float = 0.5
    ) -> npt.NDArray[np.float64]:
        """The time at which each row's survival is ``survival``."""
    def mean(self, covariates: Covariates) -> npt.NDArray[np.float64]:
        """Mean duration of each row."""

def concordance_index(
    durations: Numbers,
    risk: Numbers,
    event_observed: Flags | None = None,
    *,
    entry: Numbers | None = None,
) -> float | None:
    """Harrell's concordance of risk scores (higher = ends sooner: lifelines takes the negative);
    None without a pair to compare."""

def survival_brier_score(
    durations: Numbers,
    event_observed: Flags,
    survival: npt.NDArray[np.float64],
    times: Numbers,
    *,
    train: tuple[Numbers, Flags] | None = None,
) -> tuple[npt.NDArray[np.float64], float]:
    """Brier scores of predicted survival, of shape (rows, times), at each time, and their mean
    over the span of the times.

    ``train`` holds durations and events that the chance of being censored is learned from; None =
    those scored.
    """

def purchase_gaps(log: EventLog, as_of: Instant | None = None) -> Table:
    """Gaps between purchase days, the open ones cut at ``as_of``: ``customer``,
    ``purchases_before``, ``duration`` (days), ``event_observed``."""

@final
class Retention(Table):
    """Who came back, one row per cohort and period: ``cohort`` (its first day), ``start``,
    ``size``, ``cohort_complete``, ``from_period``, ``to_period``, ``retained``, ``share``,
    ``complete``."""

    @property
    def cohorts(self) -> list[str]:
        """First day of each cohort's period."""
    @property
    def periods(self) -> list[tuple[int, int]]:
        """First and last period of each column of ``matrix`` and ``curve``."""
    def matrix(self) -> npt.NDArray[np.float64]:
        """Shares of shape (cohorts, periods); NaN where the time has not begun."""
    def curve(self, mean: Literal["weighted", "simple"] | None = None) -> npt.NDArray[np.float64]:
        """The shares of complete cells as one curve; NaN for periods without any."""

def retention(
    log: EventLog,
    as_of: Instant | None = None,
    *,
    progress: Progress | None = None,
    **settings: Unpack[RetentionSettings],
) -> Retention:
    """Who came back, by when they came first. Without ``as_of`` it is the day after the last
    event."""

def lifecycle_over_time(
    log: EventLog,
    as_of: Instant | None = None,
    *,
    progress: Progress | None = None,
    **settings: Unpack[LifecycleOverTimeSettings],
) -> Table:
    """Customers by state, one row per period: ``period`` (its first day), ``start``, ``new``,
    ``returning``, ``resurrecting``, ``dormant``, ``complete``."""

@final
class Stickiness(Table):
    """Customers by the number of periods in which they were active: ``periods``,
    ``customers``."""

    @property
    def ratio(self) -> float | None:
        """Mean share of periods in which a customer was active; None where nobody was."""
    @property
    def complete(self) -> bool:
        """Whether the last period is over."""

def stickiness(
    log: EventLog,
    as_of: Instant | None = None,
    *,
    progress: Progress | None = None,
    **settings: Unpack[StickinessSettings],
) -> Stickiness:
    """In how many periods customers were active."""

@final
class TrainingData(Table):
    """One row per customer and cut-off: ``customer``, ``as_of``, ``churned``, then the features."""

    @staticmethod
    def build(
        log: EventLog, *, progress: Progress | None = None, **training: Unpack[TrainingSettings]
    ) -> TrainingData:
        """Describes the customers of a log at each cut-off and labels them.

        Features end at the cut-off, labels begin there; customers whose horizon the log has not
        observed to its end are left out and counted.
        """
    @property
    def features(self) -> list[str]:
        """Names of the features."""
    @property
    def target(self) -> npt.NDArray[np.float64]:
        """The labels: 1 = churned, 0 = stayed."""
    @property
    def silence(self) -> dict[str, int]:
        """Features that tell the silence: 1 where they grow with it, -1 where they fall."""
    @property
    def groups(self) -> npt.NDArray[np.float64]:
        """A number for each row that is the same for rows of the same customer."""
    @property
    def cut_offs(self) -> list[datetime]:
        """The cut-offs that gave rows, ascending."""
    @property
    def excluded(self) -> dict[str, int]:
        """How many rows are missing, by reason."""
    def frame(self) -> Table:
        """The features alone."""
    def time_folds(self, folds: int = 3) -> list[Fold]:
        """Folds that go forward in time: the latest cut-offs tested, each on those over by then."""

@final
class FittedModel:
    """A fitted churn model; :class:`ChurnModel` is the estimator around it."""

    def __eq__(self, value: object, /) -> bool: ...
    @staticmethod
    def fit(
        data: Rows,
        target: npt.ArrayLike,
        *,
        weights: npt.ArrayLike | None = None,
        groups: npt.ArrayLike | None = None,
        progress: Progress | None = None,
        **settings: Unpack[ChurnModelSettings],
    ) -> FittedModel:
        """Fits a model on rows and their labels (1 = churned); rows of one group share a fold."""
    @staticmethod
    def fit_log(
        log: EventLog,
        training: TrainingSettings,
        *,
        progress: Progress | None = None,
        **settings: Unpack[ChurnModelSettings],
    ) -> FittedModel:
        """Builds training data from a log and fits a model on it."""
    @staticmethod
    def fit_data(
        data: TrainingData,
        *,
        progress: Progress | None = None,
        **settings: Unpack[ChurnModelSettings],
    ) -> FittedModel:
        """Fits a model on training data; folds keep each customer's rows together."""
    @property
    def names(self) -> list[str]:
        """Names of the columns of training."""
    @property
    def out_of_fold(self) -> dict[str, Any]:
        """How well the model did on rows that it had not seen."""
    def predict(self, data: Rows) -> npt.NDArray[np.float64]:
        """Churn probability of each row; columns are found by name."""
    def score(self, features: FeatureTable) -> Scores:
        """Scores of a feature table, with reasons."""
    def points(self, data: Rows) -> tuple[float, npt.NDArray[np.float64]]:
        """Base points, and points of shape (rows, columns); 20 points double the odds."""
    def reasons(
        self, data: Rows, *, limit: int = 3, language: Language | None = None
    ) -> list[list[str]]:
        """The largest reasons of each row, in words."""
    def importance(self, data: Rows) -> npt.NDArray[np.float64]:
        """Mean absolute points of each column."""
    def permutation_importance(
        self,
        data: Rows,
        target: npt.ArrayLike,
        *,
        weights: npt.ArrayLike | None = None,
        repeats: int = 5,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> npt.NDArray[np.float64]:
        """Rise of the log loss if a column is shuffled, per column."""
    def partial_dependence(self, data: Rows, column: str, *, points: int = 20) -> dict[str, Any]:
        """Mean prediction if every row had a value (or level) of one column."""
    def drift(self, data: Rows) -> dict[str, Any]:
        """How far columns and probabilities have moved since training."""
    def to_bytes(self) -> bytes:
        """The model as bytes, readable by every language of the library; no training rows."""
    @staticmethod
    def from_bytes(bytes: bytes) -> FittedModel:
        """Reads a model and checks it; safe for bytes of any origin."""

def drivers(
    data: Rows,
    target: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    groups: npt.ArrayLike | None = None,
    level: float = 0.95,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """What goes along with churn: the effect of each factor on its odds, with an interval.

    ``effects``, the intercept last, and ``l2``, the ridge that was needed (0 = none). ``groups``
    names the rows of one customer, which widens the intervals as it must.
    """

def cross_validate(
    data: Rows,
    target: npt.ArrayLike,
    splits: Sequence[Fold],
    *,
    weights: npt.ArrayLike | None = None,
    groups: npt.ArrayLike | None = None,
    progress: Progress | None = None,
    **settings: Unpack[ChurnModelSettings],
) -> dict[str, npt.NDArray[np.float64]]:
    """Measures of each fold, and the probability of each row where a fold has tested it."""

def search(
    data: Rows,
    target: npt.ArrayLike,
    splits: Sequence[Fold],
    axes: Mapping[str, Sequence[Any]],
    *,
    weights: npt.ArrayLike | None = None,
    groups: npt.ArrayLike | None = None,
    search: SearchSettings | None = None,
    progress: Progress | None = None,
    **settings: Unpack[ChurnModelSettings],
) -> dict[str, Any]:
    """Compares all combinations of settings, named by path (``"boosting.leaves"``).

    Gives the place of the best, its settings, and all trials (less loss is better).
    """

def make_folds(
    target: npt.ArrayLike, folds: int = 5, *, groups: npt.ArrayLike | None = None, seed: int = 0
) -> list[Fold]:
    """Folds with equal shares of each label; with groups, those that keep a group together."""

def mutual_information(data: Rows, target: npt.ArrayLike, *, bins: int = 16) -> dict[str, float]:
    """How much each column tells about the labels alone, in nats."""

def variation(data: Rows) -> dict[str, float]:
    """How much each column varies: variance of numbers, probability that two levels differ."""

@final
class Pca:
    """Fitted principal components."""

    @staticmethod
    def fit(data: Rows, **settings: Unpack[PcaSettings]) -> Pca:
        """Finds the components of numeric columns."""
    def transform(self, data: Rows) -> Table:
        """The components of rows, columns ``component_1``, ``component_2``, ..."""
    @property
    def explained(self) -> npt.NDArray[np.float64]:
        """Share of the spread of all columns that each component holds."""

def roc_auc(
    labels: npt.ArrayLike, scores: npt.ArrayLike, *, weights: npt.ArrayLike | None = None
) -> float:
    """Probability that a churner scores higher than one who stays, ties counting half."""

def average_precision(
    labels: npt.ArrayLike, scores: npt.ArrayLike, *, weights: npt.ArrayLike | None = None
) -> float:
    """Precision at each distinct score, weighted by the churners it adds."""

def pr_auc(
    labels: npt.ArrayLike, scores: npt.ArrayLike, *, weights: npt.ArrayLike | None = None
) -> float:
    """Area under the precision-recall curve by trapezoids."""

def class_separation(
    labels: npt.ArrayLike, scores: npt.ArrayLike, *, weights: npt.ArrayLike | None = None
) -> float:
    """Largest distance between the score distributions of churners and of those who stay."""

def log_loss(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, weights: npt.ArrayLike | None = None
) -> float:
    """Mean negative logarithm of the probability given to what happened."""

def brier_score(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    bins: Bins | None = None,
) -> dict[str, float]:
    """``brier`` = ``reliability`` - ``resolution`` + ``uncertainty`` + ``within_bins``."""

def calibration_error(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    bins: Bins | None = None,
) -> float:
    """Mean distance between stated and observed churn over bins (ten of equal width)."""

def reliability_curve(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    bins: Bins | None = None,
) -> dict[str, npt.NDArray[np.float64]]:
    """``predicted``, ``observed`` and ``weight`` of each bin that is not empty."""

def capture_at(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    share: float,
    *,
    weights: npt.ArrayLike | None = None,
) -> float:
    """Share of all churners among the ``share`` of rows that score highest."""

def lift_at(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    share: float,
    *,
    weights: npt.ArrayLike | None = None,
) -> float:
    """Churn among the ``share`` of rows that score highest, as a multiple of churn among all."""

def gain_curve(
    labels: npt.ArrayLike, scores: npt.ArrayLike, *, weights: npt.ArrayLike | None = None
) -> dict[str, npt.NDArray[np.float64]]:
    """``thresholds``, and the shares of rows ``reached`` and of churners ``captured`` down to them."""

def confusion(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    threshold: float,
    *,
    weights: npt.ArrayLike | None = None,
) -> dict[str, float]:
    """The four outcomes of a decision at a threshold, and precision, recall, F1, MCC, ..."""

def mpc(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    **profit: Unpack[ProfitSettings],
) -> tuple[float, float]:
    """Profit per customer of the best threshold for a known acceptance; share to contact."""

def empc(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    **profit: Unpack[ProfitSettings],
) -> tuple[float, float]:
    """Expected profit per customer of the best threshold; expected share to contact."""

def psi(expected: npt.ArrayLike, actual: npt.ArrayLike, *, bins: int = 10) -> float:
    """Population stability index of two samples: below 0.1 stable, from 0.25 on moved."""

def kolmogorov_smirnov(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Largest distance between the distribution functions of two samples."""

def calibration_drift(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, weights: npt.ArrayLike | None = None
) -> dict[str, float]:
    """Whether stated probabilities fit outcomes: means, slope, intercept, p value."""

def bootstrap(
    measure: str,
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    **settings: Unpack[BootstrapSettings],
) -> dict[str, float]:
    """A measure by name with an interval: ``estimate``, ``low``, ``high``, ``standard_error``."""
# ---- experiments, hold-outs, policies (churn.experiment) ----

def effects_of(
    comparison: Mapping[str, Any], arms: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The changes that arms of a comparison made, as ``effects.experiments`` of ``optimize``; each of
    ``arms`` has ``arm``, ``action`` and, where wanted, ``channels`` and ``segment``."""

def uplift_calibration(
    predicted: Sequence[float] | npt.NDArray[Any], scores: Sequence[float] | npt.NDArray[Any]
) -> dict[str, float]:
    """How far predictions of an uplift model may be believed, from doubly robust scores out of
    fold: ``center``, ``average``, ``average_error``, ``slope``, ``slope_error``."""

def calibrated_uplift(
    calibration: Mapping[str, float], predicted: Sequence[float] | npt.NDArray[Any]
) -> dict[str, npt.NDArray[np.float64]]:
    """``change`` and ``standard_error`` for predictions of the model, as ``optimize`` takes them."""

def compare_arms(
    arm: Sequence[Any] | npt.NDArray[Any],
    outcome: Sequence[float] | npt.NDArray[Any],
    *,
    control: str | int,
    kind: Literal["binary", "count", "money"],
    covariates: Sequence[Sequence[float] | npt.NDArray[Any]] | None = None,
    **comparison: Any,
) -> dict[str, Any]:
    """Compares every arm with the control on one outcome per unit."""

def sample_ratio(
    arm: Sequence[Any] | npt.NDArray[Any],
    *,
    control: str | int,
    shares: Sequence[float] | None = None,
) -> dict[str, Any]:
    """Did the arms get the shares that were planned?"""

def group_sequential_bounds(
    looks: Sequence[float],
    *,
    confidence: float = 0.95,
    spending: Literal["obrien_fleming", "pocock"] | None = None,
) -> list[float]:
    """Bounds |z| of a test with planned looks."""

def sample_size(effect: float, variances: tuple[float, float], **plan: Any) -> int:
    """Units needed in the control to see a difference of means."""

def minimum_detectable_effect(
    control_units: int, variances: tuple[float, float], **plan: Any
) -> float:
    """The smallest difference that so many units can show."""

def power(
    effect: float, control_units: int, variances: tuple[float, float], **plan: Any
) -> float:
    """The probability of seeing a difference that is there."""

def plan_from_log(
    log: EventLog,
    as_of: Instant,
    *,
    silence_days: int,
    horizon_days: int,
    window_days: int,
) -> dict[str, Any]:
    """What the past says about an experiment with customers who fall silent."""

@final
class Exposures:
    """Who was in which arm of an experiment, and from when on."""

    def __new__(
        cls,
        customer: Sequence[CustomerId] | npt.NDArray[Any],
        arm: Sequence[Any] | npt.NDArray[Any],
        at: Sequence[Instant],
        *,
        control: str | int,
    ) -> Exposures: ...
    @property
    def customers(self) -> Customers:
        """The customers, sorted by id."""
    @property
    def arm(self) -> list[str]:
        """The arm of each customer."""
    def outcomes(
        self, log: EventLog, *, horizon_days: int, observed_until: Instant | None = None
    ) -> dict[str, Any]:
        """What each customer did within the horizon after entering."""
    def incremental(
        self,
        log: EventLog,
        cost: Sequence[float] | npt.NDArray[Any],
        *,
        horizon_days: int,
        group: Sequence[Any] | npt.NDArray[Any] | None = None,
        observed_until: Instant | None = None,
        **incremental: Any,
    ) -> dict[str, Any]:
        """What contacting changed, against the customers held out."""
    def __len__(self) -> int:
        """Number of customers."""

@final
class PolicyValue:
    """The value of a policy from logged choices, with one score per choice."""

    @property
    def value(self) -> float:
        """Mean reward per choice."""
    @property
    def interval(self) -> tuple[float, float]:
        """Its interval."""
    @property
    def standard_error(self) -> float:
        """Its standard error."""
    @property
    def effective_choices(self) -> float:
        """How many choices of its own the policy would need to know as much."""
    @property
    def largest_weight(self) -> float:
        """The largest weight of a choice."""
    def minus(self, other: PolicyValue, *, confidence: float = 0.95) -> dict[str, Any]:
        """This value minus that of another policy on the same choices."""

def policy_value_of(
    reward: Sequence[float] | npt.NDArray[Any],
    propensity: Sequence[float] | npt.NDArray[Any],
    policy: Sequence[float] | npt.NDArray[Any],
    *,
    estimator: Literal["inverse_propensity", "self_normalised", "doubly_robust"],
    model: tuple[Any, Any] | None = None,
    confidence: float = 0.95,
) -> PolicyValue:
    """What a policy would have earned, from the log of another one."""

def profit_curve(
    score: Sequence[float] | npt.NDArray[Any],
    effect: Sequence[float] | npt.NDArray[Any],
    cost: Sequence[float] | npt.NDArray[Any],
    *,
    confidence: float = 0.95,
) -> dict[str, Any]:
    """Incremental profit of contacting the first customers of a ranking, and the best cut."""

# ---- uplift (churn.uplift) ----

def uplift_metrics(
    score: Sequence[float] | npt.NDArray[Any],
    treated: Sequence[Any] | npt.NDArray[Any],
    outcome: Sequence[float] | npt.NDArray[Any],
    *,
    k: float = 0.3,
    buckets: int = 30,
) -> dict[str, Any]:
    """Every uplift metric of a ranking, each under the name of its definition."""

def uplift_intervals(
    score: Sequence[float] | npt.NDArray[Any],
    treated: Sequence[Any] | npt.NDArray[Any],
    outcome: Sequence[float] | npt.NDArray[Any],
    *,
    k: float = 0.3,
    buckets: int = 30,
    **bootstrap: Any,
) -> dict[str, dict[str, float]]:
    """Intervals of every uplift metric of a ranking by drawing its units anew."""

def uplift_curve(
    score: Sequence[float] | npt.NDArray[Any],
    treated: Sequence[Any] | npt.NDArray[Any],
    outcome: Sequence[float] | npt.NDArray[Any],
    *,
    kind: str = "qini",
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Units above each cut of a ranking, and the height of the curve there."""

def uplift_at_k(
    score: Sequence[float] | npt.NDArray[Any],
    treated: Sequence[Any] | npt.NDArray[Any],
    outcome: Sequence[float] | npt.NDArray[Any],
    *,
    k: float = 0.3,
    strategy: Literal["overall", "by_group"] | None = None,
) -> float:
    """Difference of mean outcomes among the first share of a ranking."""

def propensity_scores(
    treated: Sequence[Any] | npt.NDArray[Any],
    outcome: Sequence[float] | npt.NDArray[Any],
    propensity: Sequence[float] | npt.NDArray[Any],
) -> npt.NDArray[Any]:
    """One unbiased effect score per unit from known propensities."""

def toc_curve(
    score: Sequence[float] | npt.NDArray[Any], effect: Sequence[float] | npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Share of units and TOC at every distinct score."""

def rate(
    score: Sequence[float] | npt.NDArray[Any],
    effect: Sequence[float] | npt.NDArray[Any],
    *,
    weighting: Literal["autoc", "qini"] | None = None,
) -> float:
    """Weighted area under the TOC."""

def rate_interval(
    score: Sequence[float] | npt.NDArray[Any],
    effect: Sequence[float] | npt.NDArray[Any],
    *,
    weighting: Literal["autoc", "qini"] | None = None,
    **bootstrap: Any,
) -> dict[str, float]:
    """The interval of a RATE by drawing its units anew."""

def cost_curve(
    arms: int,
    expected: Sequence[float] | npt.NDArray[Any],
    cost: Sequence[float] | npt.NDArray[Any],
    score: Sequence[float] | npt.NDArray[Any],
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Gain of the best costed policy per budget."""

@final
class UpliftModel:
    """A fitted uplift model."""

    @staticmethod
    def fit(
        data: Any,
        treatment: Sequence[int] | npt.NDArray[Any],
        outcome: Sequence[float] | npt.NDArray[Any],
        *,
        propensity: Sequence[float] | npt.NDArray[Any] | None = None,
        progress: Progress | None = None,
        **uplift: Any,
    ) -> UpliftModel:
        """Fits the effect of every treatment against the control."""
    def predict(self, data: Any) -> dict[str, Any]:
        """Effects and, where the method has them, standard errors."""
    def to_bytes(self) -> bytes:
        """The model as bytes, readable by every language of the library."""
    @staticmethod
    def from_bytes(bytes: bytes) -> UpliftModel:
        """Reads a model and checks it."""
    @property
    def names(self) -> list[str]:
        """Names of the columns of training."""
    @property
    def treatments(self) -> int:
        """Number of treatments besides the control."""
    @property
    def overlap(self) -> dict[str, Any]:
        """Smallest and largest propensity, and how many were pulled back."""

def uplift_out_of_fold(
    data: Any,
    treatment: Sequence[int] | npt.NDArray[Any],
    outcome: Sequence[float] | npt.NDArray[Any],
    *,
    propensity: Sequence[float] | npt.NDArray[Any] | None = None,
    progress: Progress | None = None,
    **uplift: Any,
) -> dict[str, Any]:
    """Predicts every row by a model that was fitted without its fold."""

# ---- models of buying and leaving (churn.lifetime) ----

@final
class LifetimeModel:
    """A fitted model of buying and leaving."""

    @staticmethod
    def fit(
        data: Any,
        *,
        covariates: Any = None,
        unit_days: float = 1.0,
        progress: Progress | None = None,
        **lifetime: Any,
    ) -> LifetimeModel:
        """Fits by maximum likelihood on a summary or on columns frequency, recency and age."""
    @staticmethod
    def from_parameters(
        family: str,
        parameters: Sequence[float],
        *,
        unit_days: float = 1.0,
        regularity: int = 1,
    ) -> LifetimeModel:
        """A model with known parameters, in the order of the papers."""
    @staticmethod
    def from_json(text: str) -> LifetimeModel:
        """Reads a stored model and checks it."""
    def to_json(self) -> str:
        """The model as JSON."""
    @property
    def family(self) -> str:
        """The family, e.g. "mbg_nbd"."""
    @property
    def regularity(self) -> int:
        """Every how manieth tick of the clock is a purchase; 1 = no regularity."""
    @property
    def unit_days(self) -> float:
        """Length of the unit of time in days."""
    @property
    def parameters(self) -> dict[str, float]:
        """Parameters by name, then the coefficients of covariates."""
    @property
    def estimate(self) -> dict[str, Any] | None:
        """Likelihood, standard errors, certificate, AIC, BIC and what lies at a boundary; None if
        parameters were given.
        """
    def answers(
        self,
        data: Any,
        horizon: float,
        *,
        level: float | None = None,
        most: int = 0,
        covariates: Any = None,
    ) -> Table:
        """All answers about each customer as a table, with limits where a level is given."""
    def probability_alive(self, data: Any, *, covariates: Any = None) -> npt.NDArray[Any]:
        """Probability that each customer has not left for good."""
    def expected_purchases(
        self, data: Any, horizon: float, *, covariates: Any = None
    ) -> npt.NDArray[Any]:
        """Expected purchases within a horizon, in units of the summary."""
    def no_purchase_probability(
        self, data: Any, horizon: float, *, covariates: Any = None
    ) -> npt.NDArray[Any]:
        """Probability of no purchase within a horizon, in units of the summary."""
    def purchase_distribution(
        self, data: Any, horizon: float, most: int, *, covariates: Any = None
    ) -> list[npt.NDArray[Any]]:
        """Probabilities of 0, 1, …, `most` purchases within a horizon, one array each."""
    def purchases_interval(
        self, data: Any, horizon: float, *, level: float = 0.95, covariates: Any = None
    ) -> list[npt.NDArray[Any]]:
        """Expected purchases within a horizon with the limits of their interval."""
    def no_purchase_interval(
        self, data: Any, horizon: float, *, level: float = 0.95, covariates: Any = None
    ) -> list[npt.NDArray[Any]]:
        """Probability of no purchase within a horizon with the limits of its interval."""
    def alive_interval(
        self, data: Any, *, level: float = 0.95, covariates: Any = None
    ) -> list[npt.NDArray[Any]]:
        """Probability alive with the limits of its interval."""
    def score(self, summary: RfmSummary, horizon_days: int) -> Scores:
        """Churn probabilities of all customers of a summary, with reasons."""
    def features(
        self, summary: RfmSummary, horizon_days: int, *, customers: Any = None
    ) -> FeatureTable:
        """The answers as features of all customers of a summary, or of these, who include them."""
    def customer_value(
        self, data: Any, spend: SpendModel, *, covariates: Any = None, **value: Any
    ) -> npt.NDArray[Any]:
        """Discounted value of each customer; settings horizon_days, discount_rate, margin, …"""
    def customer_value_interval(
        self,
        data: Any,
        spend: SpendModel,
        *,
        level: float = 0.95,
        covariates: Any = None,
        **value: Any,
    ) -> list[npt.NDArray[Any]]:
        """The same with the limits of its interval."""

@final
class SpendModel:
    """A fitted model of spend per purchase."""

    @staticmethod
    def fit(data: Any, *, progress: Progress | None = None, **gamma_gamma: Any) -> SpendModel:
        """Fits Gamma-Gamma on the repeat buyers of a summary or of columns."""
    @staticmethod
    def from_parameters(parameters: Sequence[float]) -> SpendModel:
        """A model with known parameters p, q and gamma."""
    @staticmethod
    def from_json(text: str) -> SpendModel:
        """Reads a stored model and checks it."""
    def to_json(self) -> str:
        """The model as JSON."""
    @property
    def parameters(self) -> dict[str, float]:
        """Parameters p, q and gamma."""
    @property
    def estimate(self) -> dict[str, Any] | None:
        """Likelihood, standard errors and certificate; None if parameters were given."""
    @property
    def left_out(self) -> int:
        """Rows without repeat purchase or money, which the fit left out."""
    @property
    def frequency_correlation(self) -> float | None:
        """Correlation of frequency and mean value, which the model takes to be near 0."""
    @property
    def population_mean(self) -> float:
        """Expected spend per purchase of a new customer."""
    def expected_spend(self, data: Any) -> npt.NDArray[Any]:
        """Expected spend per purchase of each customer."""

@final
class BgBbModel:
    """A fitted BG/BB model of opportunities in rounds."""

    @staticmethod
    def fit(data: Any, **bg_bb: Any) -> BgBbModel:
        """Fits on columns frequency, recency, age (rounds) and, where given, weights."""
    @staticmethod
    def from_parameters(parameters: Sequence[float]) -> BgBbModel:
        """A model with known parameters alpha, beta, gamma and delta."""
    @staticmethod
    def from_json(text: str) -> BgBbModel:
        """Reads a stored model and checks it."""
    def to_json(self) -> str:
        """The model as JSON."""
    @property
    def parameters(self) -> list[float]:
        """Parameters alpha, beta, gamma and delta."""
    @property
    def estimate(self) -> dict[str, Any] | None:
        """Likelihood, standard errors and certificate."""
    def probability_alive(self, data: Any, *, ahead: int = 0) -> npt.NDArray[Any]:
        """Probability of being there still, `ahead` rounds from now."""
    def expected_purchases(self, data: Any, ahead: int) -> npt.NDArray[Any]:
        """Expected purchases within the next `ahead` rounds."""
    def no_purchase_probability(self, data: Any, ahead: int) -> npt.NDArray[Any]:
        """Probability of no purchase at any of the next `ahead` rounds."""

@final
class RenewalModel:
    """A fitted Beta-Geometric model of renewals."""

    @staticmethod
    def fit(duration: Any, churned: Any, **beta_geometric: Any) -> RenewalModel:
        """Fits on contracts, one per row: the renewal at which it ended, or those made so far."""
    @staticmethod
    def from_parameters(parameters: Sequence[float]) -> RenewalModel:
        """A model with known parameters a and b."""
    @staticmethod
    def from_json(text: str) -> RenewalModel:
        """Reads a stored model and checks it."""
    def to_json(self) -> str:
        """The model as JSON."""
    @staticmethod
    def fit_survivors(survivors: Any, **beta_geometric: Any) -> RenewalModel:
        """Fits on the survivors of one cohort after 0, 1, 2, … renewals."""
    @property
    def parameters(self) -> list[float]:
        """Parameters a and b."""
    @property
    def estimate(self) -> dict[str, Any] | None:
        """Likelihood, standard errors and certificate; None if parameters were given."""
    def survival(self, renewals: Any, ahead: int) -> npt.NDArray[Any]:
        """Probability of `ahead` more renewals after so many."""
    def discounted_renewals(self, renewals: Any, rate: float) -> npt.NDArray[Any]:
        """Renewals still to come, each weighted by (1 + rate)^-i."""

def likelihood_ratio(special: LifetimeModel, general: LifetimeModel) -> dict[str, Any]:
    """Whether a larger model fits significantly better than a special case of it."""

"""Types of the compiled module; `churn` re-exports them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from os import PathLike
from typing import Any, Final, Literal, Unpack, final

import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

from .types import (
    ArrowStream,
    Cleaning,
    CleaningReport,
    ColumnNames,
    CustomerId,
    FeatureInfo,
    FeatureSpec,
    Instant,
    Language,
    OptimizeSettings,
    Progress,
    RiskCuts,
    ShopSettings,
    SummarySettings,
    WinBackSettings,
)

__all__ = [
    "Allocation",
    "Customers",
    "EventLog",
    "Facts",
    "FeatureTable",
    "Grid",
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
    "WinBack",
    "__version__",
    "defaults",
    "lifecycle",
    "match_actions",
    "optimize",
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
    def features(
        self,
        as_of: Instant,
        *,
        population: Population | None = None,
        progress: Progress | None = None,
        **spec: Unpack[FeatureSpec],
    ) -> FeatureTable:
        """Features of all customers with an event before ``as_of``, from those events only.

        A ``population`` learned before replaces what this history would teach.
        """
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
    def report(self) -> CleaningReport:
        """What cleaning did."""

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
        """One column as a read-only numpy array."""
    def to_dict(self) -> dict[str, npt.NDArray[Any]]:
        """All columns as read-only numpy arrays."""
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
        """The features as a matrix of shape (customers, features)."""

@final
class Population:
    """Cut points and priors that all customers together taught: built once, used again tomorrow."""

    @staticmethod
    def from_json(text: str) -> Population:
        """Reads a population from JSON and checks it."""
    def to_json(self) -> str:
        """The population as JSON."""

@final
class RfmSummary(Table):
    """``customer``, ``frequency``, ``recency``, ``age`` and ``monetary_value`` of all customers.

    Frequency counts repeat purchases, recency runs from the first to the last purchase, age from
    the first purchase to ``as_of``; monetary value is the mean value of repeat purchases.
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
    def why(self, customer: CustomerId, *, language: Language | None = None) -> str:
        """Why one customer gets this action over these channels, or none, in words."""
    def summary(self) -> Table:
        """One row per action: ``action``, ``customers``, ``share``, ``expected_responses``,
        ``contact_cost``, ``offer_cost``."""

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
    each customer's probability of staying, in the rows of ``facts``; NaN where there is none.
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
class WinBack:
    """Everything the flow found out; all rows are the same customers. ``print`` shows the plan."""

    @property
    def features(self) -> FeatureTable:
        """What describes each customer."""
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
    progress: Progress | None = None,
    **settings: Unpack[WinBackSettings],
) -> WinBack:
    """Features, scores, segments and plan of all customers with an event before ``as_of``.

    Without ``as_of`` it is the day after the last event: the first as of which the log is all past.
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
    @property
    def truth(self) -> Table:
        """How every customer really behaves: ``customer``, ``pattern`` (regular, lapsing or
        one_time), ``joined``, ``left`` (None for regular customers), ``gap_days``,
        ``order_value`` and one ``<channel>_open_probability`` per channel."""

def defaults(name: str) -> dict[str, Any]:
    """The default settings of one name: what is left out anywhere has these values.

    Names: cleaning, names, csv, features, summary, scorecard, risk_tiers, grid, playbook,
    winback, shop.
    """

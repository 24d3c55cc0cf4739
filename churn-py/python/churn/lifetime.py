"""Customers without contracts: still there? how many purchases? worth what?

    model = MbgNbd().fit(log.summarize("2011-09-10", time_scale=7))
    model.probability_alive(summary)
    model.no_purchase_probability(summary, 13)

``fit`` takes an ``RfmSummary`` or columns ``frequency``, ``recency``, ``age`` (and
``monetary_value``, ``log_gaps``, ``weights``) and gives a fitted model. docs/MODELS.md maps the
calls of lifetimes to these.
"""

from typing import Any

from ._churn import (
    BgBbModel,
    Holdout,
    LifetimeModel,
    RenewalModel,
    RunningSummary,
    SpendModel,
    likelihood_ratio,
)

__all__ = [
    "BetaGeometric",
    "BgBb",
    "BgBbModel",
    "BgCnbd",
    "BgNbd",
    "GammaGamma",
    "Holdout",
    "LifetimeModel",
    "MbgCnbd",
    "MbgNbd",
    "ParetoNbd",
    "RenewalModel",
    "RunningSummary",
    "SpendModel",
    "likelihood_ratio",
]


class _Lifetime:
    """Settings of a model of buying; those of the core by name (``penalty``, …)."""

    _own: dict[str, Any] = {}

    def __init__(self, **settings: Any) -> None:
        self.settings = {**self._own, **settings}

    def fit(
        self,
        data: Any,
        *,
        covariates: Any = None,
        unit_days: float = 1.0,
        progress: Any = None,
    ) -> LifetimeModel:
        """Fits by maximum likelihood; ``unit_days`` is the unit of columns that are no summary."""
        return LifetimeModel.fit(
            data, covariates=covariates, unit_days=unit_days, progress=progress, **self.settings
        )

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
        return f"{type(self).__name__}({settings})"


class BgNbd(_Lifetime):
    """BG/NBD: leaves after a repeat purchase; never doubts a one-time buyer."""

    _own = {"family": "bg_nbd"}


class MbgNbd(_Lifetime):
    """MBG/NBD: leaves after any purchase, the first included."""

    _own = {"family": "mbg_nbd"}


class ParetoNbd(_Lifetime):
    """Pareto/NBD: leaves at any time."""

    _own = {"family": "pareto_nbd"}


class BgCnbd(_Lifetime):
    """BG/CNBD-k: BG/NBD with regular purchases; k by likelihood. Needs log gaps."""

    _own = {"family": "bg_nbd", "regularity": {"up_to": 12}}


class MbgCnbd(_Lifetime):
    """MBG/CNBD-k: MBG/NBD with regular purchases; k by likelihood. Needs log gaps."""

    _own = {"family": "mbg_nbd", "regularity": {"up_to": 12}}


class GammaGamma:
    """Spend per purchase of repeat buyers."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def fit(self, data: Any, *, progress: Any = None) -> SpendModel:
        """Fits on columns ``frequency`` and ``monetary_value`` or a summary."""
        return SpendModel.fit(data, progress=progress, **self.settings)


class BgBb:
    """BG/BB: opportunities that come in rounds."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def fit(self, data: Any) -> BgBbModel:
        """Fits on columns ``frequency``, ``recency``, ``age`` and, where given, ``weights``."""
        return BgBbModel.fit(data, **self.settings)


class BetaGeometric:
    """Contracts with renewals."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def fit(self, duration: Any, churned: Any) -> RenewalModel:
        """Fits on contracts, one per row: the renewal at which it ended, or those made so far."""
        return RenewalModel.fit(duration, churned, **self.settings)

    def fit_survivors(self, survivors: Any) -> RenewalModel:
        """Fits on the survivors of one cohort after 0, 1, 2, … renewals."""
        return RenewalModel.fit_survivors(survivors, **self.settings)

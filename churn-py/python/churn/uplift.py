"""Who changes their mind because of the contact: uplift models and metrics.

    model = Uplift(method="dr").fit(X, treatment, y)
    model.predict(X)
    metrics(score, treated, outcome)["qini_radcliffe"]
"""

from __future__ import annotations

from os import PathLike
from typing import Any, Self

from ._churn import (
    UpliftModel,
    calibrated_uplift,
    cost_curve,
    propensity_scores,
    rate,
    rate_interval,
    toc_curve,
    uplift_at_k,
    uplift_out_of_fold,
)
from ._churn import uplift_calibration as calibration
from ._churn import uplift_curve as curve
from ._churn import uplift_intervals as intervals
from ._churn import uplift_metrics as metrics

__all__ = [
    "Uplift",
    "UpliftModel",
    "calibrated_uplift",
    "calibration",
    "cost_curve",
    "curve",
    "intervals",
    "metrics",
    "propensity_scores",
    "rate",
    "rate_interval",
    "toc_curve",
    "uplift_at_k",
]


class Uplift:
    """An uplift estimator in the manner of scikit-learn: settings, then fit, then predict.

    Settings are those of the core (``method``, ``base``, ``folds``, ``propensity``, ``clip``,
    ``forest``, ``seed``); what is left out has its default.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return dict(self.settings)

    def set_params(self, **settings: Any) -> Uplift:
        self.settings.update(settings)
        return self

    def fit(
        self,
        X: Any,
        treatment: Any,
        y: Any,
        *,
        propensity: Any = None,
        progress: Any = None,
    ) -> Uplift:
        """Learns the effect of every treatment (1, 2, …) against the control (0)."""
        self.model_ = UpliftModel.fit(
            X, treatment, y, propensity=propensity, progress=progress, **self.settings
        )
        return self

    def predict(self, X: Any) -> Any:
        """Effects: one row per customer, one column per treatment."""
        return self._model().predict(X)["effect"]

    def predict_interval(self, X: Any, *, z: float = 1.959963984540054) -> tuple[Any, Any]:
        """Ends of the interval effect ± z · standard error; the forest only."""
        answer = self._model().predict(X)
        if answer["standard_error"] is None:
            raise ValueError("standard_error: expected method='forest', got another method")
        half = z * answer["standard_error"]
        return answer["effect"] - half, answer["effect"] + half

    def out_of_fold(
        self,
        X: Any,
        treatment: Any,
        y: Any,
        *,
        propensity: Any = None,
        progress: Any = None,
    ) -> dict[str, Any]:
        """Effects by models that have not seen the row, doubly robust scores, average effects."""
        return uplift_out_of_fold(
            X, treatment, y, propensity=propensity, progress=progress, **self.settings
        )

    def _model(self) -> UpliftModel:
        if not hasattr(self, "model_"):
            raise AttributeError("this Uplift is not fitted yet: call fit first")
        return self.model_

    # ---- files ---------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """The model as bytes, which every language of the library reads; no training rows."""
        return self._model().to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Reads a model and checks it; safe for bytes of any origin. Settings are not kept."""
        read = cls()
        read.model_ = UpliftModel.from_bytes(data)
        return read

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the model to a file."""
        with open(path, "wb") as file:
            file.write(self.to_bytes())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Reads a model from a file."""
        with open(path, "rb") as file:
            return cls.from_bytes(file.read())

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        if "model_" in state:
            state["model_"] = state["model_"].to_bytes()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if "model_" in state:
            self.model_ = UpliftModel.from_bytes(state["model_"])

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
        return f"Uplift({settings})"

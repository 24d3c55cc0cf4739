"""Who changes their mind because of the contact: uplift models and metrics.

    model = Uplift(method="dr").fit(X, treatment, y)
    model.predict(X)
    metrics(score, treated, outcome)["qini_radcliffe"]
"""

from typing import Any

from ._churn import (
    UpliftModel,
    calibrated_uplift,
    cost_curve,
    propensity_scores,
    rate,
    toc_curve,
    uplift_at_k,
    uplift_out_of_fold,
)
from ._churn import uplift_calibration as calibration
from ._churn import uplift_curve as curve
from ._churn import uplift_metrics as metrics

__all__ = [
    "Uplift",
    "UpliftModel",
    "calibrated_uplift",
    "calibration",
    "cost_curve",
    "curve",
    "metrics",
    "propensity_scores",
    "rate",
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

    def set_params(self, **settings: Any) -> "Uplift":
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
    ) -> "Uplift":
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

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
        return f"Uplift({settings})"

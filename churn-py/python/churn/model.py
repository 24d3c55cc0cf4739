"""The learned churn model as an estimator: fit, predict_proba, explain.

A thin class over the compiled one that follows scikit-learn's conventions without importing it:
scikit-learn is looked for only where it asks for something of its own (tags, its exception for
models that are not fitted, its warning about the shape of labels).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from inspect import signature
from os import PathLike
from typing import TYPE_CHECKING, Any, Self, cast

from ._churn import EventLog, FeatureTable, FittedModel, Scores, TrainingData, drivers

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from .types import Language, Progress, TrainingSettings

    Floats = npt.NDArray[np.float64]
else:

    class _Numpy:
        """numpy, imported when it is first needed: the package does without it until then."""

        def __getattr__(self, name: str) -> Any:
            import numpy

            return getattr(numpy, name)

    np = _Numpy()

__all__ = ["ChurnModel"]

_GROUPS = ("logistic", "boosting", "forest", "tree", "svm")
"""Parameters that are settings of a learner."""


class ChurnModel:
    """Churn probabilities learned from outcomes, calibrated and explained.

    With the defaults, logistic regression and gradient boosting are each believed as far as they
    did well out of fold. ``X`` is a data frame (numbers and texts, missing cells allowed), a dict
    of columns, a feature table of this package, or a two-dimensional array.

        model = ChurnModel().fit(frame, churned)
        model.predict_proba(frame)[:, 1]
        model.explain(frame)

    Parameters:
        learner: ``"auto"``, ``"logistic"``, ``"boosting"``, ``"forest"``, ``"tree"`` or ``"svm"``.
        calibration: ``"sigmoid"``, ``"isotonic"``, ``"isotonic_forced"``, ``"beta"`` or ``"none"``.
        folds: number of folds for calibration and early stopping.
        logistic: settings of the logistic regression, a dict; what is left out has its default.
        boosting, forest, tree, svm: settings of these learners, likewise.
        monotone_silence: in models of a log, whether a longer silence never lowers what boosting
            says, others equal; ``boosting={"monotone": {...}}`` does so for a table of your own.
        seed: seed of the folds and of sampling.

    ``churn.defaults("model")`` lists all of them.
    """

    def __init__(
        self,
        *,
        learner: str = "auto",
        calibration: str = "sigmoid",
        folds: int = 5,
        logistic: Mapping[str, Any] | None = None,
        boosting: Mapping[str, Any] | None = None,
        forest: Mapping[str, Any] | None = None,
        tree: Mapping[str, Any] | None = None,
        svm: Mapping[str, Any] | None = None,
        monotone_silence: bool = True,
        seed: int = 0,
    ) -> None:
        self.learner = learner
        self.calibration = calibration
        self.folds = folds
        self.logistic = logistic
        self.boosting = boosting
        self.forest = forest
        self.tree = tree
        self.svm = svm
        self.monotone_silence = monotone_silence
        self.seed = seed

    # ---- scikit-learn's conventions ------------------------------------------------------------

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return sorted(name for name in signature(cls.__init__).parameters if name != "self")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name."""
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **params: Any) -> Self:
        """Sets parameters by name; ``boosting__leaves=4`` sets one setting of a group."""
        known = self._parameter_names()
        for name, value in params.items():
            group, _, inner = name.partition("__")
            if group not in known or (inner and group not in _GROUPS):
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {self!r}. Valid parameters are: {known!r}."
                )
            if inner:
                value = {**(getattr(self, group) or {}), inner: value}
            setattr(self, group, value)
        return self

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
            ClassifierTags,
            InputTags,
            Tags,
            TargetTags,
        )

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True, one_d_labels=True),
            classifier_tags=ClassifierTags(multi_class=False),
            input_tags=InputTags(allow_nan=True, string=True, categorical=True),
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __repr__(self) -> str:
        defaults = signature(type(self).__init__).parameters
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if value is not defaults[name].default and value != defaults[name].default
        ]
        return f"ChurnModel({', '.join(changed)})"

    # ---- fitting -------------------------------------------------------------------------------

    def _settings(self) -> dict[str, Any]:
        settings = {
            "learner": self.learner,
            "calibration": self.calibration,
            "folds": self.folds,
            "monotone_silence": self.monotone_silence,
            "seed": self.seed,
        }
        for group in _GROUPS:
            if getattr(self, group) is not None:
                settings[group] = getattr(self, group)
        return settings

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        horizon: int | None = None,
        progress: Progress | None = None,
        **training: Any,
    ) -> Self:
        """Fits the model.

        ``X`` is a table and ``y`` its labels; of two values the larger one is churn. Rows of one
        group, e.g. a customer, are kept in one fold. Or ``X`` is an event log, as for
        :meth:`fit_log`, or training data made of one, which have their own labels.
        """
        if isinstance(X, EventLog):
            return self.fit_log(X, horizon=horizon, progress=progress, **training)
        if horizon is not None or training:
            names = ", ".join(["horizon"] if horizon is not None else list(training))
            raise TypeError(f"fit: {names} is for event logs; X is none")
        if isinstance(X, TrainingData):
            return self._fitted(FittedModel.fit_data(X, progress=progress, **self._settings()))
        columns, table, width = _table(X)
        target, classes = _labels(y, len(_first(table)))
        weights = None if sample_weight is None else _weights(sample_weight, len(target))
        if weights is not None and not (np.isin([0.0, 1.0], target[weights > 0]).all()):
            raise ValueError(
                "sample weights are zero for one class or all; there must be two classes that count."
            )
        codes = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
        model = FittedModel.fit(
            table,
            target,
            weights=weights,
            groups=codes,
            progress=progress,
            **self._settings(),
        )
        return self._fitted(model, columns, width, classes)

    def fit_log(
        self,
        log: EventLog,
        *,
        horizon: int | None = None,
        progress: Progress | None = None,
        **training: Any,
    ) -> Self:
        """Learns from an event log who buys nothing within ``horizon`` days.

        ``training`` are the settings of :meth:`TrainingData.build`, e.g. ``cut_offs``.
        """
        if horizon is not None:
            training["churn"] = {**training.get("churn", {}), "horizon_days": horizon}
        settings = cast("TrainingSettings", training)
        model = FittedModel.fit_log(log, settings, progress=progress, **self._settings())
        return self._fitted(model)

    def _fitted(
        self,
        model: FittedModel,
        names: list[str] | None = None,
        width: int | None = None,
        classes: npt.NDArray[Any] | None = None,
    ) -> Self:
        self.model_ = model
        self.classes_ = np.array([0, 1]) if classes is None else classes
        self.n_features_in_ = len(model.names) if width is None else width
        if width is None:
            names = model.names
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        return self

    # ---- answers -------------------------------------------------------------------------------

    def _checked(self, X: Any) -> Any:
        if not hasattr(self, "model_"):
            raise _not_fitted()(
                "This ChurnModel instance is not fitted yet. Call 'fit' with appropriate arguments before "
                "using this estimator."
            )
        names, table, width = _table(X)
        if names is None:
            if width != self.n_features_in_:
                raise ValueError(
                    f"X has {width} features, but ChurnModel is expecting {self.n_features_in_} features as input"
                )
            if hasattr(self, "feature_names_in_"):
                cells = list(table.values())
                table = dict(zip(self.feature_names_in_, cells, strict=True))
        return table

    def predict_proba(self, X: Any) -> Floats:
        """Probabilities of both classes, shape (rows, 2); churn is the second."""
        table = self._checked(X)
        churn = self.model_.predict(table)
        return np.column_stack([1.0 - churn, churn])

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The more probable class of each row."""
        churn = self.predict_proba(X)[:, 1]
        classes: npt.NDArray[Any] = self.classes_[(churn > 0.5).astype(int)]
        return classes

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float | Scores:
        """Share of right classes; of a feature table without labels, its scores with reasons."""
        if y is None and isinstance(X, FeatureTable):
            self._checked(X)
            return self.model_.score(X)
        right = np.asarray(y) == self.predict(X)
        return float(np.average(right, weights=sample_weight))

    def explain(
        self, X: Any, *, limit: int = 3, language: Language | None = None
    ) -> list[list[str]]:
        """The largest reasons of each row, in words."""
        return self.model_.reasons(self._checked(X), limit=limit, language=language)

    def contributions(self, X: Any) -> tuple[float, Floats]:
        """Base points and each column's points, shape (rows, columns); 20 points double the odds.

        Base and row sum are the log-odds, before an isotonic or beta curve.
        """
        return self.model_.points(self._checked(X))

    def importance(self, X: Any) -> dict[str, float]:
        """Mean absolute points of each column over the rows, largest first."""
        points = self.model_.importance(self._checked(X))
        return _largest_first(self._names(), points)

    def permutation_importance(
        self, X: Any, y: Any, sample_weight: Any = None, *, repeats: int = 5, seed: int = 0
    ) -> dict[str, float]:
        """Rise of the log loss if a column is shuffled, largest first; use rows not fitted on."""
        table = self._checked(X)
        target = (np.asarray(y) == self.classes_[1]).astype(float)
        rises = self.model_.permutation_importance(
            table, target, weights=sample_weight, repeats=repeats, seed=seed
        )
        return _largest_first(self._names(), rises)

    def partial_dependence(self, X: Any, column: str, *, points: int = 20) -> dict[str, Any]:
        """Mean prediction if every row had a value (or level) of one column."""
        return self.model_.partial_dependence(self._checked(X), column, points=points)

    def drift(self, X: Any) -> dict[str, Any]:
        """How far columns and probabilities have moved since training: PSI, Kolmogorov-Smirnov."""
        return self.model_.drift(self._checked(X))

    def drivers(
        self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None, level: float = 0.95
    ) -> dict[str, Any]:
        """What goes along with churn: odds ratio of each factor with an interval; needs no fit."""
        _, table, _ = _table(X)
        target, _ = _labels(y, len(_first(table)))
        return drivers(table, target, weights=sample_weight, groups=groups, level=level)

    def _names(self) -> Sequence[str]:
        return list(getattr(self, "feature_names_in_", self.model_.names))

    @property
    def out_of_fold_(self) -> dict[str, Any]:
        """How well the model did on rows that it had not seen."""
        return self.model_.out_of_fold

    # ---- files ---------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """The model as bytes, which every language of the library reads; no training rows."""
        return self.model_.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Reads a model and checks it; safe for bytes of any origin."""
        return cls()._fitted(FittedModel.from_bytes(data))

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
            self.model_ = FittedModel.from_bytes(state["model_"])


def _first(table: Any) -> Any:
    return next(iter(table.values())) if isinstance(table, dict) else table


def _table(X: Any) -> tuple[list[str] | None, Any, int]:
    """Column names (None for an array without), what the compiled model reads, and the width."""
    if isinstance(X, FeatureTable):
        names = [feature["name"] for feature in X.features]
        return names, X, len(names)
    if hasattr(X, "toarray"):
        raise TypeError("Sparse data was passed for X, but dense data is required: use '.toarray()'.")
    columns = getattr(X, "columns", None)
    if columns is not None and not isinstance(X, np.ndarray):
        names = list(columns)
        if all(isinstance(name, str) for name in names):
            return names, X, len(names)
        # Names that are no texts do not count as names, as in scikit-learn.
        X = X.to_numpy()
    elif isinstance(X, Mapping):
        names = list(X)
        return names, dict(X), len(names)
    array = np.asarray(X)
    if array.dtype.kind == "c":
        raise ValueError("Complex data not supported")
    if array.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {array.ndim}D array instead. Reshape your data using array.reshape(-1, 1)"
        )
    if array.shape[0] == 0:
        raise ValueError(f"Found array with 0 sample(s) (shape={array.shape}) while a minimum of 1 is required.")
    if array.shape[1] == 0:
        raise ValueError(f"Found array with 0 feature(s) (shape={array.shape}) while a minimum of 1 is required.")
    if array.dtype.kind not in "fiub":
        array = _numbers(array)
    if array.dtype.kind == "f" and np.isinf(array).any():
        raise ValueError("Input X contains infinity or a value too large for dtype('float64').")
    return None, {f"x{j}": np.ascontiguousarray(array[:, j]) for j in range(array.shape[1])}, array.shape[1]


def _numbers(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An array of objects as numbers where all columns are; else as it is, column by column."""
    try:
        return array.astype(np.float64)
    except ValueError:
        return array
    except TypeError as error:
        if any(isinstance(cell, (dict, list)) for cell in array.flat):
            raise TypeError(f"argument must be a string or a number: {error}") from error
        return array


def _labels(y: Any, rows: int) -> tuple[Floats, npt.NDArray[Any]]:
    """Labels as 0 and 1, and the two classes."""
    if y is None:
        raise ValueError("This ChurnModel estimator requires y to be passed, but the target y is None.")
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected.",
            _warning(),
            stacklevel=3,
        )
        labels = labels.ravel()
    if labels.ndim != 1:
        raise ValueError(f"y should be a 1d array, got an array of shape {labels.shape} instead.")
    if len(labels) != rows:
        raise ValueError(f"Found input variables with inconsistent numbers of samples: {[rows, len(labels)]}")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError("Input y contains NaN or infinity.")
    classes = np.unique(labels)
    if labels.dtype.kind == "f" and (classes != classes.astype(int)).any():
        raise ValueError("Unknown label type: continuous. Labels are classes, not numbers.")
    if len(classes) > 2:
        raise ValueError(
            "Only binary classification is supported. The type of the target is multiclass."
        )
    if len(classes) < 2:
        raise ValueError(f"The labels have one class only ({classes!r}); there must be two classes.")
    return (labels == classes[1]).astype(np.float64), classes


def _weights(sample_weight: Any, rows: int) -> Floats:
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.ndim == 0:
        return np.full(rows, float(weights))
    if weights.ndim != 1:
        raise ValueError("Sample weights must be 1D array or scalar")
    if len(weights) != rows:
        raise ValueError(f"sample_weight.shape == {weights.shape}, expected {(rows,)}!")
    return weights


def _largest_first(names: Sequence[str], values: Floats) -> dict[str, float]:
    pairs = zip(names, values.tolist(), strict=True)
    return dict(sorted(pairs, key=lambda pair: -pair[1]))


def _not_fitted() -> type[Exception]:
    try:
        from sklearn.exceptions import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
            NotFittedError,
        )
    except ImportError:
        return ValueError
    return NotFittedError  # type: ignore[no-any-return,unused-ignore]


def _warning() -> type[Warning]:
    try:
        from sklearn.exceptions import DataConversionWarning
    except ImportError:
        return UserWarning
    return DataConversionWarning  # type: ignore[no-any-return]

"""Folds, cross-validation, search for settings, and which columns are worth keeping.

    folds = churn.selection.make_folds(labels, 5)
    churn.selection.cross_validate(frame, labels, folds)
    churn.selection.search(frame, labels, folds, {"boosting.leaves": [4, 8, 16]})
"""

from ._churn import Pca, cross_validate, make_folds, mutual_information, search, variation

__all__ = ["Pca", "cross_validate", "make_folds", "mutual_information", "search", "variation"]

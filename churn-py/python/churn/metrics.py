"""Numbers that judge numbers: labels (1 = churned, 0 = stayed) and scores in, one measure out.

Where scikit-learn has the measure, it is the same number.

    churn.metrics.roc_auc(labels, probabilities)
    churn.metrics.bootstrap("roc_auc", labels, probabilities)
"""

from ._churn import (
    average_precision,
    bootstrap,
    brier_score,
    calibration_drift,
    calibration_error,
    capture_at,
    class_separation,
    confusion,
    empc,
    gain_curve,
    kolmogorov_smirnov,
    lift_at,
    log_loss,
    mpc,
    pr_auc,
    psi,
    reliability_curve,
    roc_auc,
)

__all__ = [
    "average_precision",
    "bootstrap",
    "brier_score",
    "calibration_drift",
    "calibration_error",
    "capture_at",
    "class_separation",
    "confusion",
    "empc",
    "gain_curve",
    "kolmogorov_smirnov",
    "lift_at",
    "log_loss",
    "mpc",
    "pr_auc",
    "psi",
    "reliability_curve",
    "roc_auc",
]

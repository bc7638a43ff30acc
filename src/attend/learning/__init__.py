"""Losses: each function gives one scalar to minimise, a sum over the batch."""

from attend.learning.choice import (
    Bound,
    Hybrid,
    WakeSleep,
    baseline_error,
    effective_sample_size,
    entropy,
    hybrid,
    importance_bound,
    moving_average,
    reinforce,
    variational_bound,
    wake_sleep,
)
from attend.learning.likelihood import CrossEntropy, cross_entropy

__all__ = [
    "Bound",
    "CrossEntropy",
    "Hybrid",
    "WakeSleep",
    "baseline_error",
    "cross_entropy",
    "effective_sample_size",
    "entropy",
    "hybrid",
    "importance_bound",
    "moving_average",
    "reinforce",
    "variational_bound",
    "wake_sleep",
]

"""The one error of the metrics that a caller shows rather than fails on."""

from __future__ import annotations


class MetricUnavailable(RuntimeError):
    """A figure cannot be had for this image or on this machine; the message says why and what helps.

    A table prints "unavailable" for it. It is never replaced by a number from other weights.
    """

"""Figures as text, in Prometheus' format."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest


def exposition(*registries: CollectorRegistry) -> str:
    """All figures of the registries, none of which has a name of another's."""
    disable_created_metrics()  # when each counter began is a series of its own, which nobody asks for
    return "".join(generate_latest(each).decode() for each in registries)

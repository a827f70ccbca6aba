"""Figures for who keeps refsync running, as Prometheus reads them; only this package knows ``prometheus_client``."""

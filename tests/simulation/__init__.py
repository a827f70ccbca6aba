"""Daemons that share a queue, simulated: which of them does its next step, falls silent or dies, a seed says.

Real processes, a real database, real git; only the clocks are the simulation's, and nothing goes on by itself.
"""

"""The door for who has no shell: the ecosystem's HTTP API, in a process of its own.

Each route parses what it was given, proves who asks, calls one use case and answers with what that gave.
"""

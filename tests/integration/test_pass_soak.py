"""A hundred passes leave no child, descriptor or thread behind."""

from __future__ import annotations

import threading

import psutil

from tests.support.postgresql import children_of_ours
from tests.support.reference import Reference
from tests.support.repositories import git


def test_nothing_grows_over_a_hundred_passes(reference: Reference) -> None:
    me = psutil.Process()

    def held() -> tuple[int, int, int]:
        return me.num_fds(), threading.active_count(), len(children_of_ours())

    work(reference, 0)
    before = held()
    for number in range(1, 100):
        if number % 20 == 0:
            work(reference, number)
        else:
            reference.sync()
    assert held() == before
    reference.assert_counted()


def work(reference: Reference, number: int) -> None:
    """A batch that lands, one that is held, and a clone that cannot be used."""
    reference.create(f"model {number}", {"version": "1"})
    reference.sync()
    reference.delete(f"model {number}")
    reference.clone.write("clip.json", b"broken")
    reference.sync()
    git(reference.clone.path, "checkout", "-q", "--", "clip.json")
    git(reference.clone.path, "checkout", "-q", "--detach")
    assert reference.sync_image().problem
    git(reference.clone.path, "checkout", "-q", "main")
    assert reference.sync().clean

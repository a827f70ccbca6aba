"""The durable steps that a sweep can list are all that there are: nothing lasts that none of them did."""

from __future__ import annotations

from pathlib import Path

from tests.support.dying import moments_of, nameless_steps_of, run_pass
from tests.support.forge import ForgeStandIn
from tests.support.published import RequestedReference
from tests.support.reference import Reference


def test_a_pass_that_lands_changes_nothing_on_the_disk_outside_of_a_named_step(reference: Reference) -> None:
    reference.sync()
    reference.update("alpha", {"version": "2", "nsfw": False})
    assert nameless_steps_of(lambda: run_pass(reference.config_file)) == set()


def test_neither_does_one_that_proposes_nor_one_that_lands_what_was_merged(tmp_path: Path) -> None:
    with ForgeStandIn(tmp_path) as forge:
        reference = RequestedReference(tmp_path, forge)
        reference.sync()
        reference.update("alpha", {"version": "2", "nsfw": False})
        assert nameless_steps_of(lambda: run_pass(reference.config_file)) == set()
        forge.merge(1)
        assert nameless_steps_of(lambda: run_pass(reference.config_file)) == set()
        reference.close()


def test_the_moments_of_a_landing_are_listed_in_their_order(reference: Reference) -> None:
    reference.sync()
    reference.update("alpha", {"version": "2", "nsfw": False})
    listed = moments_of(lambda: run_pass(reference.config_file))
    walk = [
        "after:1:store objects",
        "before:1:reserve a batch",
        "after:1:lock the index",
        "after:1:move the branch",
        "before:1:place the files",
        "after:1:place the files",
        "after:1:unlock the index",
        "after:1:count what landed",
        "before:1:mark a batch as landed",
    ]
    assert [each for each in listed if each in walk] == walk

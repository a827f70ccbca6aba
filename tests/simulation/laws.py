"""What has to be true once everything is healed and the daemons have come to rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from refsync.clone.commits import parse_message
from refsync.pending_queue.models import BatchState, PendingChangeStatus
from tests.simulation.world import Node, World
from tests.support.repositories import git

_S = PendingChangeStatus


def faults(world: World) -> Iterator[str]:
    """What is not as promised."""
    landed = _landed(world)
    yield from _faults_of_changes(world, landed)
    yield from _faults_of_order(world, landed)
    yield from _faults_of_people(world)
    totals = set()
    for node in world.nodes:
        yield from _faults_of_node(world, node)
        counted = node.reference.counters()
        totals.add((counted.total_creates, counted.total_updates, counted.total_deletes, counted.total_models))
        node.reference.close()
    if len(totals) != 1:
        yield f"the counters differ: {totals}"


def _landed(world: World) -> dict[int, list[int]]:
    """For each change the places of the commits that brought it, counted along the remote's history."""
    told = git(world.desk.remote.path, "log", "--reverse", "--first-parent", "--format=%B%x00", "main").split("\0")
    found: dict[int, list[int]] = defaultdict(list)
    for place, message in enumerate(told):
        parsed = parse_message(message.strip("\n"))
        for change in parsed.change_ids if parsed else ():
            found[change].append(place)
    return found


def _faults_of_changes(world: World, landed: dict[int, list[int]]) -> Iterator[str]:
    """Every approved change landed once, or was refused with a reason, or waits for one."""
    history = set(git(world.desk.remote.path, "rev-list", "main").split())
    for number in world.approved:
        change, times = world.desk.change(number), len(landed[number])
        match change.status:
            case _S.APPLIED:
                # Without a commit it was there already: somebody else wrote the same.
                if times != (1 if change.commit else 0) or (change.commit and change.commit not in history):
                    yield f"change {number} is applied by {change.commit}, and landed {times} times"
            case _S.REJECTED:
                if times or not change.reject_reason:
                    yield f"change {number} is rejected ({change.reject_reason}), and landed {times} times"
            case _S.APPROVED:
                batch = world.desk.application.queue.get_batch(change.batch_id or 0)
                if times or batch.state is not BatchState.held or batch.hold is None:
                    yield f"change {number} waits in batch {batch}, and landed {times} times"
            case _:
                yield f"change {number} is {change.status}"


def _faults_of_order(world: World, landed: dict[int, list[int]]) -> Iterator[str]:
    """What was approved later of one model landed later."""
    last: dict[tuple[str, str], tuple[int, int]] = {}
    for number in world.approved:
        change = world.desk.change(number)
        if change.status is _S.APPLIED and landed[number]:
            model, place = (str(change.category), change.model_name), landed[number][0]
            before = last.get(model)
            if before and before[1] > place:
                yield f"change {number} of {model} landed before change {before[0]}"
            last[model] = number, place


def _faults_of_people(world: World) -> Iterator[str]:
    """Nobody's push was pushed over."""
    history = set(git(world.desk.remote.path, "rev-list", "main").split())
    yield from (f"{commit} of a person is gone" for commit in world.pushed_by_hand if commit not in history)


def _faults_of_node(world: World, node: Node) -> Iterator[str]:
    """Its clone shows what the remote has, and its counters are a fold over that."""
    reference = node.reference
    name = reference.folder.name
    if reference.clone.tip != world.desk.remote.tip or reference.clone.status:
        yield f"{name} stands at {reference.clone.tip}, not {world.desk.remote.tip}: {reference.clone.status}"
    reference.application = reference.open()
    with reference.opened() as clone:
        yield from (f"{name}: {each}" for each in reference.image.recorder.verify(clone, clone.tip()))

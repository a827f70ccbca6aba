"""What the figures stand on: real references where their bundles are, made-up ones of the same shape elsewhere."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from refsync.application import Application, open_application
from refsync.categories import MODEL_REFERENCE_CATEGORY, CategoryName
from refsync.config import parse_config
from refsync.pending_queue.models import AuditOperation, PendingChangeRecord, Submission
from tests.benchmarks.measuring import MOST_ROUNDS, QUICK_ROUNDS, Times, Work, in_turn
from tests.support.bundles import bundle
from tests.support.repositories import Clone, Record, clean_environment, dump, git
from tests.support.text_files import DEFAULTS, DOCUMENT, PARAMETERS, TABLE, document, table

IMAGE = MODEL_REFERENCE_CATEGORY.image_generation
TEXT = MODEL_REFERENCE_CATEGORY.text_generation
IMAGE_FILE = "stable_diffusion.json"
TEXT_CONFIG = f'[repository.categories]\ntext_generation = "{TABLE}"\n'

_IMAGE_MODELS, _IMAGE_COMMITS = 161, 580
_TEXT_ROWS = 723


@dataclass
class Bench:
    """Where one run works, and how thoroughly."""

    folder: Path
    quick: bool = False

    def rounds(self, most: int = MOST_ROUNDS) -> int:
        """How often a piece of work is timed."""
        return QUICK_ROUNDS if self.quick else most

    def sizes(self, *sizes: int) -> Sequence[int]:
        """The sizes that are measured: of a quick run the two smallest."""
        return sizes[:2] if self.quick else sizes

    def beside(
        self,
        ours: Work,
        floor: Work,
        *,
        before: Work | None = None,
        before_floor: Work | None = None,
        rounds: int = MOST_ROUNDS,
        each: int = 1,
        warm: bool = True,
    ) -> tuple[Times, Times]:
        """Our work and its floor in turn, as ``measuring.in_turn`` has it."""
        ours_took, floor_took = in_turn(
            [ours, floor], [before, before_floor], rounds=self.rounds(rounds), each=each, warm=warm
        )
        return ours_took, floor_took

    def alone(self, ours: Work, *, before: Work | None = None, rounds: int = MOST_ROUNDS) -> Times:
        """Work without a floor."""
        [took] = in_turn([ours], [before], rounds=self.rounds(rounds))
        return took

    @contextmanager
    def room(self) -> Iterator[Path]:
        """A folder of its own, gone at the end."""
        with TemporaryDirectory(dir=self.folder) as name:
            yield Path(name)


class Site:
    """A clone with the file of one category, and the application over it."""

    def __init__(self, folder: Path, clone: Clone, category: CategoryName, *, more: str = "") -> None:
        self.folder, self.clone, self.category = folder, clone, category
        config = config_text(folder, {"reference": clone}, more)
        self.application: Application = open_application(parse_config(config, folder / "refsync.toml", {}))
        self.application.run_pass()

    @cached_property
    def models(self) -> list[str]:
        """The models that changes are made of; of a table those that have a row."""
        every = self.application.tips().records(self.category)
        return [name for name in every if not name.startswith(("aphrodite/", "koboldcpp/"))]

    def submissions(self, count: int) -> list[Submission]:
        """This many updates, each of another model (over and over where there are less), with what it is made from."""
        records = self.application.tips().records(self.category)
        stamp = str(time.perf_counter_ns())
        names = (self.models * (count // len(self.models) + 1))[:count]
        return [
            Submission(self.category, name, AuditOperation.UPDATE, {**records[name], "description": stamp}, "1", "Ada")
            for name in names
        ]

    def approve(self, count: int) -> list[int]:
        """Submit and approve this many updates; their ids."""
        return self.approved(
            [change.change_id for change in self.application.queue.enqueue_many(self.submissions(count))]
        )

    def approved(self, ids: list[int]) -> list[int]:
        """Approve these."""
        self.application.queue.process_batch(
            approver_id="2", approver_username="Bob", batch_title="Benchmark", approved_ids=ids, rejected_ids=None
        )
        return ids

    def changes(self, ids: Sequence[int]) -> list[PendingChangeRecord]:
        """These changes as the queue has them."""
        found = (self.application.queue.get_change(each) for each in ids)
        return [change for change in found if change is not None]

    def land(self) -> None:
        """One pass, which must land a batch."""
        report = self.application.run_pass()
        assert report is not None
        assert report.repositories[0].landed, report

    def close(self) -> None:
        """Let go of the store."""
        self.application.close()


@contextmanager
def site(folder: Path, clone: Clone, category: CategoryName = IMAGE, *, more: str = "") -> Iterator[Site]:
    """An application over a clone, its history folded already."""
    opened = Site(folder, clone, category, more=more)
    try:
        yield opened
    finally:
        opened.close()


def config_text(folder: Path, clones: Mapping[str, Clone], more: str = "") -> str:
    """A config of these repositories; ``more`` belongs to the last one."""
    tables = "".join(config_table(name, clone) for name, clone in clones.items())
    return f'state_directory = "{folder}/state"\n{tables}{more}'


def config_table(name: str, clone: Clone) -> str:
    """The beginning of one repository's table."""
    return f'[[repository]]\nname = "{name}"\npath = "{clone.path}"\n'


def image_clone(path: Path) -> Clone:
    """The real image reference, or one of the same size and history."""
    found = bundle("image-reference.bundle")
    return Clone.of_bundle(found, path) if found else generated_clone(path, _IMAGE_MODELS, _IMAGE_COMMITS)


def text_clone(path: Path) -> Clone:
    """The real text reference, or one of the same size."""
    if found := bundle("text-reference.bundle"):
        return Clone.of_bundle(found, path)
    rows = table(
        *({"name": f"acme/Model-{number}", "parameters_bn": "7", "style": "chat"} for number in range(_TEXT_ROWS))
    )
    beside: dict[str, Record] = {"defaults.json": DEFAULTS, "generation_params.json": PARAMETERS}
    return Clone.create(path, {TABLE: rows, DOCUMENT: document(rows), **beside})


def generated_clone(path: Path, models: int, commits: int = 1) -> Clone:
    """A reference of so many made-up models whose history has so many commits, each an edit of one model."""
    clone = Clone.create(path, {})
    records = generated_records(models)
    with subprocess.Popen(
        ["git", "-C", str(path), "fast-import", "--quiet"], env=clean_environment(), stdin=subprocess.PIPE
    ) as importing:
        assert importing.stdin is not None
        importing.stdin.writelines(_history(records, commits))
    assert importing.returncode == 0
    git(path, "reset", "-q", "--hard")
    return clone


def generated_records(models: int) -> dict[str, Record]:
    """Made-up image models, each about as long as a real one."""
    chance = random.Random(models)
    return {f"Model {number}": _generated_record(number, chance) for number in range(models)}


def _generated_record(number: int, chance: random.Random) -> Record:
    digest = f"{chance.getrandbits(256):064x}"
    return {
        "name": f"Model {number}",
        "baseline": chance.choice(["stable diffusion 1", "stable diffusion 2", "stable_diffusion_xl"]),
        "type": "ckpt",
        "inpainting": False,
        "description": f"What model {number} paints, told in a sentence that is about as long as people write it.",
        "version": "1.0",
        "style": chance.choice(["generalist", "anime", "realistic"]),
        "nsfw": bool(number % 3),
        "download_all": False,
        "homepage": f"https://models.example.org/models/{number}",
        "tags": ["generated", f"tag {number % 7}", f"tag {number % 11}"],
        "showcases": [f"https://raw.example.org/showcase/{number}/{each}.jpg" for each in range(3)],
        "config": {
            "files": [
                {"path": f"model_{number}.ckpt", "md5sum": digest[:32], "sha256sum": digest},
                {"path": "v1.yaml"},
            ],
            "download": [
                {
                    "file_name": f"model_{number}.ckpt",
                    "file_path": "",
                    "file_url": f"https://models.example.org/api/download/models/{number}?type=Model&format=PickleTensor",
                }
            ],
        },
        "size_on_disk_bytes": 2_000_000_000 + number,
    }


def _history(records: dict[str, Record], commits: int) -> Iterator[bytes]:
    """Commits on top of ``main`` for ``git fast-import``; the last one has the records as they are given."""
    names = list(records)
    who = b"Ada <ada@example.org>"
    for number in range(commits):
        name = names[number % len(names)]
        version = "1.0" if number == commits - 1 else str(number)
        content = dump({**records, name: {**records[name], "version": version}})
        message = b"commit %d\n" % number
        yield b"commit refs/heads/main\ncommitter %s %d +0000\n" % (who, 1_700_000_000 + number)
        yield b"data %d\n%s" % (len(message), message)
        yield b"from refs/heads/main^0\n" if number == 0 else b""
        yield b"M 100644 inline %s\ndata %d\n%s\n" % (IMAGE_FILE.encode(), len(content), content)

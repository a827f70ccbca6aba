"""Several processes on one metadata folder."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from refsync.categories import MODEL_REFERENCE_CATEGORY as Category
from refsync.metadata.manager import MetadataManager

COUNT = """
import sys
from pathlib import Path
from refsync.categories import MODEL_REFERENCE_CATEGORY as Category
from refsync.metadata.manager import MetadataManager
from refsync.metadata.models import OperationType

manager = MetadataManager(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    manager.record_v2_operation(Category.lora, OperationType.CREATE, f"model {number}")
    if number == 20:
        print("on the way", flush=True)
"""


def counting(folder: Path, times: int) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", COUNT, str(folder), str(times)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_processes_with_fifteen_hundred_operations_each_lose_none(tmp_path: Path) -> None:
    processes = [counting(tmp_path, 1500), counting(tmp_path, 1500)]
    for process in processes:
        _, errors = process.communicate(timeout=100)
        assert (process.returncode, errors) == (0, "")
    metadata = MetadataManager(tmp_path).get_v2_metadata(Category.lora)
    assert (metadata.total_creates, metadata.total_models) == (3000, 3000)
    assert [each.name for each in (tmp_path / "meta" / "v2").iterdir()] == ["lora_metadata.json"]


def test_a_killed_writer_leaves_a_whole_file_and_no_lock(tmp_path: Path) -> None:
    with counting(tmp_path, 1_000_000) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "on the way\n"
        process.send_signal(signal.SIGKILL)
    manager = MetadataManager(tmp_path)
    before = manager.get_v2_metadata(Category.lora).total_creates
    assert before > 20
    assert manager.record_v2_error(Category.lora, "went on").total_creates == before
    assert [each.name for each in (tmp_path / "meta" / "v2").iterdir()] == ["lora_metadata.json"]

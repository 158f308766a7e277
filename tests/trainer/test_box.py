"""One lock for a box's accelerators: across processes, refused or waited for, gone with its holder."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cusp.ids import new_id
from cusp.process import interpreter
from tests.small import SMALL
from tests.waiting import wait_until
from trainer.box import SETTING, Box, BoxBusy, BoxSettingError
from trainer.train import main

HOLDS = """
import sys, time
from pathlib import Path
from trainer.box import Box
with Box(Path(sys.argv[1]), has_gpu=True).held("trains run 01J"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has the box."""
    command = [*interpreter.module("x")[:-2], "-c", HOLDS, str(tmp_path)]
    with subprocess.Popen(
        command, env=interpreter.environment({SETTING: "auto"}), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_one_is_refused_in_a_sentence_that_says_who_and_what_to_do(
    tmp_path: Path, holder: "subprocess.Popen[str]"
) -> None:
    box = Box(tmp_path, has_gpu=True, environment={})
    with pytest.raises(BoxBusy) as refused, box.held("trains"):
        pass
    assert f"process {holder.pid} (trains run 01J, since 20" in str(refused.value)
    assert "wait for it with --wait" in str(refused.value)


def test_a_second_one_waits_with_one_line_until_the_first_is_killed(
    tmp_path: Path, holder: "subprocess.Popen[str]"
) -> None:
    box = Box(tmp_path, has_gpu=True, environment={})
    said: list[str] = []
    got = threading.Event()

    def train() -> None:
        with box.held("trains", wait=True, say=said.append):
            got.set()

    waiting = threading.Thread(target=train, daemon=True)
    waiting.start()
    wait_until(lambda: bool(said), 10)
    assert not got.wait(1.5)
    holder.kill()
    assert got.wait(10)
    waiting.join()
    assert len(said) == 1
    assert f"waiting for this box, which process {holder.pid} (trains run 01J" in said[0]
    assert box.holder() is None


@pytest.mark.parametrize(
    ("setting", "has_gpu", "locks"),
    [
        (None, True, True),
        (None, False, False),
        ("auto", True, True),
        ("always", False, True),
        ("never", True, False),
    ],
)
def test_what_is_locked(tmp_path: Path, setting: str | None, has_gpu: bool, locks: bool) -> None:
    given = {SETTING: setting} if setting else {}
    boxes = [Box(tmp_path, has_gpu=has_gpu, environment=given) for _ in range(2)]
    with boxes[0].held("trains"):
        second = boxes[1].take("trains")
        assert (second is None) == locks == (boxes[1].holder() is not None)


def test_another_setting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BoxSettingError, match="CUSP_BOX_LOCK is 'yes'; use auto, always, never"):
        Box(tmp_path, has_gpu=True, environment={SETTING: "yes"})


@pytest.mark.filterwarnings("ignore")  # of TRL, transformers and torch, not ours
def test_a_second_training_on_the_box_is_refused_and_one_with_wait_is_not(
    cusp_dir: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(SETTING, "always")
    box = Box(cusp_dir, has_gpu=False)
    arguments = ["tiny", *SMALL, "run.stop_at_step=1"]
    held = box.take("trains run 01J")
    assert held is not None
    assert main(arguments) == 2
    assert "this box is taken by process" in capfd.readouterr().err
    threading.Timer(1.0, held.close).start()
    assert main([*arguments, "--wait"]) == 0
    said = capfd.readouterr().out
    assert "waiting for this box, which process" in said
    assert "the training ended at step 1" in said
    assert box.holder() is None


def test_boxes_that_share_a_data_folder_do_not_block_each_other(tmp_path: Path) -> None:
    one, two = (Box(tmp_path, has_gpu=True, environment={"CUSP_BOX": n}) for n in ("a/b", "a b"))
    again = Box(tmp_path, has_gpu=True, environment={"CUSP_BOX": "a b"})
    with one.held("trains"), two.held("trains"):
        assert again.take("trains") is None
    assert {path.parent for path in tmp_path.rglob("*.lock")} == {tmp_path}


LAUNCHES = """
import subprocess, sys, time
from pathlib import Path
from cusp.process import file_lock
from trainer.box import Box
folder, run_id = Path(sys.argv[1]), sys.argv[2]
if len(sys.argv) > 3:
    lock = file_lock.take(folder / "runs" / run_id / "lock")
    print("trains", flush=True)
    sys.stdin.read()
    sys.exit(lock is None)
with Box(folder, has_gpu=True).held(f"trains run {run_id}", run_id):
    subprocess.Popen([sys.executable, __file__, *sys.argv[1:], "rank 0"], start_new_session=True)
    time.sleep(60)
"""


@pytest.fixture
def left_behind(tmp_path: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A run that trains on in a process whose launcher, which had the box, was killed."""
    run_id, script = new_id(), tmp_path / "launches.py"
    (tmp_path / "runs" / run_id).mkdir(parents=True)
    script.write_text(LAUNCHES)
    with subprocess.Popen(
        [*interpreter.module("x")[:-2], str(script), str(tmp_path), run_id],
        env=interpreter.environment({SETTING: "auto"}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "trains\n"
        process.kill()
        process.wait(20)  # until then it has the box itself
        yield run_id, process


def test_the_box_stays_taken_while_a_killed_launchers_training_lives(
    tmp_path: Path, left_behind: tuple[str, "subprocess.Popen[str]"]
) -> None:
    run_id, process = left_behind
    box = Box(tmp_path, has_gpu=True, environment={})
    with pytest.raises(BoxBusy, match=rf"process {process.pid} \(trains run {run_id}"):
        box.held("trains").__enter__()
    assert str(box.holder()).startswith(f"process {process.pid} (trains run {run_id}")
    other = Box(tmp_path, has_gpu=True, environment={"CUSP_BOX": "another"})
    with other.held(f"trains run {run_id}", run_id):  # that box goes on with it
        assert box.holder() is None
    assert process.stdin is not None
    process.stdin.close()  # it ends
    box.wait("trains", lambda _: None).close()

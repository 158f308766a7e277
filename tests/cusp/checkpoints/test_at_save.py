"""What is said of a checkpoint whose folder a later save took over, in the same run and in another one."""

import json
import os
import shutil
import struct
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

import cusp
from cusp.checkpoints import at_save, copies, location, rotation
from cusp.checkpoints import manifest as manifest_checkpoints


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSP_DIR", str(tmp_path / "cusp"))
    monkeypatch.setenv("CUSP_MODE", "offline")


def save(path: Path, text: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    with (path / "adapter_model.safetensors").open("wb") as file:
        file.write(text.encode())
    return path


def said(run: cusp.Run) -> dict[str, tuple[int, str, str]]:
    """Return by checkpoint id what all attempts of the run said last: step, state and path."""
    last = {}
    for folder in sorted((run.home / "attempts").iterdir()):
        for file in sorted(folder.glob("spool-*")):
            for message in map(json.loads, file.read_text().splitlines()):
                if message["kind"] == "checkpoint":
                    known = (message["step"], message["state"], message["path"])
                    last[message["checkpoint_id"]] = known
    return last


def states(run: cusp.Run) -> list[tuple[int, str]]:
    return sorted((step, state) for step, state, _ in said(run).values())


def trained(root: Path, text: str, steps: tuple[int, ...] = (10, 20), **more: str) -> cusp.Run:
    run = cusp.init("p", text, root=root, **more)  # type: ignore[arg-type]
    for step in steps:
        run.log({"reward": 0.5}, step=step)
        run.checkpoint(save(root / f"checkpoint-{step}", f"{text} {step}"), step)
        run.settle()
    return run


def truthful(run: cusp.Run, root: Path, text: str) -> None:
    """Everything that is said to be there holds the run's own weights."""
    for step, state, path in said(run).values():
        if state in ("present", "pinned"):
            manifest_checkpoints.verify(root / path)
            assert (root / path / "adapter_model.safetensors").read_text() == f"{text} {step}"


def test_another_run_in_the_folder_makes_them_missing_and_what_was_kept_stays(
    tmp_path: Path,
) -> None:
    root = tmp_path / "out"
    first = trained(root, "first")
    first.keep([10])
    first.finish()
    second = trained(root, "second")
    second.finish()
    assert states(first) == [(10, "pinned"), (20, "missing")]
    assert states(second) == [(10, "present"), (20, "present")]
    truthful(first, root, "first")
    truthful(second, root, "second")
    assert first.kept_steps[10].is_relative_to(root / "pinned" / first.id)


def test_a_fresh_run_never_drops_what_another_holds(tmp_path: Path) -> None:
    root = tmp_path / "out"
    first = cusp.init("p", "first", root=root)
    first.hold()
    for step in (10, 20):
        first.checkpoint(save(root / f"checkpoint-{step}", f"first {step}"), step)
    first.settle()
    shutil.rmtree(root / "checkpoint-10")
    first.finish()
    second = cusp.init("p", "second", root=root)
    second.hold()
    for step in (10, 20):
        second.log({"reward": 1.0}, step=step)
        second.checkpoint(save(root / f"checkpoint-{step}", f"second {step}"), step)
    second.finish()
    truthful(first, root, "first")
    truthful(second, root, "second")
    assert rotation.sizes(rotation.folder(root, first.id)).keys() == {10, 20}
    places = {step: (state, path) for step, state, path in said(first).values()}
    assert places[20] == ("present", f"held/{first.id}/checkpoint-20"), "it lies there now"


def test_a_resumed_run_saves_over_its_own_and_says_so(tmp_path: Path) -> None:
    root = tmp_path / "out"
    first = trained(root, "old", (10, 20, 30))
    first.keep([20])
    first.finish("failed", "a crash")
    for step in (20, 30):
        manifest_checkpoints.abandon(root / f"checkpoint-{step}")
    second = cusp.init("p", "new", root=root, run_id=first.id)
    second.log({"reward": 0.5}, step=11)
    second.settle()
    assert states(second) == [(10, "present"), (20, "pinned"), (30, "missing")], (
        "before it is saved"
    )
    second.checkpoint(save(root / "checkpoint-20", "new 20"), 20)
    second.keep([20])
    second.finish()
    assert states(second) == [(10, "present"), (20, "pinned"), (20, "pinned"), (30, "missing")]
    kept = [path for _, state, path in said(second).values() if state == "pinned"]
    texts = {(root / path / "adapter_model.safetensors").read_text() for path in kept}
    assert texts == {"old 20", "new 20"}


def test_a_folder_that_is_saved_over_and_over_holds_the_last_one_only(tmp_path: Path) -> None:
    root = tmp_path / "out"
    run = cusp.init("p", "n", root=root)
    for step in (10, 20, 30):
        run.checkpoint(save(root / "latest", f"n {step}"), step)
        run.settle()
        if step == 20:
            run.keep([20])
            run.settle()
    run.finish()
    assert states(run) == [(10, "missing"), (20, "pinned"), (30, "present")]
    truthful(run, root, "n")


def test_a_save_that_cusp_is_not_told_of_is_noticed_at_the_next_one(tmp_path: Path) -> None:
    root = tmp_path / "out"
    run = trained(root, "n", (10,))
    save(root / "checkpoint-10", "somebody else's")
    run.checkpoint(save(root / "checkpoint-20", "n 20"), 20)
    run.keep([10])
    run.finish()
    assert states(run) == [(10, "missing"), (20, "present")]


def test_a_kept_one_that_was_changed_is_found_at_the_resume(tmp_path: Path) -> None:
    root = tmp_path / "out"
    first = trained(root, "n", (10,))
    first.keep([10])
    first.finish("failed", "a crash")
    shutil.rmtree(root / "checkpoint-10")
    file = first.kept_steps[10] / "adapter_model.safetensors"
    file.chmod(0o644)
    file.write_text("flipped")
    second = cusp.init("p", "n", root=root, run_id=first.id)
    second.log({"reward": 1.0}, step=11)
    second.finish()
    assert states(second) == [(10, "corrupt")]


def test_links_lead_to_where_the_checkpoint_really_is(tmp_path: Path) -> None:
    real, root = tmp_path / "big-disk", tmp_path / "out"
    real.mkdir()
    root.symlink_to(real)
    save(real / "checkpoint-10", "n 10")
    (real / "newest").symlink_to(real / "checkpoint-10")
    run = cusp.init("p", "n", root=root)
    run.checkpoint(root / "newest", 10)
    run.checkpoint(save(real / "checkpoint-20", "n 20"), 20)  # named without the link
    run.keep([10, 20])
    run.finish()
    assert states(run) == [(10, "pinned"), (20, "pinned")]
    truthful(run, root, "n")


@pytest.mark.parametrize("trouble", ["outside", "gone", "empty", "links only", "long"])
def test_what_cannot_be_registered_is_a_sentence_and_the_next_one_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    root = tmp_path / "out"
    run = trained(root, "n", (10,))
    path = root / "checkpoint-20"
    if trouble == "outside":
        path = save(tmp_path / "elsewhere", "x")
    elif trouble == "links only":
        path.mkdir()
        (path / "adapter_model.safetensors").symlink_to(root / "checkpoint-10")
    elif trouble == "empty":
        path.mkdir()
    elif trouble == "long":
        path = root
        for _ in range(5):
            path = path / ("x" * 240)
        save(path, "x")
    run.checkpoint(path, 20)
    run.checkpoint(save(root / "checkpoint-30", "n 30"), 30)
    run.keep([30])
    run.finish()
    assert "could not register the checkpoint of step 20" in caplog.text
    assert "Traceback" not in caplog.text
    assert states(run) == [(10, "present"), (30, "pinned")]


def safetensors(header: Mapping[str, object], content: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


WHOLE = {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.txt", b"x", "no adapter_model.safetensors"),
        ("adapter_model.bin", b"x", "is a pickle"),
        ("adapter_model.safetensors", safetensors({"__metadata__": {}}), "holds no numbers"),
        (
            "adapter_model.safetensors",
            safetensors({"a": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}),
            "ZeRO-3",
        ),
        ("adapter_model.safetensors", safetensors(WHOLE, b"123"), "cut off"),
        ("adapter_model.safetensors", safetensors(WHOLE, b"1234"), None),
        ("model-00001-of-00001.safetensors", safetensors(WHOLE, b"1234"), None),
    ],
)
def test_a_checkpoint_without_weights_is_registered_and_said_to_be_that(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    content: bytes,
    words: str | None,
) -> None:
    root = tmp_path / "out"
    run = cusp.init("p", "n", root=root)
    for step in (10, 20):
        path = root / f"checkpoint-{step}"
        path.mkdir(parents=True)
        (path / name).write_bytes(content + os.urandom(0))
        run.checkpoint(path, step)
    run.finish()
    assert states(run) == [(10, "present"), (20, "present")]
    assert caplog.text.count("cannot be evaluated or served") == (1 if words else 0)
    assert words is None or words in caplog.text


def test_a_file_that_cannot_be_read_now_is_not_called_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hashing itself refuses here, as root may read whatever has no permission."""
    root = tmp_path / "out"
    run = trained(root, "n", (10, 20))
    file = root / "checkpoint-10" / "adapter_model.safetensors"
    shelf = run._shelf
    record = next(each for each in shelf._known.values() if each.manifest.step == 10)

    def refused(path: Path) -> str:
        if path == file:
            raise PermissionError(13, "Permission denied", str(path))
        return copies.sha256_of(path)

    os.utime(file, (1, 1))  # so that it is looked at again
    with monkeypatch.context() as patched:
        patched.setattr("cusp.checkpoints.manifest.sha256_of", refused)
        run.keep([20])
        run.settle()
    assert "cannot be read: Permission denied" in caplog.text
    assert shelf._known[record.manifest.checkpoint_id] == record
    run.finish()
    assert states(run) == [(10, "present"), (20, "pinned")]


def test_a_run_that_is_resumed_into_another_folder_still_has_what_it_saved_before(
    tmp_path: Path,
) -> None:
    first = trained(tmp_path / "out", "first")
    first.keep([10])
    first.finish("failed")
    again = trained(tmp_path / "elsewhere", "again", (30,), run_id=first.id)
    assert again.kept_steps[10].is_relative_to(tmp_path / "out" / "pinned"), "kept for good"
    again.keep([20])
    again.finish()
    assert again.kept_steps[20].is_relative_to(tmp_path / "elsewhere" / "pinned")
    assert (again.kept_steps[20] / "adapter_model.safetensors").read_text() == "first 20"
    assert states(first) == [(10, "pinned"), (20, "pinned"), (30, "present")]

    manifest = manifest_checkpoints.read_manifest(again.kept_steps[10])
    registered = {"id": manifest.checkpoint_id, "step": 10, "sha256": manifest.sha256}
    path = again.kept_steps[10].relative_to(tmp_path / "out").as_posix()
    found = location.look(tmp_path / "cusp", first.id, {**registered, "path": path}, keep=True)
    assert found is not None
    assert found.place == again.kept_steps[10], "promoting finds it, too"


def test_an_attempt_that_names_no_folder_goes_on_in_the_one_of_the_last(tmp_path: Path) -> None:
    first = trained(tmp_path / "out", "first", (10,))
    first.finish("failed")
    again = cusp.init("p", run_id=first.id)
    again.log({"reward": 0.5}, step=20)
    again.keep([10])
    again.finish()
    assert states(first) == [(10, "pinned")]
    truthful(first, tmp_path / "out", "first")


@pytest.mark.parametrize("hold", [False, True])
def test_two_notebooks_that_save_one_step_into_one_folder_keep_no_weights_of_each_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, hold: bool
) -> None:
    root = tmp_path / "out"
    first, second = cusp.init("p", "first", root=root), cusp.init("p", "second", root=root)
    for run in (first, second):
        if hold:
            run.hold()
        run.log({"reward": 0.5}, step=10)
        run.settle()
    busy = threading.Event()
    first._shelf._keeper.submit(lambda: busy.wait(20))  # hashing a large file of before
    first.checkpoint(save(root / "checkpoint-10", "first 10"), 10)
    second.checkpoint(save(root / "checkpoint-10", "other 10"), 10)
    second.settle()
    busy.set()
    for run in (first, second):
        run.keep([10])
        run.finish()
    assert first.kept_steps == {}, "its weights are nowhere any more"
    assert "was saved over" in caplog.text
    assert (second.kept_steps[10] / "adapter_model.safetensors").read_text() == "other 10"
    assert states(second) == [(10, "pinned")]


def test_the_files_looked_at_are_the_weights_of_the_manifest(tmp_path: Path) -> None:
    names = ("adapter_model.safetensors", "a/config.json", "a/.hidden", ".part", "optimizer.pt")
    for name in (*names, "global_step3/weights.bin", "manifest.json", "a/optimizer.pt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to(tmp_path / "adapter_model.safetensors")
    (tmp_path / "other").symlink_to(tmp_path / "a")
    found = {
        str(file.relative_to(tmp_path)): (file.stat().st_size, file.stat().st_mtime_ns)
        for file in manifest_checkpoints.files_of(tmp_path)
    }
    weights = {name: value for name, value in found.items() if rotation.is_weights(name)}
    assert at_save.stamps(tmp_path) == weights
    assert set(weights) == {"adapter_model.safetensors", "a/config.json", "a/optimizer.pt"}
    assert at_save.stamps(tmp_path / "none") == {}

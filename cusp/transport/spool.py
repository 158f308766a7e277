"""Spool: an append-only queue of messages on disk, with a cursor, that survives a crash.

One JSON line a message; the line number is its sequence number. Lines are kept in segments
(`spool-<first seq>.jsonl`); a segment is deleted once the monitor holds all of it and of the next. A line
is written by one `write` call, so `kill -9` loses at most the line in flight.
"""

import contextlib
import json
import os
import threading
from bisect import bisect_right
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

GIB = 1 << 30
_MANY = ("point", "sample", "evaluation")
_RESERVE, _RESERVED = "reserve", bytes(32 << 10)
_OPEN = os.O_RDWR | os.O_APPEND | os.O_CREAT


class Spool:
    """The messages of one attempt. `append` is for the training thread, the rest for the sender.

    Disk space is bounded: beyond `limit_bytes` points, samples and scores are dropped and counted; the few other
    messages (checkpoints, acknowledgements, status) are still kept.
    """

    def __init__(
        self, folder: Path, *, limit_bytes: int = GIB, segment_bytes: int = 8 << 20
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._segment_bytes = segment_bytes
        self._lock = threading.Lock()
        self._segments = sorted(folder.glob("spool-*.jsonl"))
        self._starts = [_first_seq(segment) for segment in self._segments]
        self._offsets: dict[Path, list[int]] = {}
        self._read_to: tuple[Path | None, int, int] = (None, 0, 0)  # segment, line, offset
        self._sizes = {segment: segment.stat().st_size for segment in self._segments}
        self.acked = self._read_cursor()
        self.dropped = 0
        self._process = os.getpid()  # a forked child has a copy and must not write
        self.next_seq = 0
        self.remade: Callable[[], None] = lambda: None  # called once a deleted folder is recreated
        self._file: int | None = None
        self._recover()

    def append(self, message: Mapping[str, object]) -> bool:
        """Write one message; return whether it was kept.

        False: the disk is full, the limit is reached, or this is a forked child of the writer.
        """
        if os.getpid() != self._process:
            return False
        line = json.dumps(message, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            kept = not self._over_limit(message, len(line)) and self._write(line)
            if not kept and message.get("kind") not in _MANY:
                kept = self._release() and self._write(line)
            if not kept:
                self.dropped += 1
                return False
            self.next_seq += 1
            return True

    def read(self, seq: int, *, most: int = 1_000, most_bytes: int = 1 << 20) -> list[str]:
        """Return the messages from `seq` on as JSON texts: at most `most`, about `most_bytes`,
        and never beyond the end of a segment. Empty only when there is nothing from `seq` on, or once
        after a deleted folder was recreated.
        """
        with self._lock:
            if seq >= self.next_seq or not self._segments:
                return []
            index = max(0, bisect_right(self._starts, seq) - 1)
            segment, start = self._segments[index], self._starts[index]
            end = self._starts[index + 1] if index + 1 < len(self._starts) else self.next_seq
            seq = max(seq, start)
            count = min(most, end - seq)
        # Read without the lock: the training thread must not wait.
        try:
            file = segment.open("rb")
        except FileNotFoundError:  # deleted by somebody else; `oldest()` reports the loss
            self._remake()
            self.remade()
            return []
        with file:
            self._seek(file, segment, seq - start)
            lines: list[str] = []
            size = 0
            while len(lines) < count and (size < most_bytes or not lines):
                line = file.readline()
                if not line:
                    break
                lines.append(line.decode())
                size += len(line)
            self._read_to = (segment, seq - start + len(lines), file.tell())
        return lines

    def oldest(self) -> int:
        """Return the first sequence number still on disk."""
        return self._starts[0] if self._starts else self.next_seq

    def acknowledge(self, next_seq: int) -> None:
        """Record that the monitor holds everything below `next_seq`; delete segments not needed.

        The segment before the current one stays: a monitor that lost its last commits in a power cut can
        ask for them again.
        """
        gone = []
        with self._lock:
            self.acked = min(next_seq, self.next_seq)
            while len(self._segments) > 2 and self._starts[2] <= self.acked:
                gone.append(self._segments.pop(0))
                self._starts.pop(0)
                self._sizes.pop(gone[-1], None)
                self._offsets.pop(gone[-1], None)
        # The cursor goes first; without the lock, or `append` would wait for the disk.
        self._write_cursor()
        for segment in gone:
            segment.unlink(missing_ok=True)

    def pending(self) -> int:
        """Return the number of messages that the monitor does not hold yet."""
        return self.next_seq - self.acked

    def disown(self) -> None:
        """Close the file in a forked child."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def close(self) -> None:
        """Close the file; the spool can be opened again."""
        if os.getpid() != self._process:
            return
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None
                self._release()

    def _remake(self) -> None:
        """Recreate a deleted folder; the newest segment is still readable through its descriptor."""
        with self._lock:
            self._folder.mkdir(parents=True, exist_ok=True)
            last = self._segments[-1] if self._segments else None
            there = {each for each in self._segments if each.exists()}
            if last not in there and self._file is not None:
                old, self._file = self._file, None
                if last is not None and self._brought_back(old, last):
                    there.add(last)
                os.close(old)
            self._segments = [each for each in self._segments if each in there]
            self._starts = [_first_seq(each) for each in self._segments]
            self._sizes = {each: self._sizes[each] for each in self._segments}
            self._read_to = (None, 0, 0)

    def _brought_back(self, old: int, segment: Path) -> bool:
        """Restore a deleted segment from its descriptor and append to it; False if that is impossible."""
        try:
            content = os.pread(old, self._sizes[segment], 0)
            self._file = os.open(segment, _OPEN | os.O_EXCL, 0o644)
            if os.write(self._file, content) == self._sizes[segment]:
                return True
        except (OSError, AttributeError):  # no pread
            pass
        if self._file is not None:
            os.close(self._file)
            self._file = None
        segment.unlink(missing_ok=True)
        return False

    def _recover(self) -> None:
        if not self._segments:
            self.next_seq = self.acked
            return
        last = self._segments[-1]
        content = last.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):  # drop the line in flight when the process was killed
            os.truncate(last, whole)
            self._sizes[last] = whole
        self.next_seq = self._starts[-1] + content.count(b"\n")
        self.acked = min(self.acked, self.next_seq)

    def _over_limit(self, message: Mapping[str, object], size: int) -> bool:
        full = sum(self._sizes.values()) + size > self._limit_bytes
        return full and message.get("kind") in _MANY

    def _release(self) -> bool:
        """Free the reserved disk space for the messages that a full disk must not lose."""
        with contextlib.suppress(OSError):
            (self._folder / _RESERVE).unlink()
            return True
        return False

    def _write(self, line: bytes) -> bool:
        try:
            if self._file is None or self._sizes[self._segments[-1]] >= self._segment_bytes:
                self._open_segment()
            segment = self._segments[-1]
            written = os.write(self._file or 0, line)
            if written < len(line):  # a full disk took half a line: truncate it
                os.ftruncate(self._file or 0, self._sizes[segment])
                return False
        except OSError:
            return False
        self._sizes[segment] += len(line)
        return True

    def _open_segment(self) -> None:
        reuse = self._segments and self._sizes[self._segments[-1]] < self._segment_bytes
        fresh = self._folder / f"spool-{self.next_seq:012d}.jsonl"
        segment = self._segments[-1] if reuse else fresh
        file = os.open(segment, _OPEN, 0o644)
        if self._file is not None:
            os.close(self._file)
        if self._file is None:
            with contextlib.suppress(OSError):
                (self._folder / _RESERVE).write_bytes(_RESERVED)
        self._file = file
        if not reuse:
            self._segments.append(segment)
            self._starts.append(self.next_seq)
            self._sizes[segment] = 0

    def _seek(self, file: BinaryIO, segment: Path, line: int) -> None:
        """Seek to the start of a line: usually where the last read ended, else by the sparse index.

        The index holds the offset of every 256th line, to save memory.
        """
        if self._read_to[:2] == (segment, line):
            file.seek(self._read_to[2])
            return
        index = self._offsets.setdefault(segment, [0])
        block = min(line // 256, len(index) - 1)
        file.seek(index[block])
        at = block * 256
        while at < line:
            file.readline()
            at += 1
            if at % 256 == 0 and at // 256 == len(index):
                index.append(file.tell())

    def _write_cursor(self) -> None:
        temporary = self._folder / ".cursor"
        # On a full disk the old cursor stays; the monitor then ignores the repeats.
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps({"acked": self.acked}))
            temporary.replace(self._folder / "cursor.json")

    def _read_cursor(self) -> int:
        try:
            return int(json.loads((self._folder / "cursor.json").read_text())["acked"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0  # after a lost cursor the monitor ignores the repeats


def _first_seq(segment: Path) -> int:
    return int(segment.stem.removeprefix("spool-"))

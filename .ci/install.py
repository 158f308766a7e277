"""Run pip quietly, with a line every while that says it is alive: `python .ci/install.py ARGUMENTS...`

On a fast network it prints nothing. pip's own output is kept in a file and shown when it fails.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

EVERY_S = float(os.environ.get("CUSP_SETUP_EVERY_S", "20"))


def size(folder: Path) -> int:
    """Return the bytes below a folder that another process is writing to."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:
                continue  # removed meanwhile
    return total


def main() -> int:
    """Install into the environment that runs this; return pip's exit status."""
    here = Path(sys.prefix)
    downloads = here / "tmp"
    downloads.mkdir(exist_ok=True)
    log = here / "install.log"
    begun = said = time.monotonic()
    before = size(here)
    with log.open("ab") as out:
        pip = subprocess.Popen(
            [sys.executable, "-m", "pip", "install", "--progress-bar=off", *sys.argv[1:]],
            env={**os.environ, "TMPDIR": str(downloads), "PIP_ROOT_USER_ACTION": "ignore"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            while pip.poll() is None:
                time.sleep(0.2)
                if time.monotonic() - said >= EVERY_S:
                    said = time.monotonic()
                    megabytes = max(0, size(here) - before) / 1e6
                    print(f"      {said - begun:.0f} s, {megabytes:.0f} MB so far", flush=True)
        except KeyboardInterrupt:
            pip.kill()
            print("\nstopped; `make setup` goes on from here")
            return 130
    if pip.returncode:
        print("\n".join(log.read_text(errors="replace").splitlines()[-12:]))
        print(f"pip failed (status {pip.returncode}); its whole output is in {log}")
    return pip.returncode


if __name__ == "__main__":
    sys.exit(main())

"""Makes sure a browser is there: the one on the machine, else Debian's chromium."""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def browser() -> str | None:
    """Return the path of a browser the tests can drive, or None. CUSP_TEST_BROWSER names one."""
    given = os.environ.get("CUSP_TEST_BROWSER")
    return given or next((path for name in NAMES if (path := shutil.which(name))), None)


def main() -> int:
    """Install one if there is none; return the exit status."""
    if browser():
        return 0
    if not shutil.which("apt-get"):
        print(
            "no browser found: install Chromium, or name one in CUSP_TEST_BROWSER", file=sys.stderr
        )
        return 1
    print("installing Debian's chromium for the browser tests", flush=True)
    root = [] if os.geteuid() == 0 else ["sudo"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (
        ["update", "-qq"],
        ["install", "-y", "-qq", "--no-install-recommends", "chromium"],
    ):
        subprocess.run(
            [*root, "apt-get", *arguments], check=True, env=environment, stdout=subprocess.DEVNULL
        )
    return 0 if browser() else 1


if __name__ == "__main__":
    sys.exit(main())

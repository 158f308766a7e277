"""The `cusp` command; its entry point is `main`."""


def main() -> None:
    """Run the command line. The commands are imported here: a part of this package needs no other."""
    from cusp.cli.app import main as run

    run()

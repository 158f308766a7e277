"""The `cusp` command; its entry point is `main`."""


def main() -> None:
    """Run the command line. Commands are imported here, so that each submodule can be imported alone."""
    from cusp.cli.app import main as run

    run()

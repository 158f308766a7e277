"""`python -m cusp` is the `cusp` command."""

from cusp.process.interpreter import forget_the_working_folder

forget_the_working_folder()

from cusp.cli.app import main  # noqa: E402

if __name__ == "__main__":
    main()

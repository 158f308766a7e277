"""`python -m cusp` is the `cusp` command."""

from cusp.interpreter import forget_the_working_folder

forget_the_working_folder()

from cusp.cli import main  # noqa: E402

if __name__ == "__main__":
    main()

"""`python -m cusp` is the `cusp` command."""

from cusp.cli import main

if __name__ == "__main__":
    main()

"""Run the command line with ``python -m stnas``."""

from stnas.cli import main

if __name__ == "__main__":
    main()

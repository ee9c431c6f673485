"""``python -m queuekit``."""

from queuekit.cli import main

if __name__ == "__main__":
    main()

"""``python -m clipviz`` is the command ``clipviz``."""

from clipviz.cli import main

if __name__ == "__main__":
    main()

"""Start the web chat: ``python app.py`` is ``rag chat``."""

import sys

from rag.cli import main

if __name__ == "__main__":
    main(["chat", *sys.argv[1:]])

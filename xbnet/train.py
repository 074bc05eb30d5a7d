"""`python -m xbnet.train`: the same as `xbnet train`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))

"""Pictures that are put together, but not drawn: to draw one takes longer than all else that a small command does."""

import base64
from pathlib import Path

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
"""One black dot."""


def put_down(figure, stream, **settings):
    """In place of `Figure.savefig`."""
    if hasattr(stream, "write"):
        stream.write(PNG)
    else:
        Path(stream).write_bytes(PNG)

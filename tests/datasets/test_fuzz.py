"""Damaged files of every format end in one `DataError` line or in a data set, and take no more memory than they may.

See `tests.support.chance` for how many, and which.
"""

import gzip
import io
import random
import re
import tracemalloc

import numpy as np
import pytest
import scipy.io

from tests.support import files as samples
from tests.support.chance import REPORT, SEED, check_line, share
from tests.support.mutants import mutate, seeds
from xbnet.datasets import Dataset, load_dataset
from xbnet.errors import DataError


@pytest.mark.fuzz
@pytest.mark.parametrize("case", seeds(), ids=lambda case: case[0])
def test_damaged_files(tmp_path, case):
    name, content, payload, beside, options = case
    for other, other_content in beside.items():
        (tmp_path / other).write_bytes(other_content)
    path = tmp_path / name
    load = tmp_path / "data_batch_1" if name == "batches.meta" else path
    others = [seed[1] for seed in seeds()]
    rng = random.Random(f"{name} {SEED}")
    path.write_bytes(content)
    assert isinstance(load_dataset(load, **options), Dataset)
    loaded, n = 0, share(len(others))
    tracemalloc.start()
    try:
        for _ in range(n):
            damaged = mutate(content, rng, others)
            path.write_bytes(damaged)
            size = max(len(damaged), payload) + sum(map(len, beside.values()))
            # Interpreter objects, buffers of streams and blocks of 64 KiB come on top, whatever the file; and what Python
            # makes of a header of `.npy` that is nothing but brackets, which NumPy lets it read.
            allowed = 4 * size + 1_200_000
            line, peak = read(load, options)
            if peak > allowed:  # modules that are imported on the way to a rare complaint are so once
                line, peak = read(load, options)
            assert peak <= allowed, (peak, size, REPORT)
            if line is None:
                loaded += 1
            else:
                check_line(line.replace(str(tmp_path), ""))
                assert str(tmp_path) in line, REPORT
    finally:
        tracemalloc.stop()
    assert loaded < n


def read(path, options):
    """The line in which a file is refused, or None, and how many bytes were taken at most."""
    tracemalloc.reset_peak()
    before, line = tracemalloc.get_traced_memory()[0], None
    try:
        data = load_dataset(path, **options)
    except DataError as error:
        line = str(error)
    else:
        assert np.isfinite(data.train.x).all(), REPORT
        assert len(data.train.x) == len(data.train.y) > 0, REPORT
    return line, tracemalloc.get_traced_memory()[1] - before


def bombs():
    """Small files that unpack to 40 MB of a sound data set."""
    zeros = np.zeros((40, 1_000_000), np.uint8)
    mat = io.BytesIO()
    scipy.io.savemat(mat, {"Yt": zeros.T, "Ct": np.eye(2)[:, np.arange(40) % 2]}, do_compression=True)
    labels = {"train-labels-idx1-ubyte": samples.idx(np.arange(40) % 2)}
    return {
        "a.npz": (samples.npz(True, x=zeros, y=np.arange(40) % 2), {}),
        "train-images-idx3-ubyte.gz": (gzip.compress(samples.idx(zeros.reshape(40, 1000, 1000)), mtime=0), labels),
        "a.mat": (mat.getvalue(), {}),
    }


@pytest.mark.parametrize("name", ["a.npz", "train-images-idx3-ubyte.gz", "a.mat"])
def test_a_compressed_file_may_not_hold_too_much(tmp_path, name):
    content, beside = bombs()[name]
    for other, other_content in {name: content, **beside}.items():
        (tmp_path / other).write_bytes(other_content)
    line = (
        f"{tmp_path / name}: expected a compressed file that unpacks to at most 33,554,432 bytes (100 times its size, "
        "or 33,554,432 bytes), got 40,"
    )
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=re.escape(line) + r"[\d,]+; if it is sound, store it uncompressed\Z"):
            load_dataset(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()

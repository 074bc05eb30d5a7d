"""One training step on one CUDA device, by xbnet's levels and by other libraries; `python -m benchmarks.gpu`."""

"""How many threads multiply matrices where that is OpenBLAS's work: on Linux without a GPU. No MLX here."""

import ctypes

SMALL_BYTES = 64 * 1024**2  # of weights: read in about 5 ms by one core


def settle(weights_bytes: int) -> None:
    """One thread for a small model. Its matrices are too small to be shared: threads would wait for each other for
    longer than they compute, in the place of those that serve. (0.9M parameters, two cores that others load, in turns:
    twice the tokens per second of 32 rows, and a fifth less processor time for each.)"""
    if weights_bytes < SMALL_BYTES and (choose := getattr(ctypes.CDLL(None), "openblas_set_num_threads", None)):
        choose(1)

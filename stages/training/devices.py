"""Devices: whether there is one to train on, and how it is set up."""

import ctypes
import os
import re
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

NO_GPU = ("No CUDA GPUs are available", "Found no NVIDIA driver")  # what torch says where there is a driver's library


class DeviceError(RuntimeError):
    """There is a device, or should be one, but it cannot be used."""


def why_missing(device: str) -> str | None:
    """Return why there is no such device to train on, or None if there is one.

    torch, which takes a second to import, is only asked where there is something to ask about. Raises DeviceError if
    CUDA cannot start, say for an old driver or a GPU that is not ready: that is no reason to skip it.
    """
    if device == "cpu":
        return None
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "GPUs are hidden (CUDA_VISIBLE_DEVICES)"
    if "rocm" in version("torch"):
        return f"this build of torch ({version('torch')}) is for AMD's ROCm, which is not supported"
    if sys.platform == "darwin":
        import torch

        if torch.backends.mps.is_available():
            return "torch finds an Apple GPU (MPS); this trains on NVIDIA's only"
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no NVIDIA driver (libcuda.so.1) was found"
    import torch

    if not torch.backends.cuda.is_built():
        return f"this build of torch ({torch.__version__}) has no CUDA"
    try:
        torch.cuda.init()
    except RuntimeError as error:
        said = re.sub(r".*(?=Error \d+:)", "", str(error).splitlines()[0]).split(". ")[0]
        if any(phrase in str(error) for phrase in NO_GPU):
            return f"no CUDA device was found ({said})"
        raise DeviceError(f"CUDA cannot start ({said})") from None
    return None


def start(device: "torch.device") -> None:
    """Start the device; ask a GPU for full float32 products and for kernels that give the same bytes every time."""
    import torch

    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.use_deterministic_algorithms(True)
    torch.zeros(1, device=device).sum().item()

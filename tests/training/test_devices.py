"""Devices: every way in which a GPU is not there, or is there and does not start."""

import os

import pytest
import torch

from stages.training import devices
from stages.training.devices import DeviceError

BEFORE = "Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions before calling NumCudaDevices()? "


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("No CUDA GPUs are available", "no CUDA device was found (No CUDA GPUs are available)"),
        (
            "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU",
            "no CUDA device was found (Found no NVIDIA driver on your system)",
        ),
    ],
)
def test_a_driver_without_a_gpu_is_a_reason_to_skip(monkeypatch, said, told):
    pretend_cuda(monkeypatch, said)
    assert devices.why_missing("gpu") == told


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (f"{BEFORE}Error 802: system not yet initialized", "Error 802: system not yet initialized"),
        (
            "CUDA driver initialization failed, you might not have a CUDA gpu",
            "CUDA driver initialization failed, you might not have a CUDA gpu",
        ),
        (
            "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver",
            "The NVIDIA driver on your system is too old (found version 11040)",
        ),
    ],
)
def test_a_gpu_that_cuda_cannot_start_is_an_error(monkeypatch, said, told):
    pretend_cuda(monkeypatch, said)
    with pytest.raises(DeviceError) as refusal:
        devices.why_missing("gpu")
    assert str(refusal.value) == f"CUDA cannot start ({told})"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices.why_missing("gpu") == "GPUs are hidden (CUDA_VISIBLE_DEVICES)"


def pretend_cuda(monkeypatch, said):
    """Pretend a driver and a build of torch with CUDA, whose start fails with what is said."""

    def fail():
        raise RuntimeError(said)

    monkeypatch.setattr(devices.ctypes, "CDLL", lambda name: None)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "init", fail)


def test_no_driver_is_a_reason_to_skip(monkeypatch):
    def fail(name):
        raise OSError(f"{name}: cannot open shared object file")

    pretend_cuda(monkeypatch, "")
    monkeypatch.setattr(devices.ctypes, "CDLL", fail)
    assert devices.why_missing("gpu") == "no NVIDIA driver (libcuda.so.1) was found"


@pytest.mark.parametrize(
    ("apples", "told"),
    [
        (True, "torch finds an Apple GPU (MPS); this trains on NVIDIA's only"),
        (False, "no NVIDIA driver (libcuda.so.1) was found"),
    ],
)
def test_an_apple_gpu_is_a_reason_to_skip(monkeypatch, apples, told):
    test_no_driver_is_a_reason_to_skip(monkeypatch)
    monkeypatch.setattr(devices.sys, "platform", "darwin")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: apples)
    assert devices.why_missing("gpu") == told
    assert devices.why_missing("cpu") is None


def test_a_gpu_that_starts_is_used(monkeypatch):
    pretend_cuda(monkeypatch, "")
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    assert devices.why_missing("gpu") is None
    assert devices.why_missing("cpu") is None


def test_a_build_without_cuda_is_a_reason_to_skip(monkeypatch):
    pretend_cuda(monkeypatch, "")
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    assert devices.why_missing("gpu") == f"this build of torch ({torch.__version__}) has no CUDA"


def test_amds_gpus_are_a_reason_to_skip(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "version", lambda package: "2.13.0+rocm7.0")
    assert devices.why_missing("gpu") == (
        "this build of torch (2.13.0+rocm7.0) is for AMD's ROCm, which is not supported"
    )


def test_a_gpu_is_asked_for_exact_products(monkeypatch, exact):
    monkeypatch.setattr(torch, "zeros", lambda *shape, device: torch.ones(*shape))
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
    devices.start(torch.device("cuda"))
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"

"""CUDA graphs emulated on the CPU: what `stages/training/graphs.py` does on a GPU, without one.

`record` writes down every aten call of a piece of work with the tensors it was given; its replay makes the same calls
on the same addresses, without the Python that made them. What a GPU wants is held here:

- recording computes nothing: what it changed is put back;
- memory that was there before is held by weak reference: a replay that goes to freed memory is an error, where a GPU
  would silently compute with what somebody else keeps there;
- memory allocated while recording belongs to the graph;
- a call that is not known to be allowed in a graph is an error, such as those that wait for the host: kernels may do so
  within, unseen, so only those that training needs are known here.
"""

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

ALLOWED = """
_foreach_zero_ _log_softmax _log_softmax_backward_data _record_function_enter_new _record_function_exit add add_ addmm
addmm_ alias amax argmax baddbmm_ batch_norm bmm cat conv2d convolution convolution_backward copy_ cross_entropy_loss
detach div empty eq expand flatten index_select linear log_softmax max_pool2d max_pool2d_with_indices
max_pool2d_with_indices_backward mean mm mul mul_ native_batch_norm native_batch_norm_backward neg nll_loss_backward
nll_loss_forward ones_like relu relu_ select sign_ slice softmax split_with_sizes sub_ sum t threshold_backward unbind
unflatten unsqueeze view zero_
""".split()  # noqa: SIM905  a list of words is easier to read


class Address:
    """A tensor in memory from outside the graph: where it lies, without keeping it alive."""

    def __init__(self, tensor):
        self.storage = StorageWeakRef(tensor.untyped_storage())
        self.place = tensor.storage_offset(), tensor.size(), tensor.stride()
        self.dtype = tensor.dtype

    def tensor(self):
        storage = torch.UntypedStorage._new_with_weak_ptr(self.storage.cdata)
        if storage is None:
            raise RuntimeError("a graph goes to memory that has been freed")
        return torch.empty(0, dtype=self.dtype).set_(storage, *self.place)


class Recorder(TorchDispatchMode):
    """Writes down calls while they are made."""

    def __init__(self):
        super().__init__()
        self.calls = []
        self.own = {}  # storages allocated here, by address: kept alive
        self.before = {}  # storages from outside, by address, with what they held before

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.overloadpacket.__name__ not in ALLOWED:
            raise RuntimeError(f"{function} is not known to be allowed in a graph")
        given = tree_map_only(torch.Tensor, self.note, (args, kwargs or {}))
        results = function(*args, **(kwargs or {}))
        made = {}
        for i, output in enumerate(results if isinstance(results, tuple | list) else [results]):
            if isinstance(output, torch.Tensor) and not self.known(output):
                self.own[output.untyped_storage().data_ptr()] = output.untyped_storage()
                made[i] = output.detach()
        self.calls.append((function, given, made))
        return results

    def known(self, tensor):
        address = tensor.untyped_storage().data_ptr()
        return address in self.own or address in self.before

    def note(self, tensor):
        """Return how a replay gets at an argument."""
        if not self.known(tensor):
            storage = tensor.untyped_storage()
            self.before[storage.data_ptr()] = StorageWeakRef(storage), storage.clone()
        return tensor.detach() if tensor.untyped_storage().data_ptr() in self.own else Address(tensor)

    def put_back(self):
        for reference, content in self.before.values():
            storage = torch.UntypedStorage._new_with_weak_ptr(reference.cdata)
            if storage is not None:
                storage.copy_(content)
        self.before = {}


def uses_graphs(device):
    return True


def record(work):
    with Recorder() as recorder:
        work()
    recorder.put_back()
    calls, own = recorder.calls, recorder.own

    def replay(_=own):
        with torch.inference_mode():
            for function, given, made in calls:
                args, kwargs = tree_map_only(Address, Address.tensor, given)
                results = function(*args, **kwargs)
                results = results if isinstance(results, tuple | list) else [results]
                for i, place in made.items():
                    place.copy_(results[i])

    return replay

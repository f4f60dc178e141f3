"""OpenAI's original archives (TorchScript), read as data: nothing that they hold is run.

Such a file is a zip: ``data.pkl`` describes a tree of modules, ``data/N`` are the raw bytes of tensors, and ``code/``
is a program that this module never opens. The pickle is read by an unpickler that knows four harmless things
(tensors, lists, ordered mappings, and stand-ins for modules that hold a state and do nothing); anything else that
the pickle names is refused before it exists.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import ModelError

_STORAGES = {
    "FloatStorage": torch.float32, "HalfStorage": torch.float16, "DoubleStorage": torch.float64,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
}  # fmt: skip
_LISTS = {"build_intlist", "build_doublelist", "build_boollist", "build_tensorlist"}


def is_archive(path: Path) -> bool:
    """Whether ``path`` is a TorchScript archive: a zip with a program in it, or with the constants of one."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.partition("/")[2] for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError):
        return False
    return "data.pkl" in names and any(n == "constants.pkl" or n.startswith("code/") for n in names)


def read_archive(path: Path) -> dict[str, Tensor]:
    """The tensors of a TorchScript archive by their dotted names.

    Raises ModelError where the pickle names anything but tensors and modules, or where bytes are missing.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            pickles = [n for n in archive.namelist() if n.count("/") == 1 and n.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise pickle.UnpicklingError(f"{len(pickles)} files called data.pkl")
            root = _Reader(archive, pickles[0].partition("/")[0]).load()
        found = dict(_tensors(root)) if isinstance(root, _Module) else None
    except ModelError:
        raise
    except Exception as error:  # a damaged or hostile pickle fails in as many ways as there are opcodes
        raise ModelError(
            f"{str(path)!r} is a TorchScript archive that holds more than tensors in modules, or is damaged "
            f"({str(error)[:160]}): save its state dict as safetensors with safetensors.torch.save_file and load that."
        ) from error
    if found is None:
        raise ModelError(f"{str(path)!r} is a TorchScript archive of a {type(root).__name__}, not of a model.")
    return found


class _Module:
    """Stands for a class of the archive: keeps what it is given, does nothing."""

    __slots__ = ("state",)
    state: Any

    def __new__(cls, *_: Any) -> _Module:
        made = object.__new__(cls)
        made.state = {}
        return made

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Inert:
    """A callable of ours for the pickle; without attributes, so that no BUILD can change it."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it sets the state of a function")


class _Storage(_Inert):
    """The numbers of a storage, out of the pickle's reach: a tensor itself has a __setstate__ that does much."""

    __slots__ = ("numbers",)

    def __init__(self, numbers: Tensor):
        self.numbers = numbers


class _View(_Inert):
    """What a tensor will be when the pickle has had its say."""

    __slots__ = ("offset", "size", "storage", "stride")

    def __init__(self, storage: Any, offset: Any, size: Any, stride: Any):
        if not isinstance(storage, _Storage):
            raise pickle.UnpicklingError("a tensor without storage")
        self.storage, self.offset, self.size, self.stride = storage, offset, tuple(size), tuple(stride)

    def tensor(self) -> Tensor:
        return torch.as_strided(self.storage.numbers, self.size, self.stride, self.offset)  # refuses what lies outside


class _Tensor(_Inert):
    __slots__ = ()

    def __call__(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _View:
        return _View(storage, offset, size, stride)


class _Listed(_Inert):
    __slots__ = ()

    def __call__(self, values: Any = (), *_: Any) -> Any:
        return values


class _Ordered(_Inert):
    __slots__ = ()

    def __call__(self, *pairs: Any) -> dict[Any, Any]:
        return dict(*pairs)


class _Reader(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, prefix: str):
        super().__init__(io.BytesIO(archive.read(f"{prefix}/data.pkl")))
        self._archive, self._prefix = archive, prefix
        self._storages: dict[str, _Storage] = {}
        order = f"{prefix}/byteorder"
        if order in archive.namelist() and archive.read(order).strip() != b"little":
            raise pickle.UnpicklingError("its numbers are big-endian")

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "__torch__":
            return _Module
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor()
        if module == "torch.jit._pickle" and (name in _LISTS or name == "restore_type_tag"):
            return _Listed()
        if (module, name) == ("collections", "OrderedDict"):
            return _Ordered()
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _device, count = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype) or not isinstance(key, str):
            raise pickle.UnpicklingError("an unknown kind of storage")
        if key not in self._storages:
            raw = bytearray(self._archive.read(f"{self._prefix}/data/{key}"))
            if len(raw) != count * dtype.itemsize:
                raise pickle.UnpicklingError(f"data/{key} has {len(raw)} bytes for {count} numbers")
            numbers = torch.frombuffer(raw, dtype=dtype) if raw else torch.empty(0, dtype=dtype)
            self._storages[key] = _Storage(numbers)
        return self._storages[key]


def _tensors(root: _Module) -> list[tuple[str, Tensor]]:
    """(dotted name, tensor) of all modules below ``root``, each module once."""
    found, waiting, met = [], [("", root)], set()
    while waiting:
        prefix, module = waiting.pop()
        if id(module) in met or not isinstance(module.state, dict):
            continue
        met.add(id(module))
        for name, value in module.state.items():
            if isinstance(value, _View):
                found.append((f"{prefix}{name}", value.tensor()))
            elif isinstance(value, _Module):
                waiting.append((f"{prefix}{name}.", value))
    return found

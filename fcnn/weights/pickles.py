"""What a pickle of PyTorch describes, without unpickling it.

A small machine carries out the operations that saved weights are made of, and refuses every other.
It makes dicts, lists, tuples, numbers and texts. What the file names is compared with lists of
names: nothing is looked up, imported or called. A tensor becomes a ``Tensor``, which says where its
numbers lie; they are read later, if they are wanted.
"""

import codecs
import io
import itertools
import pickletools
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from . import reading

LONGEST = 2**24  # bytes of a pickle
MOST_OPERATIONS = 500_000  # some 40 to a tensor

codecs.lookup("raw-unicode-escape")  # which Python else imports when a file first needs it


@dataclass(frozen=True)
class Storage:
    """Numbers in a row: their type, how the file calls them, and how many bytes they are.

    The tensors on it see those from ``start`` to ``stop``, also in bytes.
    """

    dtype: np.dtype
    key: str
    size: int
    start: int
    stop: int


@dataclass(frozen=True)
class Tensor:
    """Where the numbers of a tensor lie; the offset, in bytes, counts from the storage's begin."""

    storage: Storage
    dtype: np.dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # in numbers


@dataclass(frozen=True)
class Named:
    """A name in the file, or something made by what has that name: it is not looked at."""

    name: str


@dataclass(frozen=True)
class Description:
    """What a pickle describes, where it ends, and every storage it tells of, by its key."""

    value: Any
    end: int
    storages: dict[str, Storage]


def described(data: bytes, at: int = 0) -> Description:
    """What the pickle that begins at ``at`` describes.

    Raises:
        ValueError: it is damaged, too long, or describes something else than weights.
        Exception: of other kinds, where it is damaged.
    """
    stream, machine = io.BytesIO(data[at : at + LONGEST]), _Machine()
    for operation, argument, _ in pickletools.genops(stream):
        if operation.name == "STOP":
            return Description(machine.stack.pop(), at + stream.tell(), machine.storages)
        machine.run(operation.name, argument)
    raise ValueError("a pickle in it ends early")


class _Machine:
    def __init__(self):
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}  # not a list: a file may ask for any index
        self.storages: dict[str, Storage] = {}
        self.left = MOST_OPERATIONS

    def run(self, name: str, argument: Any) -> None:
        self.spend(1)
        stack = self.stack
        if name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _VALUES:
            stack.append(argument)
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name == "MARK":
            self.marks.append(len(stack))
        elif name in _TUPLES:
            stack.append(tuple(self.last(_TUPLES[name])))
        elif name == "TUPLE":
            stack.append(tuple(self.since_mark()))
        elif name in ("EMPTY_DICT", "EMPTY_LIST"):
            stack.append({} if name == "EMPTY_DICT" else [])
        elif name == "EMPTY_SET":
            stack.append(Named("builtins set"))
        elif name in ("SETITEM", "SETITEMS"):
            items = self.last(2) if name == "SETITEM" else self.since_mark()
            _set(stack[-1], items[::2], items[1::2])
        elif name in ("APPEND", "APPENDS", "ADDITEMS"):
            items = self.last(1) if name == "APPEND" else self.since_mark()
            _extend(stack[-1], items)
        elif name == "GLOBAL":
            stack.append(_named(argument))
        elif name == "STACK_GLOBAL":
            stack.append(_named(" ".join(self.last(2))))
        elif name in ("REDUCE", "NEWOBJ"):
            stack.append(self.made(*self.last(2)))
        elif name == "BUILD":
            self.last(1)
            if not isinstance(stack[-1], dict | Named):
                raise ValueError("it gives a state to what can have none")
        elif name == "BINPERSID":
            storage = _storage(stack.pop())
            self.storages.setdefault(storage.key, storage)
            stack.append(storage)
        elif name in ("BINSTRING", "SHORT_BINSTRING"):  # as Python 2 wrote them
            stack.append(argument.encode("latin-1").decode("utf-8"))
        elif name not in ("PROTO", "FRAME"):
            raise ValueError(f"it uses {name}, an operation that weights do not need")

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise ValueError(f"a pickle in it has more than {MOST_OPERATIONS:,} operations")

    def last(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise ValueError("a pickle in it takes more than it has")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def since_mark(self) -> list[Any]:
        at = self.marks.pop()
        items = self.stack[at:]
        del self.stack[at:]
        return items

    def made(self, function: Any, arguments: Any) -> Any:
        """What a call stands for, of those that weights are made with."""
        if not isinstance(function, Named) or not isinstance(arguments, tuple):
            raise ValueError("it calls what is no function")
        name = function.name
        if name in _IGNORED:
            return function
        if name == "collections OrderedDict":
            entries: dict[Any, Any] = {}
            for pairs in arguments[:1]:  # with them by Python 2 alone
                self.spend(len(pairs))
                _set(entries, [key for key, _ in pairs], [value for _, value in pairs])
            return entries
        if name == "torch Size":
            return reading.shape_of(*arguments)
        if name.startswith("torch._utils _rebuild_parameter"):
            return _of(arguments[0], Tensor)
        if name == "torch._utils _rebuild_tensor":
            storage, offset, shape, strides = arguments
            return _tensor(storage, offset, shape, strides, storage.dtype)
        if name == "torch._utils _rebuild_tensor_v2":
            storage, offset, shape, strides, _, _, *bits = arguments
            return _tensor(storage, offset, shape, strides, storage.dtype, *bits)
        if name == "torch._utils _rebuild_tensor_v3":
            storage, offset, shape, strides, _, _, dtype, *bits = arguments
            dtype = _DTYPES[_of(dtype, Named).name.removeprefix("torch ")]
            return _tensor(storage, offset, shape, strides, dtype, *bits)
        if name == "torch._tensor _rebuild_from_type_v2":  # a tensor with attributes
            function, _, arguments, _ = arguments
            if function != Named(name):
                return self.made(function, arguments)
        raise ValueError(f"it calls {name!r:.80}")


def _of(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise ValueError(f"it has a {type(value).__name__} where a {kind.__name__} belongs")
    return value


def _named(name: str) -> Named:
    if name not in _KNOWN:
        raise ValueError(
            f"it names {name!r:.120}, which is no part of plain weights; where it comes from, save "
            "the state_dict() of the model, with dense tensors, and nothing beside it"
        )
    return Named(name)


def _set(target: Any, keys: list[Any], values: list[Any]) -> None:
    if isinstance(target, Named):
        return
    _of(target, dict)
    for key, value in zip(keys, values, strict=True):
        # hashes of large numbers collide by intent, and those of tuples may take for ever
        if type(key) not in (str, int, bool) or (type(key) is int and abs(key) >= 2**61 - 1):
            raise ValueError("it has a dict with a key that is neither a text nor a number")
        if key in target:
            raise ValueError(f"it has two entries called {key!r:.80}")
        target[key] = value


def _extend(target: Any, items: list[Any]) -> None:
    if not isinstance(target, Named):
        _of(target, list).extend(items)


def _storage(identity: Any) -> Storage:
    kind, *rest = _of(identity, tuple)
    if kind != "storage":
        raise ValueError("it holds a whole model; where it comes from, save its state_dict()")
    name, key, _, count, *view = rest
    dtype, key = _STORAGES[_of(name, Named).name], _of(key, str)
    offset, length = 0, _of(count, int)
    if view and view[0] is not None:  # of the format before 1.6: a part of another storage
        _, offset, length = _of(view[0], tuple)
    if not 0 <= _of(offset, int) <= offset + _of(length, int) <= count:
        raise ValueError(f"the storage {key!r:.40} of {count:,} numbers has a part outside it")
    start, stop, size = (dtype.itemsize * n for n in (offset, offset + length, count))
    return Storage(dtype, key, size, start, stop)


def _tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, dtype: np.dtype, bits: Any = None
) -> Tensor:
    """A tensor that lies within its storage."""
    if bits:
        raise ValueError("it has a tensor that is yet to be conjugated or negated; save a clone()")
    shape, strides = reading.shape_of(shape), reading.shape_of(strides)
    at = _of(storage, Storage).start + _of(offset, int) * dtype.itemsize
    if offset < 0 or len(shape) != len(strides):
        raise ValueError("it has a tensor with a negative offset, or without all of its strides")
    reach = sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True)) + 1
    if 0 not in shape and at + reach * dtype.itemsize > storage.stop:
        raise ValueError(f"it has a tensor {list(shape)} that reaches beyond its storage")
    return Tensor(storage, dtype, at, shape, strides)


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_VALUES = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINBYTES", "SHORT_BINBYTES"),
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_DTYPES = {
    name: np.dtype(getattr(ml_dtypes, name, None) or name)
    for name in (
        *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
        *("float16", "float32", "float64", "bfloat16", "complex64", "complex128"),
        *("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"),
    )
}
_STORAGES = {
    f"{module} {kind}Storage": _DTYPES[dtype]
    for module in ("torch", "torch.cuda")
    for kind, dtype in {
        **{"Float": "float32", "Double": "float64", "Half": "float16", "BFloat16": "bfloat16"},
        **{"Byte": "uint8", "Char": "int8", "Short": "int16", "Int": "int32", "Long": "int64"},
        **{"Bool": "bool", "ComplexFloat": "complex64", "ComplexDouble": "complex128"},
    }.items()
}
_STORAGES |= {f"{name} UntypedStorage": np.dtype("uint8") for name in ("torch", "torch.storage")}
_MADE = {
    *("collections OrderedDict", "torch Size", "torch._tensor _rebuild_from_type_v2"),
    *("torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2"),
    *("torch._utils _rebuild_tensor_v3", "torch._utils _rebuild_parameter"),
    *("torch._utils _rebuild_parameter_with_state", "torch Tensor"),
    *("torch.nn.parameter Parameter", "torch.nn.parameter Buffer"),
}
# what training scripts keep beside the weights; it is passed over
_IGNORED = {
    *("argparse Namespace", "collections defaultdict", "collections Counter", "_codecs encode"),
    *("torch device", "torch.serialization _get_layout", "numpy ndarray", "numpy dtype"),
    *(f"numpy.{part}.multiarray {made}" for part, made in itertools.product(
        ("core", "_core"), ("scalar", "_reconstruct")
    )),
    *("pathlib PosixPath", "pathlib WindowsPath", "pathlib PurePosixPath", "datetime datetime"),
    *(f"{module} {kind}" for module, kind in itertools.product(
        ("builtins", "__builtin__"), ("set", "dict", "list", "int", "float", "str")
    )),
}  # fmt: skip
_KNOWN = _IGNORED | _MADE | _STORAGES.keys() | {f"torch {name}" for name in _DTYPES}

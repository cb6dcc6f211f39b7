"""Files of PyTorch put together by hand, also such as PyTorch never writes."""

import io
import struct
import zipfile

MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def integer(value: int) -> bytes:
    """What pushes a number."""
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def text(value: str) -> bytes:
    """What pushes a text."""
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def named(name: str) -> bytes:
    """What looks a name up, were it unpickled."""
    module, _, name = name.partition(" ")
    return f"c{module}\n{name}\n".encode()


def tupled(*items: bytes) -> bytes:
    """What pushes a tuple."""
    return b"(" + b"".join(items) + b"t"


def storage(count: int, key: str = "0", kind: str = "torch FloatStorage", *more: bytes) -> bytes:
    """What asks for a storage."""
    parts = text("storage"), named(kind), text(key), text("cpu"), integer(count), *more
    return tupled(*parts) + b"Q"


def tensor(on: bytes, shape: tuple, strides: tuple, offset: int = 0) -> bytes:
    """What makes a tensor."""
    lengths = (tupled(*map(integer, sizes)) for sizes in (shape, strides))
    rebuild = named("torch._utils _rebuild_tensor_v2")
    return rebuild + tupled(on, integer(offset), *lengths, b"\x89", b"}") + b"R"


def dictionary(**entries: bytes) -> bytes:
    """What pushes a dict."""
    return b"}(" + b"".join(text(key) + value for key, value in entries.items()) + b"u"


def zipped(value: bytes, method: int = zipfile.ZIP_STORED, **members: bytes) -> bytes:
    """A file of today around what pushes its value; storages are called ``data_0`` and so on."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + value + b".")
        for name, data in members.items():
            archive.writestr("archive/" + name.replace("_", "/"), data)
    return file.getvalue()


def legacy(value: bytes, **storages: tuple[int, bytes]) -> bytes:
    """A file of before 1.6; each storage has its count and its bytes."""
    keys = b"](" + b"".join(text(key.removeprefix("k")) for key in storages) + b"e"
    heads = [b"M\xe9\x03", b"}", value, keys]
    row = b"".join(struct.pack("<q", count) + data for count, data in storages.values())
    return MAGIC + b"".join(b"\x80\x02" + head + b"." for head in heads) + row

"""Members of a zip that lies in memory; their sizes and checksums are checked, and none is
written anywhere.
"""

import io
import struct
import zipfile
import zlib

MOST_MEMBERS = 50_000
_DIRECTORY_ENTRY = b"PK\1\2"


def is_zip(data: bytes) -> bool:
    """Whether a zip begins here."""
    return data[:4] in (b"PK\3\4", b"PK\5\6")


def members(data: bytes) -> dict[str, zipfile.ZipInfo]:
    """What a zip says of its members, by their names.

    Raises:
        ValueError: it is damaged, too many are in it, two have one name, or they overlap.
    """
    if (count := data.count(_DIRECTORY_ENTRY)) > MOST_MEMBERS:
        raise ValueError(f"its zip has {count:,} members; {MOST_MEMBERS:,} are allowed")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = archive.infolist()
    except (zipfile.BadZipFile, struct.error, NotImplementedError, UnicodeError) as error:
        raise ValueError(f"its zip is damaged: {error}") from error
    named = {member.filename: member for member in found}
    if len(named) < len(found):
        raise ValueError("two members of its zip have one name")
    if sum(member.compress_size for member in found) > len(data):
        raise ValueError("members of its zip overlap, or end after it")
    return named


def content(data: bytes, member: zipfile.ZipInfo, *, packed: bool = False) -> memoryview:
    """The bytes of a member, once their checksum is right; where it is stored, without a copy.

    Args:
        data: The zip.
        member: What ``members`` says of it.
        packed: It may be compressed; its size has been found to be small enough.

    Raises:
        ValueError: it is compressed though it may not, encrypted, or damaged.
    """
    name, start = f"{member.filename!r:.80}", member.header_offset
    header = data[start : start + 30] if start >= 0 else b""
    if len(header) < 30 or header[:4] != b"PK\3\4" or member.flag_bits & 1:
        raise ValueError(f"the member {name} is encrypted, or not where its zip says")
    start += 30 + sum(struct.unpack_from("<HH", header, 26))
    raw = memoryview(data)[start : start + member.compress_size]
    if packed and member.compress_type == zipfile.ZIP_DEFLATED:
        try:
            raw = memoryview(zlib.decompressobj(-15).decompress(raw, member.file_size + 1))
        except zlib.error as error:
            raise ValueError(f"the member {name} is damaged: {error}") from error
    elif member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"the member {name} is compressed; only stored ones are read")
    if len(raw) != member.file_size:
        raise ValueError(f"the member {name} has {len(raw):,} bytes, not {member.file_size:,}")
    if zlib.crc32(raw) != member.CRC:
        raise ValueError(f"the member {name} is damaged: its checksum (CRC-32) is wrong")
    return raw

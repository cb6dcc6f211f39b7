"""Files of PyTorch, against what they hold, and against PyTorch where it is installed."""

import hashlib
import struct

import numpy as np
import pytest

from fcnn.weights import WeightsError, read_pytorch

from . import made
from .known import FILES, SHARED, assert_equal, tensors

FOUR = struct.pack("<4f", 1, 2, 3, 4)
ON_FOUR = made.storage(4)


def opened(path, data, **options):
    path.write_bytes(data)
    return read_pytorch(path, **options)


@pytest.mark.parametrize(
    "name", ["today.pt", "protocol4.pt", "legacy.pth", "checkpoint.pt", "legacy.tar"]
)
def test_files_of_every_form_give_their_tensors(name):
    assert_equal(read_pytorch(FILES / name), tensors())


def test_a_resnet_of_the_old_form_is_read_without_the_prefixes_of_data_parallel():
    path = SHARED / "resnet20-12fca82f.th"
    if not path.exists():
        pytest.skip("needs the shared weights")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest.startswith("12fca82f")
    found = read_pytorch(path, sha256=digest)
    assert sum(array.size for name, array in found.items() if "running" not in name) == 269_722
    assert list(found)[:2] == ["conv1.weight", "bn1.weight"]
    torch = pytest.importorskip("torch")
    theirs = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    named = {name.removeprefix("module."): tensor.numpy() for name, tensor in theirs.items()}
    assert_equal(found, named)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", [2, 4])
def test_what_pytorch_writes_now_is_read(zipped, protocol, tmp_path):
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    tied = {
        **model.state_dict(),
        "tied": model[0].weight.permute(3, 1, 0, 2),
        "bf": torch.ones(3).bfloat16(),
    }
    path = tmp_path / "model.pt"
    options = {"_use_new_zipfile_serialization": zipped, "pickle_protocol": protocol}
    torch.save({"state_dict": tied, "model_size": 3}, path, **options)
    found = read_pytorch(path)
    assert list(found) == list(tied)
    for name, tensor in tied.items():
        assert found[name].shape == tuple(tensor.shape)
        np.testing.assert_array_equal(found[name].astype("f8"), tensor.detach().double().numpy())


def test_a_big_endian_file_has_the_same_numbers(tmp_path):
    value = made.dictionary(
        a=made.tensor(ON_FOUR, (2, 2), (1, 2)),
        b=made.tensor(made.storage(2, "1", "torch BFloat16Storage"), (2,), (1,)),
        c=made.tensor(made.storage(1, "2", "torch ComplexFloatStorage"), (), ()),
    )
    forms = {"little": "<", "big": ">"}
    found = [
        opened(
            tmp_path / order,
            made.zipped(
                value,
                byteorder=order.encode(),
                data_0=struct.pack(f"{form}4f", 1, 2, 3, 4),
                data_1=struct.pack(f"{form}2H", 0x3F80, 0xC000),
                data_2=struct.pack(f"{form}2f", 5, 6),
            ),
        )
        for order, form in forms.items()
    ]
    np.testing.assert_array_equal(found[1]["a"], [[1, 3], [2, 4]])
    np.testing.assert_array_equal(found[1]["b"].astype("f4"), [1, -2])
    assert found[1]["c"] == 5 + 6j
    assert_equal(found[1], found[0])


def test_a_storage_of_the_old_form_may_be_part_of_another(tmp_path):
    view = made.tupled(made.text("7"), made.integer(1), made.integer(3))
    on = made.storage(4, "0", "torch FloatStorage", view)
    value = made.dictionary(a=made.tensor(on, (2,), (2,)))
    np.testing.assert_array_equal(
        opened(tmp_path / "x", made.legacy(value, k0=(4, FOUR)))["a"], [2, 4]
    )
    value = made.dictionary(a=made.tensor(on, (2,), (3,)))
    with pytest.raises(WeightsError, match="reaches beyond its storage"):
        opened(tmp_path / "x", made.legacy(value, k0=(4, FOUR)))


def test_names_of_python_2_are_texts(tmp_path):
    value = b"}U\x01a" + made.tensor(ON_FOUR, (4,), (1,)) + b"s"
    assert list(opened(tmp_path / "x", made.legacy(value, k0=(4, FOUR)))) == ["a"]


def states(**entries):
    """A file with a dict of these entries; each True is a state dict, each False a number."""
    one = made.dictionary(weight=made.tensor(ON_FOUR, (4,), (1,)))
    value = {name: one if there else b"K\3" for name, there in entries.items()}
    return made.zipped(made.dictionary(**value), data_0=FOUR)


def test_the_one_state_dict_of_a_checkpoint_is_found_whatever_it_is_called(tmp_path):
    for name in ("state_dict", "model", "model_state_dict", "ema_state_dict", "xyz"):
        assert list(opened(tmp_path / "x", states(epoch=False, **{name: True}))) == ["weight"]
    nested = made.dictionary(outer=made.dictionary(w=made.tensor(ON_FOUR, (4,), (1,))))
    assert list(opened(tmp_path / "x", made.zipped(nested, data_0=FOUR))) == ["w"]


def test_of_several_state_dicts_one_has_to_be_chosen(tmp_path):
    data = states(model=True, ema=True, epoch=False)
    with pytest.raises(WeightsError, match=r"2 state dicts; .*'model' of 1 .*'ema' of 1 .*key="):
        opened(tmp_path / "x", data)
    assert list(opened(tmp_path / "x", data, key="ema")) == ["weight"]
    with pytest.raises(WeightsError, match="no state dict 'epoch'"):
        opened(tmp_path / "x", data, key="epoch")
    alone = made.tensor(ON_FOUR, (4,), (1,))
    inside = made.dictionary(w=alone, sub=made.dictionary(v=alone))
    with pytest.raises(WeightsError, match="'' of 1 tensors, 'sub' of 1"):
        opened(tmp_path / "x", made.zipped(inside, data_0=FOUR))
    assert list(opened(tmp_path / "x", made.zipped(inside, data_0=FOUR), key="")) == ["w"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("module.a", "module.b"), ["a", "b"]),
        (("_orig_mod.module.a",), ["a"]),
        (("module._orig_mod.a.b",), ["a.b"]),
        (("module.a", "b"), ["module.a", "b"]),
        (("a.module.b",), ["a.module.b"]),
    ],
)
def test_prefixes_are_taken_off_where_every_name_has_them(names, expected, tmp_path):
    value = made.dictionary(**dict.fromkeys(names, made.tensor(ON_FOUR, (4,), (1,))))
    assert list(opened(tmp_path / "x", made.zipped(value, data_0=FOUR))) == expected


def test_another_sha256_is_refused_with_the_one_found(tmp_path):
    data = (FILES / "legacy.pth").read_bytes()
    with pytest.raises(WeightsError, match=hashlib.sha256(data).hexdigest()):
        opened(tmp_path / "x.pth", data, sha256="0" * 64)
    assert opened(tmp_path / "x.pth", data, sha256=hashlib.sha256(data).hexdigest().upper())


def refused():
    """(message, file) of what is no file of weights."""
    tensor = made.tensor
    for shape, strides, offset in [
        ((5,), (1,), 0),
        ((4,), (1,), 1),
        ((2, 2), (3, 1), 0),
        ((2,), (4,), 0),
        ((10**12,), (1,), 0),
    ]:
        value = made.dictionary(a=tensor(ON_FOUR, shape, strides, offset))
        yield "reaches beyond its storage", made.zipped(value, data_0=FOUR)
    for shape, strides, offset in [((4,), (-1,), 3), ((-1,), (1,), 0), ((2,) * 33, (0,) * 33, 0)]:
        value = made.dictionary(a=tensor(ON_FOUR, shape, strides, offset))
        yield "a shape", made.zipped(value, data_0=FOUR)
    value = made.dictionary(a=tensor(ON_FOUR, (1,), (1,), -1))
    yield "negative offset", made.zipped(value, data_0=FOUR)
    value = made.dictionary(a=tensor(ON_FOUR, (2,), (1, 1)))
    yield "without all of its strides", made.zipped(value, data_0=FOUR)
    value = made.dictionary(a=tensor(ON_FOUR, (10**9,), (0,)))
    yield "would have 4,000,000,000 bytes", made.zipped(value, data_0=FOUR)
    value = made.dictionary(a=tensor(made.storage(10**12), (1,), (1,)))
    yield "of 4,000,000,000,000 bytes has 16 bytes", made.zipped(value, data_0=FOUR)
    yield "is not there", made.zipped(value)
    yield "ends within the storage", made.legacy(value, k0=(10**12, FOUR))
    value = made.dictionary(a=tensor(ON_FOUR, (4,), (1,)))
    yield "has 12 bytes", made.legacy(value, k0=(3, FOUR[:12]))
    yield "goes on for 4 bytes", made.legacy(value, k0=(3, FOUR))
    yield "that no tensor tells of", made.legacy(value, k0=(4, FOUR), k1=(4, FOUR))
    yield "only stored ones", made.zipped(value, 8, data_0=FOUR)
    value = made.dictionary(a=tensor(made.storage(4, "0", "torch BoolStorage"), (4,), (1,)))
    yield "true and false", made.zipped(value, data_0=b"\0\1\2\1")
    value = made.named("torchvision.models.resnet ResNet") + b")\x81}b"
    yield "names 'torchvision.models.resnet ResNet'.*state_dict", made.zipped(value)
    yield "whole model", made.legacy(made.tupled(made.text("module"), b"N", b"N", b"N") + b"Q")
    yield "names 'posix system'", made.zipped(made.named("posix system") + b"X\4\0\0\0true\x85R")
    yield "names 'builtins eval'", made.legacy(made.named("builtins eval") + b"X\1\0\0\x001\x85R")
    yield (
        "names 'torch._utils _rebuild_sparse_tensor'",
        made.zipped(made.named("torch._utils _rebuild_sparse_tensor")),
    )
    yield "calls 'torch FloatStorage'", made.zipped(made.named("torch FloatStorage") + b")R")
    yield "holds 0 state dicts; no dict", made.zipped(b"]r\x00\x00\x00\x10")  # the memo bomb
    yield "two entries called 'a'", made.zipped(b"}X\1\0\0\0aNsX\1\0\0\0aNs")
    yield "is a pickle, but not one", b"\x80\x04]r\x00\x00\x00\x10."
    yield "no file of torch.save", b"\x89PNG"
    yield "its zip is damaged", b"PK\3\4"
    yield "without a data.pkl", made.zipped(b"N").replace(b"data.pkl", b"data.pk_")
    conjugated = made.tensor(ON_FOUR, (4,), (1,))[:-2] + b"}X\4\0\0\0conj\x88stR"
    yield "yet to be conjugated", made.zipped(made.dictionary(a=conjugated), data_0=FOUR)


@pytest.mark.parametrize(
    ("message", "data"), list(refused()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_is_no_weights_is_refused_in_words(message, data, tmp_path):
    with pytest.raises(WeightsError, match=rf"(?s)x\.pt: .*{message}"):
        opened(tmp_path / "x.pt", data)


def test_a_flipped_bit_of_a_storage_in_a_zip_is_noticed(tmp_path):
    data = made.zipped(made.dictionary(a=made.tensor(ON_FOUR, (4,), (1,))), data_0=FOUR)
    with pytest.raises(WeightsError, match="checksum"):
        opened(tmp_path / "x", data.replace(FOUR, FOUR[:3] + b"\x3e" + FOUR[4:]))


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.pt"):
        read_pytorch(tmp_path / "none.pt")

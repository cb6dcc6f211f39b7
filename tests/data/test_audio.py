"""Sound: samples as they were written, rates as scipy changes them, and damaged files by name."""

import os
import struct
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fcnn.data import audio
from fcnn.data.audio import recordings, resample, wav

SHARED = Path(os.environ.get("FCNN_DATA", Path(__file__).parents[3] / "shared" / "data"))
FSDD = SHARED / "fsdd" / "recordings.zip"
RNG = np.random.Generator(np.random.Philox(0))
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
TAIL = bytes.fromhex("000000001000800000aa00389b71")


def chunk(name, data):
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def layout(kind, bits, channels=1, rate=8000, block=None, more=b""):
    block = channels * bits // 8 if block is None else block
    fields = (kind, channels, rate, rate * block & 0xFFFFFFFF, block, bits)
    return chunk(b"fmt ", struct.pack("<HHIIHH", *fields) + more)


def riff(*chunks):
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def sound(samples, kind=PCM, bits=16, **options):
    return riff(layout(kind, bits, **options), chunk(b"data", samples))


@pytest.fixture
def written(tmp_path):
    def write(data, name="a.wav"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    return write


INTEGERS = [
    (8, bytes([0, 128, 255, 64]), [-1, 0, 127 / 128, -0.5]),
    (16, struct.pack("<4h", -32768, 0, 32767, 1), [-1, 0, 32767 / 32768, 2**-15]),
    (24, b"\0\0\x80" + b"\0\0\0" + b"\xff\xff\x7f" + b"\1\0\0", [-1, 0, 1 - 2**-23, 2**-23]),
    (32, struct.pack("<4i", -(2**31), 0, 2**30, 2**7), [-1, 0, 0.5, 2**-24]),
]


@pytest.mark.parametrize(("bits", "raw", "expected"), INTEGERS)
def test_integers_are_scaled_by_their_bits(written, bits, raw, expected):
    samples, rate = wav(written(sound(raw, bits=bits, rate=11025)))
    assert (samples.dtype, rate) == (np.float32, 11025)
    np.testing.assert_array_equal(samples, np.float32(expected))


@pytest.mark.parametrize("bits", [32, 64])
def test_floats_are_as_they_were_stored(written, bits):
    stored = np.array([-1.5, 0, 1e-5, 0.25], f"<f{bits // 8}")
    samples, _ = wav(written(sound(stored.tobytes(), FLOAT, bits)))
    np.testing.assert_array_equal(samples, stored.astype(np.float32))


@pytest.mark.parametrize(("kind", "bits"), [(PCM, 16), (PCM, 24), (FLOAT, 32)])
def test_an_extensible_format_says_its_kind_at_the_end(written, kind, bits):
    raw = RNG.bytes(6 * bits // 8) if kind == PCM else np.arange(6, dtype="<f4").tobytes()
    more = struct.pack("<HHIH", 22, bits, 3, kind) + TAIL
    plain, _ = wav(written(sound(raw, kind, bits, channels=2)))
    samples, _ = wav(written(sound(raw, EXTENSIBLE, bits, channels=2, more=more)))
    assert samples.shape == (3, 2)
    np.testing.assert_array_equal(samples, plain)


@pytest.mark.parametrize(("width", "channels"), [(1, 1), (2, 2), (3, 1), (4, 3)])
def test_what_the_standard_library_writes_is_read(tmp_path, width, channels):
    raw = RNG.bytes(width * channels * 7)
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(22050)
        file.writeframes(raw)
    samples, rate = wav(str(tmp_path / "a.wav"))
    signed = width > 1
    numbers = [
        int.from_bytes(raw[i : i + width], "little", signed=signed) - (0 if signed else 128)
        for i in range(0, len(raw), width)
    ]
    expected = np.array(numbers) / 2 ** (8 * width - 1)
    assert (rate, samples.shape) == (22050, (7,) if channels == 1 else (7, channels))
    np.testing.assert_array_equal(samples.ravel(), expected.astype(np.float32))


@pytest.mark.parametrize("dtype", ["u1", "<i2", "<i4", "<f4", "<f8"])
def test_what_scipy_writes_is_read_as_scipy_reads_it(tmp_path, dtype):
    wavfile = pytest.importorskip("scipy.io.wavfile")
    kind = np.dtype(dtype).kind
    numbers = RNG.random((9, 2)) if kind == "f" else RNG.integers(0, 128, (9, 2))
    wavfile.write(tmp_path / "a.wav", 44100, numbers.astype(dtype))
    rate, stored = wavfile.read(tmp_path / "a.wav")
    scale, zero = (1, 0) if kind == "f" else (2 ** (8 * stored.itemsize - 1), 128 * (kind == "u"))
    samples, own_rate = wav(tmp_path / "a.wav")
    assert own_rate == rate
    np.testing.assert_allclose(samples, (stored.astype(np.float64) - zero) / scale, rtol=1e-6)


def test_other_chunks_are_passed_over_also_those_of_odd_length(written):
    raw = bytes([0, 128, 255])
    data = riff(
        chunk(b"LIST", b"INFOodd"),
        layout(PCM, 8),
        chunk(b"fact", b"\3\0\0\0"),
        chunk(b"bext", b"x" * 5),
        chunk(b"data", raw),
        chunk(b"LIST", b"later"),
    )
    samples, _ = wav(written(data + b"bytes after the end"))
    np.testing.assert_array_equal(samples, np.float32([-1, 0, 127 / 128]))


def test_the_last_chunk_need_not_be_filled_up(written):
    data = sound(bytes([0, 128, 255]), bits=8)[:-1]
    data = data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    assert len(wav(written(data))[0]) == 3


WHOLE = sound(RNG.bytes(64))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is no WAV file"),
        (b"RIFX" + WHOLE[4:], "is no WAV file: it begins with b'RIFX"),
        (WHOLE[:-1], "ends after 107 of the 108 bytes that its header claims"),
        (WHOLE[:4] + b"\xff" * 4 + WHOLE[8:], "of the 4,294,967,303 bytes"),
        (WHOLE[:40] + b"\xff" * 4 + WHOLE[44:], "ends after 64 of the 4,294,967,295 bytes"),
        (WHOLE[:16] + b"\xff" * 4 + WHOLE[20:], r"of its b'fmt '"),
        (riff(layout(PCM, 16)), "without a data chunk"),
        (riff(), "without a data chunk"),
        (riff(chunk(b"data", b"1234"), layout(PCM, 16)), "samples before their format"),
        (riff(chunk(b"fmt ", b"\1\0\1\0"), chunk(b"data", b"")), "has a format of 4 bytes"),
        (sound(b"12345", bits=16), "ends within a sample: 5 bytes of 2"),
        (sound(b"1234", bits=12, block=2), "format 0x0001 with 12 bits"),
        (sound(b"1234", kind=7, bits=8), "format 0x0007 with 8 bits"),
        (sound(b"1234", kind=EXTENSIBLE, bits=16), "format 0xfffe"),
        (sound(b"1234", channels=0), "contradicts itself: 0 channels"),
        (sound(b"1234", rate=0), "contradicts itself: .* 0 Hz"),
        (sound(b"1234", block=4), "16 bits in 4 bytes"),
        (sound(np.array([np.nan], "<f4").tobytes(), FLOAT, 32), "not finite"),
        (sound(np.array([1e300], "<f8").tobytes(), FLOAT, 64), "not finite"),
    ],
)
def test_a_damaged_file_is_named_with_its_reason(written, data, words):
    path = written(data, "broken.wav")
    with pytest.raises(ValueError, match=words) as caught:
        wav(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_every_damaged_byte_of_a_header_is_an_error_or_harmless(written):
    named = 0
    for at in range(44):
        path = written(WHOLE[:at] + bytes([WHOLE[at] ^ 0x55]) + WHOLE[at + 1 :])
        try:
            assert wav(path)[0].size <= 64
        except ValueError as error:
            named += str(path) in str(error)
    assert named > 22


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        wav(tmp_path / "none.wav")


RATES = [(44100, 8000), (8000, 16000), (16000, 8000), (11025, 8000), (8000, 44100), (3, 2)]


@pytest.mark.parametrize(("rate", "new_rate"), RATES)
def test_resampling_equals_scipy(rate, new_rate):
    signal = pytest.importorskip("scipy.signal")
    for n in (1, 7, 1001):
        x = RNG.normal(size=(n, 2))
        common = np.gcd(rate, new_rate)
        expected = signal.resample_poly(x, new_rate // common, rate // common)
        y = resample(x, rate, new_rate)
        assert (y.shape, y.dtype) == (expected.shape, np.float32)
        np.testing.assert_allclose(y, expected, atol=5e-6)


def test_a_tone_keeps_its_pitch_and_one_too_high_is_gone():
    time = np.arange(44100) / 44100
    kept, lost = (resample(np.sin(2 * np.pi * f * time), 44100, 8000) for f in (1000, 5000))
    expected = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000)
    np.testing.assert_allclose(kept[200:-200], expected[200:-200], atol=2e-3)
    assert np.abs(lost[200:-200]).max() < 2e-3


def test_one_rate_is_no_change_and_nothing_stays_nothing():
    x = RNG.normal(size=9).astype(np.float32)
    np.testing.assert_array_equal(resample(x, 8000, 8000), x)
    assert resample(np.zeros((0, 2)), 8000, 16000).shape == (0, 2)


@pytest.mark.parametrize("rate", [0, -1, 8000.0, True, "8000"])
def test_rates_are_positive_integers(rate):
    with pytest.raises(ValueError, match="new_rate must be a positive integer, in Hz"):
        resample(np.zeros(3), 8000, rate)


def test_a_rate_that_only_a_header_can_have_is_refused_before_a_filter_is_made(written, tmp_path):
    with pytest.raises(ValueError, match="ratio is too fine"):
        resample(np.zeros(3), 4294967291, 8000)
    written(sound(b"1234", rate=4294967291), "a/strange.wav")
    with pytest.raises(ValueError, match=r"strange\.wav: 4294967291 Hz cannot be brought"):
        recordings(tmp_path)


def pcm(values, **options):
    return sound(np.asarray(values, "<i2").tobytes(), **options)


def test_folders_are_classes_and_short_recordings_end_in_silence(written, tmp_path):
    written(pcm([1, 2, 3]), "dog/b.wav")
    written(pcm([4]), "dog/deep/A.WAV")
    written(pcm([5, 6]), "cat/a.wav")
    written(b"no sound", "cat/._a.wav")
    written(b"no sound", "cat/readme.txt")
    data = recordings(tmp_path)
    np.testing.assert_array_equal(data.x * 32768, [[5, 6, 0], [1, 2, 3], [4, 0, 0]])
    assert (data.x.dtype, data.y.tolist(), data.classes) == (np.float32, [0, 1, 1], ("cat", "dog"))
    assert data.name == tmp_path.name


def test_recordings_are_cut_resampled_and_mixed(written, tmp_path):
    stereo = RNG.integers(-9999, 9999, (1000, 2))
    written(pcm(stereo.ravel(), channels=2, rate=16000), "a/stereo.wav")
    written(pcm(stereo[:300, 0], rate=8000), "b/mono.wav")
    data = recordings(tmp_path, seconds=0.05)
    mixed = resample(stereo.mean(1) / 32768, 16000, 8000)
    np.testing.assert_allclose(data.x[0], mixed[:400], atol=1e-6)
    np.testing.assert_allclose(data.x[1, :300], stereo[:300, 0] / 32768, atol=1e-6)
    assert data.x.shape == (2, 400)
    assert not data.x[1, 300:].any()
    with pytest.raises(ValueError, match="have 1, 2 channels; mono=True joins them"):
        recordings(tmp_path, mono=False)
    (tmp_path / "b/mono.wav").unlink()
    assert recordings(tmp_path, mono=False).x.shape == (1, 500, 2)


def test_what_is_cut_is_the_same_as_of_the_whole(written, tmp_path):
    written(pcm(RNG.integers(-9999, 9999, 40000), rate=11025), "a/long.wav")
    cut, whole = recordings(tmp_path, seconds=0.5), recordings(tmp_path)
    np.testing.assert_array_equal(cut.x, whole.x[:, :4000])


def test_labels_and_the_test_part_may_follow_from_the_path(written, tmp_path):
    for digit, speaker, number in [(3, "jo", 0), (3, "al", 1), (7, "jo", 1), (7, "al", 0)]:
        written(pcm([digit, number]), f"{digit}_{speaker}_{number}.wav")
    train, test = recordings(
        tmp_path,
        label=lambda path: path.name[0],
        test=lambda path: path.stem.endswith("_0"),
    )
    np.testing.assert_array_equal(train.x * 32768, [[3, 1], [7, 1]])
    assert (train.y.tolist(), test.y.tolist(), test.classes) == ([0, 1], [0, 1], ("3", "7"))
    assert (train.name, test.name) == (f"{tmp_path.name} train", f"{tmp_path.name} test")
    assert recordings(tmp_path, label=lambda path: int(path.name[0])).y.tolist() == [3, 3, 7, 7]
    with pytest.raises(ValueError, match="test holds out 4 of 4 recordings"):
        recordings(tmp_path, label=lambda path: path.name[0], test=lambda path: True)


def test_folders_train_and_test_are_the_two_parts(written, tmp_path):
    for at, part in enumerate(("train/no", "train/yes", "test/yes")):
        written(pcm([at]), f"{part}/a.wav")
    train, test = recordings(tmp_path)
    assert (train.y.tolist(), test.y.tolist(), train.classes) == ([0, 1], [1], ("no", "yes"))


def test_all_that_is_wrong_is_in_one_message(written, tmp_path):
    written(pcm([1]), "a/good.wav")
    written(pcm([1]), "lost.wav")
    written(b"", "a/void.wav")
    written(pcm([]), "a/silent.wav")
    for i in range(25):
        written(WHOLE[:60], f"a/half{i:02}.wav")
    with pytest.raises(ValueError, match=r": 28 of 29 recordings cannot be used:\n") as caught:
        recordings(tmp_path)
    text = str(caught.value)
    assert "half00.wav: ends after 60 of the 108 bytes" in text
    assert text.endswith("and 8 more")
    with pytest.raises(ValueError, match="recordings cannot be used") as caught:
        recordings(tmp_path / "a")
    assert "in no folder of a class; label= can name the class" in str(caught.value)


def test_more_than_memory_should_hold_is_refused(written, tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "LARGEST", 100)
    written(pcm(range(20)), "a/a.wav")
    written(pcm(range(20)), "a/b.wav")
    with pytest.raises(ValueError, match=r"2 recordings of 20 samples take .* cut them by seconds"):
        recordings(tmp_path)
    assert recordings(tmp_path, seconds=0.001).x.shape == (2, 8)


def test_options_are_looked_at_first(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no \.wav files"):
        recordings(tmp_path)
    with pytest.raises(ValueError, match="seconds must be positive, got 0"):
        recordings(tmp_path, seconds=0)
    with pytest.raises(ValueError, match="rate must be a positive integer"):
        recordings(tmp_path, rate=8e3)


@pytest.mark.skipif(not FSDD.is_file(), reason=f"no {FSDD}; FCNN_DATA names another folder")
def test_the_real_spoken_digits_are_read(tmp_path):
    with zipfile.ZipFile(FSDD) as archive:
        names = [name for name in archive.namelist() if name.endswith("_lucas_3.wav")]
        archive.extractall(tmp_path, [*names, *(n.replace("_3.", "_9.") for n in names)])
    train, test = recordings(
        tmp_path,
        label=lambda path: path.name[0],
        test=lambda path: int(path.stem.split("_")[2]) < 5,
    )
    assert train.classes == tuple("0123456789")
    assert train.y.tolist() == test.y.tolist() == list(range(10))
    with wave.open(str(next(tmp_path.rglob("7_lucas_9.wav")))) as file:
        raw = file.readframes(file.getnframes())
    expected = np.frombuffer(raw, "<i2") / 32768
    np.testing.assert_array_equal(train.x[7, : len(expected)], expected.astype(np.float32))
    assert not train.x[7, len(expected) :].any()

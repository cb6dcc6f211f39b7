"""Spectrograms: a loop over frames in numpy, torch's, and the published formulas of the mel."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn.core import build, out_spec
from fcnn.layers.spectrograms import log_mel, mel_weights, spectrogram

SOUND = np.random.default_rng(0).normal(size=(2, 100)).astype(np.float32)


def run(layer, x):
    params, state = layer.init(jax.random.key(0), x)
    assert params == state == {}
    return jax.jit(layer.apply)(params, state, x)[0]


def powers(x, window, hop):
    """|sum_t hann[t] x[t] exp(-2 pi i k t / window)|^2 of every frame, by the definition."""
    t = np.arange(window)
    waves = np.exp(-2j * np.pi * np.outer(t, np.arange(window // 2 + 1)) / window)
    hann = np.sin(np.pi * t / window) ** 2
    return np.array(
        [
            [np.abs((hann * one[at : at + window]) @ waves) ** 2]
            for one in x.astype(np.float64)
            for at in range(0, len(one) - window + 1, hop)
        ]
    ).reshape(len(x), -1, window // 2 + 1)


@pytest.mark.parametrize(
    ("window", "hop"), [(16, 8), (16, 16), (16, 5), (15, 4), (12, 30), (100, 1), (20, None)]
)
def test_the_power_is_that_of_the_definition(window, hop):
    y = run(spectrogram(window, hop, floor=None), SOUND)
    expected = powers(SOUND, window, hop or window // 2)
    assert y.shape == (*expected.shape, 1)
    np.testing.assert_allclose(y[..., 0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("padding", ["same", 8, ((3, 6),)])
def test_padding_is_silence_as_in_a_convolution(padding):
    before, after = {"same": (4, 4), 8: (8, 8), ((3, 6),): (3, 6)}[padding]
    padded = np.pad(SOUND, ((0, 0), (before, after)))
    y = run(spectrogram(12, 4, floor=None, padding=padding), SOUND)
    np.testing.assert_allclose(y[..., 0], powers(padded, 12, 4), rtol=1e-4, atol=1e-4)
    assert padding != "same" or y.shape[1] == 25


def test_the_power_equals_torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    theirs = torch.stft(
        torch.tensor(SOUND),
        16,
        6,
        window=torch.hann_window(16),
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    y = run(spectrogram(16, 6, floor=None, padding=8), SOUND)
    np.testing.assert_allclose(y[..., 0], theirs.abs().numpy().mT ** 2, rtol=1e-4, atol=1e-4)


def test_a_tone_is_bright_at_its_frequency_alone():
    tone = np.sin(2 * np.pi * 1000 * np.arange(800) / 8000)[None].astype(np.float32)
    y = np.asarray(run(spectrogram(80, 40), tone))[0, ..., 0]  # 100 Hz from one to the next
    assert set(y.argmax(1)) == {10}
    assert y[:, 13:].max() < -9
    bands = run(log_mel(8000, bands=10), tone)[0, ..., 0]
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 4000 / 700), 12) / 2595) - 1)
    assert set(np.asarray(bands).argmax(1)) == {np.abs(edges[1:-1] - 1000).argmin()}


def triangles(edges, frequencies):
    """A triangle by its three corners, drawn by interpolation."""
    corners = zip(edges[:-2], edges[1:-1], edges[2:], strict=True)
    return np.array([np.interp(frequencies, corner, [0, 1, 0]) for corner in corners]).T


def slaney(mel):
    """Slaney's mel in Hz: 200/3 Hz each up to 1 kHz, then 27 steps for a factor of 6.4."""
    return [m * 200 / 3 if m < 15 else 1000 * np.exp((m - 15) * np.log(6.4) / 27) for m in mel]


def test_the_bands_follow_the_published_formulas():
    frequencies = np.arange(129) * 8000 / 256
    htk = 700 * (10 ** (np.linspace(150.489, 2146.065, 22) / 2595) - 1)  # of 100 and 4,000 Hz
    options = {"low": 100.0, "high": 4000.0, "equal_area": False}
    w = mel_weights(8000, 256, 20, scale="htk", **options)
    np.testing.assert_allclose(w, triangles(htk, frequencies), atol=1e-4)
    top = 15 + 27 * np.log(4) / np.log(6.4)
    edges = np.array(slaney(np.linspace(1.5, top, 22)))
    w = mel_weights(8000, 256, 20, scale="slaney", **options)
    np.testing.assert_allclose(w, triangles(edges, frequencies), atol=1e-9)
    even = mel_weights(8000, 256, 20, scale="slaney", **options | {"equal_area": True})
    np.testing.assert_allclose(even, w * 2 / (edges[2:] - edges[:-2]), rtol=1e-9)


def test_bands_of_equal_area_have_an_area_of_one():
    options = {"low": 0.0, "high": 4000.0, "scale": "slaney", "equal_area": True}
    w = mel_weights(8000, 4096, 20, **options)
    np.testing.assert_allclose(w.sum(0) * 8000 / 4096, 1, rtol=1e-3)


def test_log_mel_is_the_logarithm_of_the_bands_of_the_power():
    y = run(log_mel(400, bands=4, window=32, hop=10, floor=1e-3), SOUND)
    w = mel_weights(400, 32, 4, low=0, high=200, scale="htk", equal_area=False)
    expected = np.log(np.maximum(powers(SOUND, 32, 10) @ w, 1e-3))
    assert y.shape == (*expected.shape, 1)
    np.testing.assert_allclose(y[..., 0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("rate", "window"), [(8000, 256), (16000, 512), (44100, 2048), (48000, 2048)]
)
def test_a_window_lasts_25_ms_or_just_longer(rate, window):
    second = jax.ShapeDtypeStruct((1, rate), "float32")
    frames = 1 + (rate - window) // (window // 2)
    assert out_spec(log_mel(rate), second).shape == (1, frames, 64, 1)


@pytest.mark.parametrize("layer", [spectrogram(16), log_mel(400, bands=3)])
def test_silence_is_the_floor_and_has_no_gradient(layer):
    silence = jnp.zeros((1, 40))
    np.testing.assert_allclose(run(layer, silence), np.log(1e-6), rtol=1e-6)
    gradient = jax.grad(lambda x: run(layer, x).sum())(silence)
    np.testing.assert_array_equal(gradient, 0)


def test_the_gradient_is_the_slope():
    x, step = SOUND[:1, :24], 1e-2
    direction = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)

    def loss(x):
        return run(log_mel(400, bands=3), x).mean()

    slope = (loss(x + step * direction) - loss(x - step * direction)) / (2 * step)
    np.testing.assert_allclose((jax.grad(loss)(x) * direction).sum(), slope, rtol=2e-3)


@pytest.mark.parametrize("layer", [spectrogram(16), log_mel(400, bands=3)])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_floats_keep_their_dtype_and_are_computed_in_float32(layer, dtype):
    x = jnp.asarray(SOUND, dtype)
    with jax.numpy_dtype_promotion("strict"):
        y = run(layer, x)
    assert y.dtype == dtype
    exact = np.asarray(run(layer, np.asarray(x, np.float32)))
    np.testing.assert_array_equal(y, exact.astype(dtype))


def test_integers_become_float32():
    samples = (SOUND * 1000).astype(np.int16)
    y = run(spectrogram(16), samples)
    assert y.dtype == jnp.float32
    np.testing.assert_array_equal(y, run(spectrogram(16), samples.astype(np.float32)))


def test_the_options_travel_in_the_recipe():
    for layer in (spectrogram(16, 4, padding=3), log_mel(400, bands=3, scale="slaney", high=150)):
        again = build(json.loads(json.dumps(layer.recipe.to_json())))
        np.testing.assert_array_equal(run(again, SOUND), run(layer, SOUND))


def test_frames_are_cut_without_a_gather():
    text = str(jax.make_jaxpr(lambda x: run(spectrogram(16, 5), x))(SOUND))
    assert "gather" not in text


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: spectrogram(0), "window must be a positive integer, got 0"),
        (lambda: spectrogram(8, 0), "hop must be a positive integer"),
        (lambda: spectrogram(8, floor=0.0), "floor must be positive, got 0.0"),
        (lambda: spectrogram(8, padding="none"), "padding must be"),
        (lambda: log_mel(8000.0), "rate must be a positive integer"),
        (lambda: log_mel(8000, bands=0), "bands must be a positive integer"),
        (lambda: log_mel(8000, floor=float("nan")), "floor must be positive, got nan"),
        (lambda: log_mel(8000, high=4001), "0 <= low < high <= 4000 Hz, got 0.0 and 4001"),
        (lambda: log_mel(8000, low=300, high=300), "got 300 and 300"),
        (lambda: log_mel(8000, scale="bark"), "scale must be 'htk' or 'slaney', got 'bark'"),
        (lambda: log_mel(8000, bands=128), r"\d+ of 128 bands lie between two frequencies"),
        (
            lambda: run(spectrogram(101), SOUND),
            "spectrogram: window 101 does not fit its input 100 with padding 'valid'",
        ),
        (
            lambda: run(log_mel(400, bands=3), SOUND[..., None]),
            r"log_mel needs .*float32\[2,100,1\]",
        ),
    ],
)
def test_what_cannot_work_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_complex_numbers_are_refused():
    with pytest.raises(TypeError, match="spectrogram takes integers or floats, got complex64"):
        run(spectrogram(16), SOUND.astype(np.complex64))

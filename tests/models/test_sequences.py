"""Networks of sentences and of sounds."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fcnn
from fcnn import models, trees

WORDS = np.random.default_rng(0).integers(0, 50, (3, 9)).astype(np.int32)


def test_a_sentence_cnn_computes_what_pytorchs_does():
    torch = pytest.importorskip("torch")
    nn = torch.nn
    torch.manual_seed(0)
    words, head = nn.Embedding(50, 8), nn.Linear(12, 3)
    convs = [nn.Conv2d(1, 4, (size, 8)) for size in (2, 3, 5)]
    with torch.inference_mode():
        x = words(torch.tensor(WORDS))[:, None]
        expected = head(torch.cat([torch.relu(conv(x)).amax((2, 3)) for conv in convs], 1)).numpy()
        params = {
            "words": {"kernel": jnp.asarray(words.weight.numpy())},
            "looks": {
                f"window{size}": {
                    "conv": {
                        "kernel": jnp.asarray(conv.weight.numpy()[:, 0].transpose(1, 2, 0)),
                        "bias": jnp.asarray(conv.bias.numpy()),
                    }
                }
                for size, conv in zip((2, 3, 5), convs, strict=True)
            },
            "head": {
                "kernel": jnp.asarray(head.weight.numpy().T),
                "bias": jnp.asarray(head.bias.numpy()),
            },
        }
    options = {"vocabulary": 50, "features": 8, "windows": (2, 3, 5), "filters": 4}
    model = models.sentence_cnn(classes=3, **options)
    y, _ = model.apply(params, {}, WORDS)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def test_a_sentence_cnn_is_as_large_as_in_the_paper():
    model = models.sentence_cnn(vocabulary=18_765)  # of the film reviews
    x = jax.ShapeDtypeStruct((1, 56), jnp.int32)
    params, _ = jax.eval_shape(model.init, jax.random.key(0), x)
    shapes = {path: leaf.shape for path, leaf in trees.flat(params).items()}
    assert shapes["words/kernel"] == (18_765, 300)
    assert shapes["looks/window4/conv/kernel"] == (4, 300, 100)
    assert shapes["head/kernel"] == (300, 2)


def test_a_sentence_cnn_finds_words_anywhere():
    model = models.sentence_cnn(vocabulary=50, features=8, windows=(2,), filters=4)
    params, state = model.init(jax.random.key(0), WORDS)
    again = np.concatenate([WORDS, WORDS], axis=1)  # each pair of words twice, and one more
    features = models.sentence_cnn(classes=0, vocabulary=50, features=8, windows=(2,), filters=4)
    once, _ = features.apply(params, state, WORDS)
    twice, _ = features.apply(params, state, again)
    assert (np.asarray(twice) >= np.asarray(once)).all()
    assert features.init(jax.random.key(0), WORDS)[0].keys() == {"words", "looks"}


def test_what_is_no_sentence_is_refused():
    model = models.sentence_cnn(vocabulary=50, features=8)
    with pytest.raises(TypeError, match="takes integers, got float32"):
        model.init(jax.random.key(0), np.zeros((2, 9), np.float32))
    with pytest.raises(ValueError, match="kernel"):
        model.init(jax.random.key(0), np.zeros((2, 9, 9), np.int32))
    with pytest.raises(ValueError, match="window5/conv"):
        model.init(jax.random.key(0), WORDS[:, :4])


def test_an_audio_cnn_learns_to_tell_low_from_high_tones():
    rng = np.random.default_rng(0)
    high = rng.integers(0, 2, 64)
    hertz = np.where(high, rng.uniform(1500, 3000, 64), rng.uniform(200, 700, 64))
    time = np.arange(1536) / 8000
    waves = np.sin(2 * np.pi * (hertz[:, None] * time + rng.uniform(size=(64, 1))))
    waves = (waves + 0.1 * rng.normal(size=waves.shape)).astype(np.float32)
    model = models.audio_cnn(classes=2, sample_rate=8000, bands=16, width=4, rate=0.1)
    options = {"optimizer": optax.adam(0.01), "epochs": 12, "batch_size": 16}
    network, _ = fcnn.fit(model, (waves, high), **options, progress=False)
    assert fcnn.evaluate(network, (waves, high)).accuracy == 1


def test_an_audio_cnn_takes_waveforms_only():
    model = models.audio_cnn(width=4)
    with pytest.raises(ValueError, match=r"samples of one channel, \[n, samples\]"):
        model.init(jax.random.key(0), np.zeros((2, 16_000, 1), np.float32))
    assert fcnn.out_spec(
        models.audio_cnn(classes=0), jax.ShapeDtypeStruct((2, 16_000), jnp.float32)
    ).shape == (2, 128)

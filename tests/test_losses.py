"""Losses against float64 formulas in numpy, and against torch."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from fcnn import losses

RNG = np.random.default_rng(0)
CLASSES = [losses.cross_entropy, losses.focal, losses.kl_divergence, losses.hinge]
BINARY = [
    losses.binary_cross_entropy,
    losses.binary_focal,
    losses.binary_hinge,
    losses.squared_hinge,
]
NUMBERS = [
    losses.named(name) for name in losses.names() if losses.named(name) not in CLASSES + BINARY
]
ALL = CLASSES + BINARY + NUMBERS


def example_of(loss, shape=(6, 5)):
    outputs = RNG.normal(size=shape).astype(np.float32)
    if loss in CLASSES:
        return outputs, RNG.integers(0, shape[-1], shape[:-1])
    return outputs, RNG.integers(0, 2, shape).astype(np.float32)


def of_one(loss):
    """The loss of a single example, a number."""
    return lambda outputs, targets: loss(outputs[None], targets[None])[0]


def log_softmax64(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def softplus64(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def extreme_logits(n, k):
    """Rows at the edges: large, all equal, one -inf, ordinary."""
    logits = RNG.normal(size=(n, k)) * RNG.choice([1, 10, 1e4], (n, 1))
    logits[: n // 5] = np.clip(logits[: n // 5] * 1e6, -1e4, 1e4)
    logits[n // 5 : 2 * n // 5] = RNG.choice([-1e4, 0, 1e4], (n // 5, 1))
    labels = RNG.integers(0, k, n)
    rows = np.arange(2 * n // 5, 3 * n // 5)
    logits[rows, (labels[rows] + 1) % k] = -np.inf
    return logits.astype(jnp.bfloat16), labels  # exact in every dtype


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("k", [2, 7, 1000])
def test_cross_entropy_is_exact_and_finite_at_extreme_logits(k, dtype):
    logits, labels = extreme_logits(250, k)
    z = logits.astype(np.float64)
    expected = -log_softmax64(z)[np.arange(250), labels]
    gradient = np.exp(log_softmax64(z)) - np.eye(k)[labels]

    run = jax.jit(jax.vmap(jax.value_and_grad(of_one(losses.cross_entropy))))
    value, found = run(jnp.asarray(logits, dtype), labels)

    assert value.dtype == jnp.float32
    assert found.dtype == dtype
    np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-6)
    tolerance = 1e-6 if dtype == "float32" else 1e-2
    np.testing.assert_allclose(found.astype(np.float32), gradient, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_binary_cross_entropy_is_exact_and_finite_at_extreme_logits(dtype):
    logits, _ = extreme_logits(250, 4)
    z = logits.astype(np.float64)
    t = np.where(np.isinf(z), 0.0, RNG.integers(0, 2, z.shape))
    t[:50] = np.where(np.isinf(z[:50]), 0.0, RNG.random((50, 4)))
    with np.errstate(invalid="ignore"):
        negative = np.where(t == 1, 0, (1 - t) * softplus64(z))
        expected = (np.where(t == 0, 0, t * softplus64(-z)) + negative).mean(-1)
    gradient = (1 / (1 + np.exp(-np.clip(z, -500, 500))) - t) / 4

    run = jax.jit(jax.vmap(jax.value_and_grad(of_one(losses.binary_cross_entropy))))
    value, found = run(jnp.asarray(logits, dtype), t)

    np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-6)
    tolerance = 1e-6 if dtype == "float32" else 1e-2
    np.testing.assert_allclose(found.astype(np.float32), gradient, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "loss",
    [
        losses.hinge,
        losses.binary_hinge,
        losses.squared_hinge,
        losses.kl_divergence,
        *(partial(losses.focal, gamma=gamma) for gamma in (0.0, 0.5, 2.0)),
        *(partial(losses.binary_focal, gamma=gamma) for gamma in (0.0, 0.5, 2.0)),
    ],
    ids=lambda loss: getattr(loss, "__name__", None),
)
def test_values_and_gradients_are_finite_at_extreme_logits(loss):
    logits, labels = extreme_logits(100, 3)
    targets = labels
    if losses.output_of(loss) == "sigmoid":
        targets = np.where(np.isinf(logits.astype(np.float32)), 0, RNG.integers(0, 2, logits.shape))
    run = jax.jit(jax.value_and_grad(lambda z: loss(z, targets).sum()))
    value, gradient = run(jnp.asarray(logits))
    assert np.isfinite(value)
    assert np.isfinite(gradient.astype(np.float32)).all()


@pytest.mark.parametrize("loss", ALL, ids=lambda loss: loss.__name__)
def test_every_loss_gives_one_float32_per_example_under_strict_promotion(loss):
    outputs, targets = example_of(loss, (3, 4, 5))
    with jax.numpy_dtype_promotion("strict"):
        run = jax.jit(loss)
        value = run(jnp.asarray(outputs, jnp.bfloat16), targets)
        assert (value.shape, value.dtype) == ((3,), jnp.float32)
        mapped = jax.jit(jax.vmap(of_one(loss)))(outputs, targets)
    np.testing.assert_allclose(mapped, run(outputs, targets), rtol=1e-5)


@pytest.mark.parametrize("loss", ALL, ids=lambda loss: loss.__name__)
def test_float64_stays_float64_and_gradients_match_finite_differences(loss):
    with jax.enable_x64(True):
        outputs, targets = example_of(loss)
        outputs = jnp.asarray(outputs, jnp.float64)
        assert jax.eval_shape(loss, outputs, targets).dtype == jnp.float64
        check_grads(jax.jit(lambda y: loss(y, targets)), (outputs,), order=1, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("loss", CLASSES, ids=lambda loss: loss.__name__)
def test_integers_and_one_hot_rows_are_the_same_targets(loss):
    outputs, labels = example_of(loss)
    for rows in (np.eye(5)[labels], np.eye(5, dtype=int)[labels]):
        np.testing.assert_array_equal(loss(outputs, labels), loss(outputs, rows))


@pytest.mark.parametrize("loss", CLASSES, ids=lambda loss: loss.__name__)
@pytest.mark.parametrize("label", [-1, 5])
def test_a_label_out_of_range_gives_nan_and_harms_no_other_example(loss, label):
    value = loss(RNG.normal(size=(3, 5)), np.array([0, label, 4]))
    assert np.isnan(value).tolist() == [False, True, False]


@pytest.mark.parametrize("loss", BINARY + NUMBERS, ids=lambda loss: loss.__name__)
def test_a_last_axis_of_one_may_be_left_out(loss):
    outputs, targets = example_of(loss, (4, 6))
    value = loss(outputs[..., None], targets[..., None])
    if loss is not losses.cosine:
        np.testing.assert_array_equal(loss(outputs, targets), value)
    np.testing.assert_array_equal(loss(outputs[..., None], targets), value)


@pytest.mark.parametrize(
    ("loss", "outputs", "targets", "words"),
    [
        (losses.squared_error, (4, 3), (4,), r"\(4, 3\).*\(4,\).*never broadcast"),
        (losses.squared_error, (4,), (5,), r"\(4,\).*\(5,\)"),
        (losses.squared_error, (), (), "axis of examples"),
        (losses.binary_cross_entropy, (4, 2), (4, 1), r"\(4, 2\).*\(4, 1\)"),
        (losses.cross_entropy, (4, 3), (5,), r"\(4, 3\).*\(5,\).*integers \(4,\) or rows \(4, 3\)"),
        (losses.cross_entropy, (4, 3), (4, 1), r"targets\[\.\.\., 0\]"),
        (losses.cross_entropy, (4, 1), (4,), "binary_cross_entropy"),
        (losses.cross_entropy, (4,), (4,), "binary_cross_entropy"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_with_a_fix(loss, outputs, targets, words):
    with pytest.raises(ValueError, match=words):
        loss(jnp.zeros(outputs), jnp.zeros(targets, int))


def test_labels_that_are_floats_are_refused():
    with pytest.raises(ValueError, match=r"astype\(int\)"):
        losses.cross_entropy(jnp.zeros((4, 3)), jnp.zeros(4))


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_smoothing_is_a_part_of_one(smoothing):
    with pytest.raises(ValueError, match="smoothing"):
        losses.cross_entropy(jnp.zeros((4, 3)), jnp.zeros(4, int), smoothing=smoothing)


def test_focal_and_kl_have_cross_entropy_as_their_limit():
    outputs, labels = example_of(losses.cross_entropy)
    expected = losses.cross_entropy(outputs, labels)
    np.testing.assert_allclose(losses.focal(outputs, labels, gamma=0.0), expected, rtol=1e-6)
    np.testing.assert_allclose(losses.kl_divergence(outputs, labels), expected, rtol=1e-6)
    z, t = example_of(losses.binary_focal)
    expected = losses.binary_cross_entropy(z, t)
    np.testing.assert_allclose(losses.binary_focal(z, t, gamma=0.0), expected, rtol=1e-6)
    halved = losses.binary_focal(z, t, gamma=0.0, alpha=0.5)
    np.testing.assert_allclose(2 * halved, expected, rtol=1e-6)


def test_focal_equals_its_formula():
    outputs, labels = example_of(losses.focal)
    p = np.exp(log_softmax64(outputs.astype(np.float64)))[np.arange(6), labels]
    np.testing.assert_allclose(
        losses.focal(outputs, labels, gamma=1.5), -((1 - p) ** 1.5) * np.log(p), rtol=1e-5
    )
    z, t = example_of(losses.binary_focal, (9,))
    p = np.where(t == 1, 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(z)))
    a = np.where(t == 1, 0.25, 0.75)
    found = losses.binary_focal(z, t, alpha=0.25)
    np.testing.assert_allclose(found, -a * (1 - p) ** 2 * np.log(p), rtol=1e-5)


def test_hinge_equals_its_loop():
    scores, labels = example_of(losses.hinge)
    expected = [
        max(0, 1 + max(np.delete(row, label)) - row[label])
        for row, label in zip(scores, labels, strict=True)
    ]
    np.testing.assert_allclose(losses.hinge(scores, labels), expected, rtol=1e-6)
    z, t = example_of(losses.binary_hinge, (9,))
    expected = np.maximum(0, 1 - np.where(t == 1, z, -z))
    np.testing.assert_allclose(losses.binary_hinge(z, t), expected, rtol=1e-6)
    np.testing.assert_allclose(losses.squared_hinge(z, t), expected**2, rtol=1e-6)


def test_errors_of_numbers_equal_their_formulas():
    y, t = RNG.gamma(1.0, size=(2, 7, 3))
    for loss, formula in [
        (losses.squared_error, (y - t) ** 2),
        (losses.absolute_error, abs(y - t)),
        (losses.percentage_error, abs(y - t) / t),
        (losses.squared_log_error, np.log((1 + y) / (1 + t)) ** 2),
        (losses.poisson, np.exp(y) - t * y),
    ]:
        np.testing.assert_allclose(loss(y, t), formula.mean(-1), rtol=1e-4)


def test_log_cosh_is_exact_for_small_and_for_large_errors():
    error = np.array([0, 1e-4, 1e-2, 0.5, 0.999, 1, 1.001, 5, 1e4])
    small = np.log1p(2 * np.sinh(np.minimum(error, 10) / 2) ** 2)
    expected = np.where(error < 10, small, error - np.log(2))
    found, slope = jax.vmap(
        jax.value_and_grad(lambda e: losses.log_cosh(e[None], jnp.zeros(1))[0])
    )(jnp.asarray(error, jnp.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(slope, np.tanh(error), rtol=1e-6)


def test_cosine_is_the_same_at_every_scale_and_one_at_zero():
    y, t = RNG.normal(size=(2, 4, 3)).astype(np.float32)
    expected = 1 - (y * t).sum(-1) / np.linalg.norm(y, axis=-1) / np.linalg.norm(t, axis=-1)
    cosine = jax.jit(losses.cosine)
    for scale in (1e-30, 1, 1e30):
        np.testing.assert_allclose(cosine(y * np.float32(scale), t), expected, rtol=1e-5, atol=1e-6)
    value, gradient = jax.value_and_grad(lambda y: cosine(y, t).sum())(jnp.zeros((4, 3)))
    assert value == 4
    assert np.isfinite(gradient).all()


def test_smoothing_weights_and_soft_targets_equal_torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    functional = torch.nn.functional

    def same(found, expected):
        np.testing.assert_allclose(found, expected.numpy(), rtol=2e-6, atol=2e-6)

    z = RNG.normal(size=(6, 5)).astype(np.float32)
    labels, soft = RNG.integers(0, 5, 6), RNG.dirichlet(np.ones(5), 6).astype(np.float32)
    y, yes = torch.tensor(z), torch.tensor(z[::-1] > 0).float()
    for smoothing in (0.0, 0.1):
        for targets in (labels, soft):
            expected = functional.cross_entropy(
                y, torch.tensor(targets), reduction="none", label_smoothing=smoothing
            )
            same(losses.cross_entropy(z, targets, smoothing=smoothing), expected)
    kl = functional.kl_div(y.log_softmax(-1), torch.tensor(soft), reduction="none").sum(-1)
    same(losses.kl_divergence(z, soft), kl)
    weight = RNG.random(5).astype(np.float32)
    for positive in (3.0, weight):
        expected = functional.binary_cross_entropy_with_logits(
            y, yes, pos_weight=torch.tensor(positive), reduction="none"
        )
        found = losses.binary_cross_entropy(z, yes.numpy(), positive_weight=positive)
        same(found, expected.mean(-1))
    same(
        losses.huber(z, yes.numpy(), delta=0.5),
        functional.huber_loss(y, yes, reduction="none", delta=0.5).mean(-1),
    )
    same(
        losses.poisson(z, yes.numpy()),
        functional.poisson_nll_loss(y, yes, reduction="none").mean(-1),
    )


def test_segmentation_averages_over_the_picture():
    z, labels = RNG.normal(size=(2, 3, 4, 5)), RNG.integers(0, 5, (2, 3, 4))
    cross_entropy = jax.jit(losses.cross_entropy)
    flat = cross_entropy(z.reshape(24, 5), labels.reshape(24))
    np.testing.assert_allclose(cross_entropy(z, labels), flat.reshape(2, 12).mean(1), rtol=1e-5)


def test_losses_are_found_by_name():
    for name in losses.names():
        assert losses.named(name).__name__ == name
    with pytest.raises(ValueError, match="cross_entropy, focal"):
        losses.named("crossentropy")


def test_what_makes_predictions_of_outputs_is_seen_through_partial():
    assert losses.output_of(partial(partial(losses.focal, gamma=1.0))) == "softmax"
    assert losses.output_of(losses.binary_focal) == "sigmoid"
    assert losses.output_of(losses.huber) == "identity"
    assert losses.output_of(losses.poisson) == "exp"
    assert losses.output_of(lambda outputs, targets: outputs) is None


@pytest.mark.parametrize(("temperature", "alpha"), [(4.0, 0.9), (1.0, 0.5), (20.0, 1.0)])
@pytest.mark.parametrize("shape", [(6, 5), (2, 3, 4)])
def test_distillation_is_its_formula_in_float64(temperature, alpha, shape):
    outputs, logits = RNG.normal(size=(2, *shape)) * 5
    labels = RNG.integers(0, shape[-1], shape[:-1])
    log_p, log_q = log_softmax64(logits / temperature), log_softmax64(outputs / temperature)
    soft = (np.exp(log_p) * (log_p - log_q)).sum(-1)
    hard = -np.take_along_axis(log_softmax64(outputs), labels[..., None], -1)[..., 0]
    expected = (alpha * temperature**2 * soft + (1 - alpha) * hard).reshape(len(hard), -1).mean(1)
    with jax.enable_x64(True):
        loss = losses.distillation(lambda x: jnp.asarray(x), temperature=temperature, alpha=alpha)
        found = losses.given(loss, logits)(jnp.asarray(outputs), labels)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        by_targets = hard.reshape(len(hard), -1).mean(1)
        np.testing.assert_allclose(loss(jnp.asarray(outputs), labels), by_targets, rtol=1e-12)
        one = jnp.asarray(outputs)
        check_grads(lambda z: losses.given(loss, logits)(z, labels), (one,), 1, modes=["rev"])


def test_a_distillation_is_a_loss_over_what_its_targets_are():
    assert losses.output_of(losses.distillation(jnp.sin)) == "softmax"
    assert losses.distillation(jnp.sin, loss="huber").loss is losses.huber
    assert losses.given(losses.focal, None) is losses.focal
    for options, error in (({"temperature": 0}, ValueError), ({"alpha": 1.1}, ValueError)):
        with pytest.raises(error, match=next(iter(options))):
            losses.distillation(jnp.sin, **options)
    with pytest.raises(TypeError, match="teacher must be a network or a function"):
        losses.distillation("large")

"""Optimizers against torch and optax, schedules at their corners, penalties by their gradient."""

import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fcnn
from fcnn import batch_norm, conv, dense, flatten, models, optimizers, relu, serial
from fcnn.train.state import only

RNG = np.random.default_rng(0)
PARAMS = {
    "conv": {"kernel": RNG.normal(size=(3, 2)), "bias": RNG.normal(size=2)},
    "bn": {"scale": RNG.normal(size=2), "bias": RNG.normal(size=2)},
}
PARAMS = jax.tree.map(lambda leaf: leaf.astype(np.float32), PARAMS)
GRADS = [
    jax.tree.map(lambda leaf: RNG.normal(size=leaf.shape).astype(np.float32), PARAMS)
    for _ in range(5)
]


def trained(optimizer, params=PARAMS, grads=GRADS):
    state = optimizer.init(params)
    for g in grads:
        updates, state = optimizer.update(g, state, params)
        params = optax.apply_updates(params, updates)
    return params


def assert_same(found, expected, tolerance=1e-6):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=tolerance), found, expected
    )


@pytest.mark.parametrize("name", optimizers.names())
def test_every_optimizer_moves_every_weight_and_keeps_its_tree(name):
    found = trained(optimizers.named(name, 0.01))
    assert jax.tree.structure(found) == jax.tree.structure(PARAMS)
    moved = jax.tree.map(lambda a, b: bool((a != b).all() & jnp.isfinite(a).all()), found, PARAMS)
    assert all(jax.tree.leaves(moved))


@pytest.mark.parametrize(
    ("name", "theirs", "options"),
    [
        ("sgd", lambda torch, w: torch.optim.SGD(w, 0.1), {}),
        ("momentum", lambda torch, w: torch.optim.SGD(w, 0.1, momentum=0.9), {}),
        (
            "momentum",
            lambda torch, w: torch.optim.SGD(w, 0.1, momentum=0.8, nesterov=True),
            {"beta": 0.8, "nesterov": True},
        ),
        ("adam", lambda torch, w: torch.optim.Adam(w, 0.1), {}),
        ("adamw", lambda torch, w: torch.optim.AdamW(w, 0.1, weight_decay=0.01), {"decayed": ".*"}),
        ("adamax", lambda torch, w: torch.optim.Adamax(w, 0.1), {}),
        ("radam", lambda torch, w: torch.optim.RAdam(w, 0.1), {}),
        ("rmsprop", lambda torch, w: torch.optim.RMSprop(w, 0.1, alpha=0.9), {}),
        ("adagrad", lambda torch, w: torch.optim.Adagrad(w, 0.1), {"initial": 0.0, "eps": 1e-20}),
        ("adadelta", lambda torch, w: torch.optim.Adadelta(w, 0.1), {}),
    ],
)
def test_steps_equal_those_of_torch(name, theirs, options):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    weights = [torch.nn.Parameter(torch.tensor(leaf)) for leaf in jax.tree.leaves(PARAMS)]
    optimizer = theirs(torch, weights)
    for grads in GRADS:
        for weight, gradient in zip(weights, jax.tree.leaves(grads), strict=True):
            weight.grad = torch.tensor(gradient)
        optimizer.step()
    expected = [weight.detach().numpy() for weight in weights]
    assert_same(
        jax.tree.leaves(trained(optimizers.named(name, 0.1, **options))), expected, tolerance=1e-5
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nadam", optax.nadam(0.1)),
        ("adagrad", optax.adagrad(0.1)),
        ("lion", optax.lion(0.1, weight_decay=0.0)),
        ("lamb", optax.lamb(0.1)),
    ],
)
def test_steps_equal_those_of_optax(name, expected):
    assert_same(trained(optimizers.named(name, 0.1)), trained(expected))


@pytest.mark.parametrize("name", sorted(set(optimizers.names()) - {"lamb"}))
def test_weight_decay_takes_a_part_of_the_kernels_and_nothing_else(name):
    plain = trained(optimizers.named(name, 0.1, weight_decay=0.0), grads=GRADS[:1])
    decayed = trained(optimizers.named(name, 0.1, weight_decay=0.5), grads=GRADS[:1])
    plain["conv"]["kernel"] -= 0.1 * 0.5 * PARAMS["conv"]["kernel"]
    assert_same(decayed, plain)


def test_decay_of_lamb_is_part_of_what_is_scaled():
    mask = {"conv": {"kernel": True, "bias": False}, "bn": {"scale": False, "bias": False}}
    expected = trained(optax.lamb(0.1, weight_decay=0.5, mask=mask))
    assert_same(trained(optimizers.lamb(0.1, weight_decay=0.5)), expected)


def test_the_pattern_chooses_what_decays():
    found = trained(optimizers.sgd(0.1, weight_decay=0.5, decayed="bn/.*"), grads=GRADS[:1])
    plain = trained(optimizers.sgd(0.1), grads=GRADS[:1])
    changed = jax.tree.map(lambda a, b: bool((a != b).all()), found, plain)
    assert changed == {
        "conv": {"kernel": False, "bias": False},
        "bn": {"scale": True, "bias": True},
    }


def test_a_kernel_at_the_root_decays_too():
    params = {"kernel": jnp.ones(2), "bias": jnp.ones(2)}
    found = trained(
        optimizers.sgd(0.1, weight_decay=1.0), params, [jax.tree.map(jnp.zeros_like, params)]
    )
    assert_same(found, {"kernel": 0.9 * np.ones(2), "bias": np.ones(2)})


def test_clip_scales_a_long_gradient_down_to_the_norm_and_leaves_a_short_one():
    norm = math.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(GRADS[0])))
    for clip in (norm / 3, norm * 3):
        found = trained(optimizers.sgd(1.0, clip=clip), grads=GRADS[:1])
        factor = min(1, clip / norm)
        assert_same(found, jax.tree.map(lambda w, g, f=factor: w - f * g, PARAMS, GRADS[0]))


def test_a_schedule_stands_for_the_learning_rate():
    found = trained(optimizers.sgd(optimizers.step_decay(1.0, 1, factor=0.5)), grads=GRADS[:3])
    terms = jax.tree.map(lambda a, b, c: a + 0.5 * b + 0.25 * c, *GRADS[:3])
    assert_same(found, jax.tree.map(np.subtract, PARAMS, terms))


def test_learning_rate_and_decay_may_be_traced_so_that_many_are_tried_at_once():
    rates, decays = jnp.array([0.1, 0.2]), jnp.array([0.0, 0.5])

    def run(rate, decay):
        return trained(optimizers.momentum(rate, weight_decay=decay), grads=GRADS[:2])

    both = jax.jit(jax.vmap(run))(rates, decays)
    second = trained(optimizers.momentum(0.2, weight_decay=0.5), grads=GRADS[:2])
    assert_same(jax.tree.map(lambda leaf: leaf[1], both), second)


def test_an_optimizer_says_what_it_takes():
    assert list(inspect.signature(optimizers.momentum).parameters) == [
        "learning_rate", "weight_decay", "decayed", "clip", "beta", "nesterov"
    ]  # fmt: skip
    assert inspect.signature(optimizers.adamw).parameters["weight_decay"].default == 0.01


def test_options_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="learning_rate must be at least 0, got -1"):
        optimizers.adam(-1)
    with pytest.raises(ValueError, match="learning_rate"):
        optimizers.adam(math.nan)
    with pytest.raises(ValueError, match="weight_decay"):
        optimizers.adam(weight_decay=-1)
    with pytest.raises(ValueError, match="clip must be above 0"):
        optimizers.adam(clip=0)
    with pytest.raises(TypeError, match=r"adam\(\).*beta"):
        optimizers.adam(beta=1)
    with pytest.raises(ValueError, match="sgd, momentum, adam"):
        optimizers.named("adams")


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (optimizers.constant(0.3), {0: 0.3, 1000: 0.3}),
        (optimizers.linear(1.0, 10, end=0.5), {0: 1.0, 5: 0.75, 10: 0.5, 99: 0.5}),
        (optimizers.cosine(2.0, 10, end=1.0), {0: 2.0, 5: 1.5, 10: 1.0, 99: 1.0}),
        (optimizers.warmup_cosine(2.0, 14, warmup=4), {0: 0, 1: 0.5, 4: 2.0, 9: 1.0, 14: 0, 99: 0}),
        (optimizers.warmup_cosine(2.0, 10, warmup=0), {0: 2.0, 5: 1.0, 10: 0}),
        (optimizers.one_cycle(1.0, 100), {0: 0.04, 30: 1.0, 100: 4e-6}),
        (optimizers.step_decay(1.0, 3), {0: 1.0, 2: 1.0, 3: 0.1, 6: 0.01}),
        (optimizers.exponential(1.0, 2, factor=0.25), {0: 1.0, 1: 0.5, 2: 0.25}),
        (optimizers.inverse_time(1.0, 10, rate=2.0), {0: 1.0, 5: 0.5, 10: 1 / 3}),
    ],
)
def test_schedules_pass_through_their_corners(schedule, values):
    rates = jax.jit(jax.vmap(schedule))(jnp.array(list(values)))
    np.testing.assert_allclose(rates, list(values.values()), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "make",
    [
        lambda: optimizers.cosine(1.0, 0),
        lambda: optimizers.linear(1.0, 0),
        lambda: optimizers.one_cycle(1.0, 0),
        lambda: optimizers.warmup_cosine(1.0, 10, warmup=10),
        lambda: optimizers.step_decay(1.0, 0),
        lambda: optimizers.inverse_time(1.0, 0),
    ],
)
def test_schedules_without_steps_are_refused(make):
    with pytest.raises(ValueError, match="must be"):
        make()


def test_gradients_of_penalties_equal_their_formulas():
    kernel = PARAMS["conv"]["kernel"]
    for penalty, size, slope in [
        (optimizers.l1(0.3), abs(kernel), np.sign(kernel)),
        (optimizers.l2(0.3), kernel**2, 2 * kernel),
    ]:
        value, gradient = jax.jit(jax.value_and_grad(penalty))(PARAMS)
        np.testing.assert_allclose(value, 0.3 * size.sum(), rtol=1e-6)
        np.testing.assert_allclose(gradient["conv"]["kernel"], 0.3 * slope, rtol=1e-6)
        assert not any(leaf.any() for leaf in (gradient["conv"]["bias"], *gradient["bn"].values()))


def test_penalties_are_float32_under_strict_promotion():
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), PARAMS)
    with jax.numpy_dtype_promotion("strict"):
        assert optimizers.l2(0.1, ".*")(params).dtype == jnp.float32


def test_a_penalty_on_nothing_is_refused():
    with pytest.raises(ValueError, match=r"no path matches 'head/\.\*'; there are bn/bias"):
        optimizers.l1(0.1, "head/.*")(PARAMS)
    with pytest.raises(ValueError, match="strength"):
        optimizers.l1(-0.1)


def alone(optimizer, name):
    """What an optimizer makes of one part of the parameters, which has no others beside it."""
    return trained(optimizer, {name: PARAMS[name]}, [{name: grads[name]} for grads in GRADS])


def test_by_path_each_part_learns_as_if_it_were_alone():
    rules = {
        "bn/.*": optimizers.momentum(0.5),
        "conv/kernel": 0.1,
        ".*": optax.linear_schedule(0.3, 0, 9),
    }
    found = trained(optimizers.by_path(rules, "adamw", weight_decay=0.2, clip=0.7))
    assert_same(found["bn"], alone(optimizers.momentum(0.5), "bn")["bn"])
    for name, rate in (("kernel", 0.1), ("bias", rules[".*"])):
        part = {"conv": {name: PARAMS["conv"][name]}}
        grads = [{"conv": {name: each["conv"][name]}} for each in GRADS]
        expected = trained(optimizers.adamw(rate, weight_decay=0.2, clip=0.7), part, grads)
        assert_same(found["conv"][name], expected["conv"][name])


def test_by_path_the_first_rule_that_matches_counts():
    found = trained(optimizers.by_path({"conv/.*": 0.0, ".*kernel": 9.0, ".*": 0.1}, "sgd"))
    assert_same(found["conv"], PARAMS["conv"], tolerance=0)
    assert (found["bn"]["scale"] != PARAMS["bn"]["scale"]).all()


def test_by_path_refuses_what_no_rule_matches():
    with pytest.raises(ValueError, match=r"no rule matches 'bn/bias'; rules: conv/\.\*"):
        optimizers.by_path({"conv/.*": 0.1}).init(PARAMS)
    with pytest.raises(ValueError, match="at least one rule"):
        optimizers.by_path({})
    with pytest.raises(ValueError, match="no optimizer is called 'adem'"):
        optimizers.by_path({".*": 0.1}, "adem")


def test_by_path_works_where_some_parts_are_frozen():
    optimizer = only(
        optimizers.by_path({"conv/.*": 0.1, "bn/scale": 0.2, ".*": 0.3}, "sgd"), "bn/.*"
    )
    found = trained(optimizer)
    total = jax.tree.map(lambda *grads: sum(grads), *GRADS)
    assert_same(found["conv"], PARAMS["conv"], tolerance=0)
    assert_same(found["bn"]["scale"], PARAMS["bn"]["scale"] - 0.2 * total["bn"]["scale"])
    assert_same(found["bn"]["bias"], PARAMS["bn"]["bias"] - 0.3 * total["bn"]["bias"])


def shapes_of(layer, size=16):
    x = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    params, state = jax.eval_shape(layer.init, jax.random.key(0), x)
    return fcnn.Network(layer, params, state, input=jax.ShapeDtypeStruct(x.shape[1:], x.dtype))


RESNET = {
    "head": 1.0,
    "stage3": 0.5,
    "stage2": 0.25,
    "stage1": 0.125,
    "conv1": 0.0625,
    "bn1": 0.0625,
}


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (models.resnet20(), RESNET),
        (
            serial(fcnn.rescale(0.5), net=models.resnet20()),
            {f"net/{name}": rate for name, rate in RESNET.items()},
        ),
        (
            serial(batch_norm(), conv(4), batch_norm(), relu, flatten, dense(3)),
            {"dense1": 1.0, "conv1": 0.5, "batch_norm2": 0.5, "batch_norm1": 0.25},
        ),
        (serial(flatten, dense(3)), {"dense1": 1.0}),
        (dense(3), {"kernel": 1.0, "bias": 1.0}),
    ],
    ids=["resnet", "nested", "norms", "one layer", "a layer alone"],
)
def test_layerwise_rates_fall_from_the_head_to_the_input(layer, expected):
    assert optimizers.layerwise_rates(1.0, shapes_of(layer), decay=0.5) == expected


def test_layerwise_rates_follow_the_order_of_execution():
    """Sorted by name, as a dict of parameters is, block 10 would come before block 2."""
    rates = optimizers.layerwise_rates(1.0, shapes_of(models.vit_tiny(patch=4)), decay=0.9)
    parts = ["patches", *(f"block{i}" for i in range(1, 13)), "head"]
    for number, part in enumerate(reversed(parts)):
        assert rates[part] == pytest.approx(0.9**number)
    assert rates["token"] == rates["positions"] == rates["patches"]
    assert rates["norm"] == rates["block12"]


def test_layerwise_takes_steps_at_these_rates():
    model = serial(conv(2), relu, conv(2), relu, flatten, dense(3))
    x = jnp.ones((1, 4, 4, 3))
    params, state = model.init(jax.random.key(0), x)
    network = fcnn.Network(model, params, state, input=fcnn.spec(x[0]))
    grads = [jax.tree.map(jnp.ones_like, params)] * 2
    for rate, total in ((0.4, 0.8), (optax.linear_schedule(0.4, 0.0, 2), 0.6)):
        found = trained(optimizers.layerwise("sgd", rate, network, decay=0.5), params, grads)
        moved = jax.tree.map(lambda a, b: float((a - b).mean()), params, found)
        for part, factor in {"dense1": 1, "conv2": 0.5, "conv1": 0.25}.items():
            assert moved[part]["kernel"] == pytest.approx(total * factor, rel=1e-4)
            assert moved[part]["bias"] == pytest.approx(total * factor, rel=1e-4)


def test_layerwise_refuses_what_it_cannot_do():
    network = shapes_of(serial(flatten, dense(3)))
    for decay in (0, 1.5, -1):
        with pytest.raises(ValueError, match="decay must be above 0 and at most 1"):
            optimizers.layerwise("adam", 1e-3, network, decay=decay)
    with pytest.raises(ValueError, match="does not know its inputs"):
        optimizers.layerwise("adam", 1e-3, network.replace(input=None))

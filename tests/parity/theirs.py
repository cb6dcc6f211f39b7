"""torch's side of the table: the same computation, on the same values.

Each function makes a ``run(torch, values, x) -> y``. ``values`` are torch tensors by path, as they
stand in our parameters and state, and ``x`` and ``y`` have our layout. Whatever torch wants in
another order is turned inside ``run``, so that torch's gradients come out in our form. torch is
handed in: the table can be read where it is not installed.
"""

CHANNELS_LAST = ("Linear", "LayerNorm", "RMSNorm", "Embedding")
NAMES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
RECURRENT_NAMES = {
    "kernel": "weight_ih_l0",
    "recurrent_kernel": "weight_hh_l0",
    "bias": "bias_ih_l0",
    "recurrent_bias": "bias_hh_l0",
}


def module(name, *args, training=True, **options):
    """A module of ``torch.nn``; of several inputs, on one after another."""

    def run(torch, values, xs):
        made = getattr(torch.nn, name)(*args, **options).train(training)
        own = _own_names(values, NAMES, turn=name != "Embedding")

        def one(x):
            if name in CHANNELS_LAST:
                return torch.func.functional_call(made, own, x)
            return _last(torch.func.functional_call(made, own, _first(x)))

        return tuple(map(one, xs)) if isinstance(xs, tuple) else one(xs)

    return run


def function(name, **options):
    """A function of ``torch.nn.functional`` of single numbers, or along the last axis."""

    def run(torch, values, x):
        return getattr(torch.nn.functional, name)(x, **options)

    return run


def interpolate(**options):
    def run(torch, values, x):
        return _last(torch.nn.functional.interpolate(_first(x), **options))

    return run


def padded(*sides):
    """Zeros, or with negative sides a crop; torch lists the last dimension first."""

    def run(torch, values, x):
        return _last(torch.nn.functional.pad(_first(x), sides))

    return run


def separable(c, features, *args, **options):
    depthwise = module("Conv2d", c, c, *args, groups=c, bias=False, **options)
    pointwise = module("Conv2d", c, features, 1)

    def run(torch, values, x):
        y = depthwise(torch, _below(values, "depthwise"), x)
        return pointwise(torch, _below(values, "pointwise"), y)

    return run


def squeeze_excite(torch, values, x):
    reduce, expand = (_linear(torch, _below(values, name)) for name in ("reduce", "expand"))
    factors = torch.sigmoid(expand(torch.relu(reduce(x.mean((1, 2))))))
    return x * factors[:, None, None]


def global_response_norm(torch, values, x):
    norm = torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True)
    response = x * norm / (norm.mean(-1, keepdim=True) + 1e-6)
    return x + values["scale"] * response + values["bias"]


def recurrent(name, c, features, *, sequences=False, reverse=False):
    """``torch.nn.LSTM`` or ``GRU``; of ours, ``reverse`` alone is the second half of theirs."""

    def run(torch, values, x):
        made = getattr(torch.nn, name)(c, features, batch_first=True)
        own = _own_names(values, RECURRENT_NAMES)
        own = {"bias_hh_l0": torch.zeros_like(own["bias_ih_l0"]), **own}
        y, _ = torch.func.functional_call(made, own, x.flip(1) if reverse else x)
        if not sequences:
            return y[:, -1]
        return y.flip(1) if reverse else y

    return run


def attention(heads, *, causal=False):
    def run(torch, values, x):
        query, context = x if isinstance(x, tuple) else (x, x)
        made = torch.nn.MultiheadAttention(
            query.shape[-1],
            heads,
            batch_first=True,
            kdim=context.shape[-1],
            vdim=context.shape[-1],
        )
        kernels = [values[f"{name}/kernel"].mT for name in ("query", "key", "value")]
        split = dict(zip(("q_proj_weight", "k_proj_weight", "v_proj_weight"), kernels, strict=True))
        together = query.shape[-1] == context.shape[-1]
        own = {
            **({"in_proj_weight": torch.cat(kernels)} if together else split),
            "in_proj_bias": torch.cat(
                [values[f"{name}/bias"] for name in ("query", "key", "value")]
            ),
            "out_proj.weight": values["out/kernel"].mT,
            "out_proj.bias": values["out/bias"],
        }
        later = torch.ones(query.shape[1], context.shape[1], dtype=torch.bool).triu(1)
        y, _ = torch.func.functional_call(
            made, own, (query, context, context), {"attn_mask": later if causal else None}
        )
        return y

    return run


def class_loss(name, **options):
    """A loss over classes, which torch has on axis 1; one number for each example, as in ours."""

    def run(torch, values, x):
        outputs, targets = x
        if targets.is_floating_point():
            targets = _first(targets)
        fn = getattr(torch.nn.functional, name)
        return _each(fn(_first(outputs), targets, reduction="none", **options))

    return run


def loss(name, **options):
    """A loss on numbers or on yes-or-no targets."""

    def run(torch, values, x):
        outputs, targets = x
        fn = getattr(torch.nn.functional, name)
        return _each(fn(outputs, targets.to(outputs.dtype), reduction="none", **options))

    return run


def weighted_binary_cross_entropy(weight):
    def run(torch, values, x):
        pos_weight = torch.tensor(weight, dtype=x[0].dtype)
        return loss("binary_cross_entropy_with_logits", pos_weight=pos_weight)(torch, values, x)

    return run


def kl_divergence(torch, values, x):
    outputs, targets = x
    terms = torch.nn.functional.kl_div(outputs.log_softmax(-1), targets, reduction="none")
    return terms.sum(-1)


def binary_hinge(torch, values, x):
    score, targets = x
    margin = torch.nn.functional.margin_ranking_loss  # of the score over zero, or of zero over it
    return _each(margin(score, score * 0, 2 * targets - 1, margin=1.0, reduction="none"))


def cosine(torch, values, x):
    return 1 - torch.nn.functional.cosine_similarity(*x, dim=-1)


def small_cnn(torch, values, x):
    """The network of ``training.py``, in training."""
    conv1, bn1, conv2, dense1 = (
        _own_names(_below(values, name), NAMES)
        for name in ("conv1", "batch_norm1", "conv2", "dense1")
    )
    functions = torch.nn.functional
    y = functions.conv2d(_first(x), **conv1, padding=1)
    y = functions.batch_norm(y, **bn1, training=True)
    y = functions.max_pool2d(torch.relu(y), 2)
    y = torch.relu(functions.conv2d(y, **conv2, padding=1))
    return functions.linear(_last(y).flatten(1), **dense1)


def _own_names(values, names, turn=True):
    """Values under torch's names; of kernels, which stand ``[..., in, out]`` in ours, the last two
    axes come first, the other way round.
    """
    return {
        names[name]: value.movedim((-1, -2), (0, 1)) if turn and "kernel" in name else value
        for name, value in values.items()
    }


def _below(values, name):
    inside = f"{name}/"
    return {path.removeprefix(inside): v for path, v in values.items() if path.startswith(inside)}


def _linear(torch, values):
    return lambda x: torch.nn.functional.linear(x, **_own_names(values, NAMES))


def _first(x):
    return x.movedim(-1, 1)


def _last(x):
    return x.movedim(1, -1)


def _each(values):
    return values.flatten(1).mean(1) if values.ndim > 1 else values

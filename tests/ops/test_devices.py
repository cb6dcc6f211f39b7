"""Operations in programs for several devices."""

import os
import subprocess
import sys

PROGRAM = """
import jax, jax.numpy as jnp, numpy as np
from jax import lax
from jax.sharding import AxisType, PartitionSpec as P
from fcnn import ops

x = jax.random.normal(jax.random.key(0), (4, 8, 8, 20))
kernel = jax.random.normal(jax.random.key(1), (3, 3, 20, 24))

def score(x, kernel):
    y = ops.max_pool(ops.conv(x, kernel), 2)
    return jnp.sin(ops.resize(ops.avg_pool(y, 2), (4, 4), "bilinear")).sum()

expected = jax.grad(score, (0, 1))(x, kernel)

def close(found):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)

auto = jax.make_mesh((2,), ("d",), axis_types=(AxisType.Auto,))
placed = jax.device_put(x, jax.NamedSharding(auto, P("d"))), kernel
close(jax.jit(jax.grad(score, (0, 1)))(*placed))

total = lambda x, kernel: lax.psum(score(x, kernel), "d")
specs = (P("d"), P())
each = jax.shard_map(jax.grad(total, (0, 1)), mesh=auto, in_specs=specs, out_specs=specs)
close(jax.jit(each)(x, kernel))

explicit = jax.make_mesh((2,), ("d",), axis_types=(AxisType.Explicit,))
with jax.set_mesh(explicit):
    placed = jax.device_put(x, P("d")), jax.device_put(kernel, P())
    close(jax.jit(jax.grad(score, (0, 1)))(*placed))
print("as on one device")
"""


def test_gradients_with_a_divided_batch():
    flags = "--xla_force_host_platform_device_count=2"
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == "as on one device"

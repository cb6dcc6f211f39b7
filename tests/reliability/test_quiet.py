"""Warnings are errors everywhere, nothing is printed or sent, and the import costs little."""

import statistics
import subprocess
import sys
import time

OFFLINE = """
import sys

def refuse(event, arguments):
    if event.startswith("socket."):
        raise OSError(f"{event} in a program that needs no network")

sys.addaudithook(refuse)
"""

EVERYTHING = """
import importlib, pkgutil, fcnn

for module in pkgutil.walk_packages(fcnn.__path__, "fcnn."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
train, test = fcnn.data.digits()
model = fcnn.serial(
    fcnn.conv(4, 3, 2), fcnn.batch_norm(), fcnn.relu, fcnn.flatten, fcnn.dropout(0.1),
    fcnn.dense(10),
)
network, history = fcnn.fit(
    model, train, validation=test, epochs=1, batch_size=64, augment="shift", progress=False
)
fcnn.evaluate(network, test)
fcnn.predict(network, test.x[:3])
fcnn.summary(model, train.x)
"""


def python(code):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=300
    )


def test_training_and_every_module_are_silent_with_warnings_as_errors_and_without_a_network():
    done = python(OFFLINE + EVERYTHING)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_network_would_be_noticed():
    done = python(OFFLINE + "import socket; socket.create_connection(('127.0.0.1', 9))")
    assert "OSError: socket." in done.stderr


def test_importing_takes_less_than_two_and_a_half_times_what_jax_takes():
    """Half of what is added to jax is optax; the bar leaves room for a machine with other work."""
    seconds = {"import jax": [], "import fcnn": []}
    for _ in range(3):
        for code, found in seconds.items():
            begun = time.perf_counter()
            assert python(code).returncode == 0
            found.append(time.perf_counter() - begun)
    jax, ours = map(statistics.median, seconds.values())
    print(f"import jax {jax:.2f} s, import fcnn {ours:.2f} s")
    assert ours < 2.5 * jax

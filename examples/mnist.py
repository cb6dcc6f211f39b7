"""The usual first network on the real MNIST, with the usual settings.

Command:  python examples/mnist.py DIR    (DIR holds the four files, train-images-idx3-ubyte.gz ...)
Data:     60,000 pictures to train on, 10,000 to test on; no test picture is used before the end
Seen:     test accuracy 0.9924, 11.8 s an epoch on two CPU cores
"""

import sys
import time

import optax

import fcnn

train, test = fcnn.data.mnist(sys.argv[1])
begun = time.perf_counter()
network, history = fcnn.fit(
    fcnn.models.mnist_cnn(classes=10), train, optimizer=optax.adam(1e-3), batch_size=32, epochs=5
)
seconds = time.perf_counter() - begun
report = fcnn.evaluate(network, test)
print(report)
print(f"test accuracy {report.accuracy:.4f}, {seconds / 5:.1f} s an epoch")

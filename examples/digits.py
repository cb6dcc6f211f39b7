"""Train and look at a small network on the shipped scans of digits.

Command:  python examples/digits.py
Data:     1,797 scans of 8x8 pixels that come with the package, a fifth held out
Seen:     test accuracy 0.9944 after 20 epochs, 6.5 s in all on two CPU cores
"""

import fcnn
from fcnn import conv, dense, dropout, flatten, max_pool, optimizers, relu, serial

train, test = fcnn.data.digits()
model = serial(
    conv(32, 3), relu, max_pool(2),
    conv(64, 3), relu, max_pool(2),
    flatten, dropout(0.2), dense(10),
)  # fmt: skip
print(fcnn.summary(model, train.x))

steps = 20 * len(train) // 32
optimizer = optimizers.adamw(optimizers.warmup_cosine(2e-3, steps, warmup=50), weight_decay=1e-2)
network, history = fcnn.fit(model, train, optimizer=optimizer, epochs=20)
report = fcnn.evaluate(network, test)
print(report)

wrong = (fcnn.predict(network, test.x).argmax(-1) != test.y).nonzero()[0]
print(f"{len(wrong)} of {len(test)} are wrong: test pictures {', '.join(map(str, wrong))}")

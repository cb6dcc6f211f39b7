"""Makes fcnn/data/digits.npz from the copy of the digits that scikit-learn ships.

    python tests/data/make_digits.py

Source: Optical Recognition of Handwritten Digits, test set (Alpaydin & Kaynak, 1998, UCI Machine
Learning Repository, doi:10.24432/C50P49), licence CC BY 4.0.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

OUT = Path(__file__).parents[2] / "fcnn" / "data" / "digits.npz"

if __name__ == "__main__":
    digits = load_digits()
    np.savez_compressed(OUT, x=digits.images.astype(np.uint8), y=digits.target.astype(np.uint8))
    print(f"{OUT.name}: {len(digits.target)} pictures, {OUT.stat().st_size:,} bytes")

"""The floor under a learned autoencoder: the best linear code of every 8x8 patch (PCA), fitted on other photographs.

python tests/bench/linear_code.py assets/examples/*.png
Prints, for 4, 8 and 16 numbers a patch, the PSNR of each photograph at 256x256 when the code is fitted on all the others (leave one out).
Needs numpy and Pillow.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

SIDE, PATCH = 256, 8


def photograph(path):
    picture = Image.open(path).convert("RGB")
    side = min(picture.size)
    left, top = round((picture.width - side) / 2), round((picture.height - side) / 2)
    picture = picture.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.LANCZOS)
    return np.asarray(picture, np.float64) / 255


def patches(picture):
    count = SIDE // PATCH
    return picture.reshape(count, PATCH, count, PATCH, 3).transpose(0, 2, 1, 3, 4).reshape(count * count, -1)


def code_psnr(train, test, numbers):
    mean = train.mean(0)
    _, vectors = np.linalg.eigh(np.cov(train - mean, rowvar=False))
    basis = vectors[:, -numbers:]
    rebuilt = (mean + (test - mean) @ basis @ basis.T).clip(0, 1)
    return -10 * np.log10(((rebuilt - test) ** 2).mean())


def main():
    paths = [Path(argument) for argument in sys.argv[1:]]
    if len(paths) < 2:
        sys.exit("give at least two photographs")
    data = [patches(photograph(path)) for path in paths]
    print(f"{'photograph':24}" + "".join(f"{numbers:>5} numbers" for numbers in (4, 8, 16)))
    rows = []
    for i, path in enumerate(paths):
        others = np.concatenate(data[:i] + data[i + 1 :])
        rows.append([code_psnr(others, data[i], numbers) for numbers in (4, 8, 16)])
        print(f"{path.stem:24}" + "".join(f"{value:9.2f} dB " for value in rows[-1]))
    print(f"{'mean':24}" + "".join(f"{value:9.2f} dB " for value in np.mean(rows, axis=0)))


main()

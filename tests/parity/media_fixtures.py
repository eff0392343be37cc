"""Pictures, their pixels and their texts as Pillow sees them, for tests/core/media.

Pinned: Pillow 13.0.0, numpy from torch 2.11.0's environment.

    python tests/parity/media_fixtures.py

writes tests/parity/fixtures/media/{resize,resample,files,texts}.json; all bytes are hexadecimal.
resize: cases {from: [w, h, c], to: [w, h], pixels}: Image.resize(LANCZOS) of `pattern(w, h, c)`; resample: the same with {filter: "bilinear" | "bicubic"}.
files: cases {name, bytes, size: [w, h, c], pixels} with the EXIF orientation applied, or {name, bytes, error: true}.
texts: cases {name, bytes, texts}.
"""
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin

OUT = Path(__file__).parent / "fixtures" / "media"
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def pattern(width, height, channels):
    """Hard edges and all values: a linear congruential sequence, x' = 1664525 x + 1013904223 mod 2^32, top byte, seeded by the shape."""
    x = width * 65536 + height * 256 + channels
    values = []
    for _ in range(width * height * channels):
        x = (1664525 * x + 1013904223) % 2**32
        values.append(x >> 24)
    return np.array(values, np.uint8).reshape(height, width, channels)


def smooth(width, height, channels=3):
    """Gradients that JPEG keeps well and that no turn or mirror leaves unchanged."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [255 * x / (width - 1), 255 * y / (height - 1), 255 * (x + 2 * y) / (width + 2 * height - 3), 128 + 127 * np.sin(x / 3)]
    return np.stack(planes[:channels], -1).round().astype(np.uint8)


def image(values):
    return Image.fromarray(values[..., 0] if values.shape[2] == 1 else values, MODES[values.shape[2]])


def resize_cases():
    shapes = [((1, 1), (7, 5)), ((7, 5), (1, 1)), ((31, 17), (8, 8)), ((8, 8), (31, 17)), ((33, 20), (33, 9)), ((33, 20), (12, 20)), ((13, 29), (13, 64)),
              ((61, 3), (5, 40)), ((40, 27), (39, 28)), ((64, 48), (16, 16)), ((5, 5), (6, 6))]
    cases = []
    for (width, height), to in shapes:
        for channels in (1, 3, 4):
            result = image(pattern(width, height, channels)).resize(to, Image.LANCZOS)
            cases.append({"from": [width, height, channels], "to": list(to), "pixels": result.tobytes().hex()})
    return cases


def resample_cases():
    shapes = [((1, 1), (3, 2)), ((31, 17), (8, 8)), ((8, 8), (13, 17)), ((40, 27), (39, 12)), ((5, 5), (5, 6))]
    cases = []
    for name, kind in (("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)):
        for (width, height), to in shapes:
            for channels in (1, 3):
                # In two steps, the horizontal one first, as Pillow up to 12 does.
                result = image(pattern(width, height, channels)).resize((to[0], height), kind).resize(to, kind)
                cases.append({"filter": name, "from": [width, height, channels], "to": list(to), "pixels": result.tobytes().hex()})
    return cases


def encoded(picture, kind, **options):
    target = io.BytesIO()
    picture.save(target, kind, **options)
    return target.getvalue()


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png16(values, color):
    """A 16-bit PNG, which Pillow does not write for colours."""
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + values[y].astype(">u2").tobytes() for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 16, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")


def file_cases():
    cases = []

    def add(name, data, pixels=None):
        if pixels is None:
            picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
            mode = {"1": "L", "P": "RGB", "LA": "RGBA"}.get(picture.mode, picture.mode)
            if picture.mode == "P" and "transparency" in picture.info:
                mode = "RGBA"
            pixels = np.atleast_3d(np.asarray(picture.convert(mode)))
        cases.append({"name": name, "bytes": data.hex(), "size": [pixels.shape[1], pixels.shape[0], pixels.shape[2]], "pixels": pixels.tobytes().hex()})

    color, gray, alpha = image(smooth(24, 16)), image(smooth(24, 16, 1)), image(smooth(24, 16, 4))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        add(f"orientation {orientation}.jpg", encoded(color, "JPEG", quality=90, exif=exif))
    exif = Image.Exif()
    exif[0x0112] = 6
    add("orientation 6.webp", encoded(color, "WEBP", lossless=True, exif=exif))
    add("orientation 6.png", encoded(color, "PNG", exif=exif))
    add("progressive.jpg", encoded(color, "JPEG", quality=75, progressive=True))
    add("full chroma.jpg", encoded(color, "JPEG", quality=95, subsampling=0))
    add("restart intervals.jpg", encoded(color, "JPEG", quality=95, restart_marker_blocks=1))
    add("gray.jpg", encoded(gray, "JPEG"))
    cases.append({"name": "cmyk.jpg", "bytes": encoded(color.convert("CMYK"), "JPEG").hex(), "error": True})
    add("gray.png", encoded(gray, "PNG"))
    add("color.png", encoded(color, "PNG"))
    add("alpha.png", encoded(alpha, "PNG"))
    add("gray and alpha.png", encoded(alpha.convert("LA"), "PNG"))
    add("one bit.png", encoded(gray.convert("1"), "PNG"))
    add("palette.png", encoded(color.quantize(13), "PNG"))
    add("palette with transparency.png", encoded(color.quantize(13), "PNG", transparency=3))
    sixteen = np.arange(12 * 8 * 3).reshape(8, 12, 3) * 227 % 65536
    rounded = ((sixteen.astype(np.int64) * 255 + 32767) // 65535).astype(np.uint8)
    add("16 bit color.png", png16(sixteen, 2), rounded)
    add("16 bit gray.png", png16(sixteen[..., :1], 0), rounded[..., :1])
    add("lossless.webp", encoded(color, "WEBP", lossless=True))
    add("lossless alpha.webp", encoded(alpha, "WEBP", lossless=True, exact=True))
    add("lossy.webp", encoded(color, "WEBP", quality=80))
    add("color.bmp", encoded(color, "BMP"))
    add("gray.bmp", encoded(gray, "BMP"))
    add("deflate.tif", encoded(color, "TIFF", compression="tiff_deflate"))
    add("lzw gray.tif", encoded(gray, "TIFF", compression="tiff_lzw"))
    add("16 bit gray.tif", encoded(Image.fromarray(sixteen[..., 0].astype(np.uint16)), "TIFF"), rounded[..., :1])
    add("color.ppm", encoded(color, "PPM"))
    add("gray.pgm", encoded(gray, "PPM"))
    return cases


def text_cases():
    cases = []
    for name, entries in {
        "latin": {"parameters": ("a cat\nSteps: 20", "text", False)},
        "compressed": {"Comment": ("long " * 500, "text", True)},
        "cyrillic": {"attelier-job": ('{"prompt": "рыжая кошка 🚀"}', "itxt", False)},
        "compressed international": {"prompt": ("猫" * 300, "itxt", True), "workflow": ("{}", "text", False)},
        "accents": {"Author": ("café", "text", False)},
        "none": {},
        "empty": {"Title": ("", "text", False)},
    }.items():
        info = PngImagePlugin.PngInfo()
        for keyword, (text, kind, compressed) in entries.items():
            (info.add_itxt if kind == "itxt" else info.add_text)(keyword, text, zip=compressed)
        data = encoded(image(smooth(3, 2)), "PNG", pnginfo=info)
        cases.append({"name": name, "bytes": data.hex(), "texts": {keyword: entry[0] for keyword, entry in entries.items()}})
    return cases


OUT.mkdir(parents=True, exist_ok=True)
for file, cases in (("resize", resize_cases()), ("resample", resample_cases()), ("files", file_cases()), ("texts", text_cases())):
    path = OUT / f"{file}.json"
    path.write_text("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n")
    print(path.name, len(cases), "cases,", path.stat().st_size, "bytes")

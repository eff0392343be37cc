#!/usr/bin/env python3
"""Works in the window for hours as a person would, and watches its memory.

    tests/bench/soak.py build/release/app/attelier --minutes 480 --out soak.csv

Opens the window on a screen without a monitor (Xvfb), makes pictures, looks into attention, compares, paints, undoes, searches and scrolls, by real key
presses and clicks (xdotool). At first it opens pictures until the cache of pictures is full. After every round it
writes a line: seconds, rounds, jobs, resident and anonymous memory in MB, open files, threads. Under software OpenGL textures are part of the process's
memory, so that a leak of textures shows, too. The thumbnails of some 300 pictures are kept as well: until there are as many, memory grows by half a MB a
round. At the end it prints the slope of the memory over the second half. Exit code 1 if it grows by more than --allowed MB an hour or the window dies.
"""
import argparse
import csv
import json
import os
import pathlib
import shutil
import struct
import sys
import tempfile
import time
import zlib

from window import Window

KEPT, SIDE = 34, 1000  # pictures that fill, with their textures, the 256 MB which the window keeps of them
JOB = {"job": 1, "method": "generate", "inputs": {}, "params": {"prompt": "a red house near a lake", "steps": 4, "seed": 1}}


def write_picture(file, shade):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes((shade, y * 255 // SIDE, 128)) * SIDE for y in range(SIDE))
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def slope(points):
    """Least squares: units of y per unit of x."""
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread > 0 else 0.0


def make_picture(window, chord="ctrl+Return"):
    before = window.pictures()
    window.key("r")
    window.key(chord)
    for _ in range(1200):
        if window.pictures() > before or window.process.poll() is not None:
            break
        time.sleep(0.1)
    time.sleep(0.5)


def fill_cache(window):
    for i in range(KEPT):
        file = window.folder / f"{i:02}.png"
        write_picture(file, 4 * i)
        window.key("ctrl+o", 0.5)
        window.click(640, 160)  # the folder's field
        window.key("ctrl+a")
        window.hand("type", "--delay", "5", str(file))
        window.key("Return", 1)
    window.key("Escape")  # of a dialog whose keys came too early
    print(f"after {KEPT} pictures of {SIDE}x{SIDE}: {window.memory()[1]:.0f} MB", flush=True)


def one_round(window, number):
    """What somebody does in a minute or two."""
    window.key("ctrl+1")
    make_picture(window)
    window.key("f")
    for button in (4, 4, 4, 4, 4, 5, 5):
        window.click(740, 370, button)
    window.drag(800, 400, 650, 300)
    window.palette("compare later pictures")
    make_picture(window)
    window.key("v")
    window.drag(740, 300, 600, 300)
    window.palette("compare difference")
    time.sleep(0.5)
    window.palette("picture alone")
    window.key("ctrl+z")
    window.key("ctrl+shift+z")
    if number % 3 == 0:
        make_picture(window, "ctrl+k")
        window.click(740, 370)
        window.click(700, 300)
        time.sleep(1)
    window.key("ctrl+4")
    for _ in range(6):
        window.click(800, 760, 5)
    window.click(430, 740)
    time.sleep(0.5)
    window.key("ctrl+2")
    window.key("F1")
    window.key("F1")
    window.palette("light or dark")
    window.palette("light or dark")
    window.key("ctrl+1")
    time.sleep(1.5)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--minutes", type=float, default=480)
    parser.add_argument("--out", default="soak.csv")
    parser.add_argument("--allowed", type=float, default=20, help="growth in MB an hour")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="attelier-soak-"))
    (folder / "job.json").write_text(json.dumps(JOB))
    window = Window(os.path.abspath(options.program), folder, [folder / "job.json"], threads=1)
    fill_cache(window)
    began, rows = time.monotonic(), []
    with open(options.out, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["seconds", "rounds", "jobs", "resident_mb", "anonymous_mb", "files", "threads"])
        while time.monotonic() - began < options.minutes * 60:
            one_round(window, len(rows))
            if window.process.poll() is not None:
                print(f"the window ended with {window.process.returncode} in round {len(rows)}; its folder is {folder}")
                return 1
            rows.append([round(time.monotonic() - began, 1), len(rows) + 1, window.pictures(), *window.memory()])
            table.writerow(rows[-1])
            file.flush()
    window.close()
    half = rows[len(rows) // 2:]
    growth = slope([(row[0] / 3600, row[4]) for row in half])
    print(json.dumps({"rounds": len(rows), "jobs": rows[-1][2], "minutes": round(rows[-1][0] / 60, 1), "first_mb": rows[0][4], "half_mb": half[0][4], "last_mb": rows[-1][4],
                      "mb_an_hour": round(growth, 2), "mb_a_job": round(slope([(row[2], row[4]) for row in half]), 4)}, indent=2))
    shutil.rmtree(folder)
    return 0 if growth <= options.allowed else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""How long somebody waits for the window: until it can be used, until the first preview of a picture, and for each frame while a picture is made.

    tests/bench/window_times.py build/release/app/attelier [--rounds 3] [--drop-caches]

The shipped model, the machine's own number of threads, software OpenGL. --drop-caches empties the disk's cache before each start (as root). Start times are
those of the first frame that shows the form; frame times are what the program itself measures (--frame-times) while the pointer moves over the canvas.
"""
import argparse
import itertools
import json
import os
import pathlib
import statistics
import tempfile
import time

from window import HEIGHT, WIDTH, Window

CANVAS = (660, 300, 80, 80)  # a part of the canvas's middle
FORM = (20, 100, 300, 400)


def job(folder, steps):
    file = folder / "job.json"
    file.write_text(json.dumps({"job": 1, "method": "generate", "inputs": {}, "params": {"prompt": "a red house near a lake", "steps": steps, "seed": 1}}))
    return file


def seconds_until(is_so, limit=30):
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > limit:
            raise RuntimeError(f"nothing happened for {limit} seconds")
        time.sleep(0.01)
    return time.monotonic() - began


class TimedWindow(Window):
    def take_focus(self):
        """The form is there once letters of several shades are."""
        seconds_until(lambda: len(set(self.pixels(*FORM)[::4])) > 16)
        self.seconds_to_form = time.monotonic() - self.began
        super().take_focus()


def start(program, home, drop_caches, steps, options=()):
    home.mkdir()
    if drop_caches:
        os.sync()
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
    return TimedWindow(program, home, [job(home, steps)], options)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--drop-caches", action="store_true")
    options = parser.parse_args()
    starts, previews = [], []
    with tempfile.TemporaryDirectory(prefix="attelier-times-") as name:
        folder = pathlib.Path(name)
        for i in range(options.rounds):
            window = start(options.program, folder / str(i), options.drop_caches, 30)
            starts.append(window.seconds_to_form)
            time.sleep(2)
            before = window.pixels(*CANVAS)
            window.key("ctrl+Return", 0)
            previews.append(seconds_until(lambda: window.pixels(*CANVAS) != before))
            window.close()
        window = start(options.program, folder / "frames", False, 400, ["--frame-times", str(folder / "frames.json")])
        window.key("ctrl+Return", 0)
        began = time.monotonic()
        for i in itertools.count():
            if time.monotonic() - began > 15:
                break
            window.hand("mousemove", str(WIDTH // 2 - 200 + 7 * i % 300), str(HEIGHT // 3 + 7 * i % 200))
            time.sleep(0.05)
        window.close()
        frames = json.loads((folder / "frames.json").read_text())["while_a_job_runs"]
    for what, times in (("usable after", starts), ("first preview after", previews)):
        print(f"{what:22}{statistics.median(times):6.2f} s   ({', '.join(f'{one:.2f}' for one in times)})")
    print(f"{'frames beside a job':22}{frames['p50_ms']:6.1f} ms median, {frames['p95_ms']:.1f} ms of 95 %, {frames['p99_ms']:.1f} ms of 99 %, {frames['most_ms']:.1f} ms at most, {frames['frames']} frames")


if __name__ == "__main__":
    main()

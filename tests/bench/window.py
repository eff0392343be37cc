"""The window on a screen without a monitor (Xvfb), worked in by real key presses and clicks (xdotool)."""
import os
import pathlib
import subprocess
import time

WIDTH, HEIGHT = 1400, 900


class Window:
    """Opens the files; `folder` is the home of the one who works in it. Without `threads` the program takes as many as it likes."""

    def __init__(self, program, folder, files, options=(), threads=None):
        self.folder = folder
        reader, writer = os.pipe()
        self.screen = subprocess.Popen(["Xvfb", "-displayfd", str(writer), "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-noreset", "-nolisten", "tcp", "-fbdir", str(folder)], pass_fds=[writer],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            display = ":" + pipe.readline().strip()
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "DISPLAY": display, "LIBGL_ALWAYS_SOFTWARE": "1", "LC_ALL": "C.UTF-8"}
        if threads is not None:
            self.environment["OMP_NUM_THREADS"] = str(threads)
        for name in ("CACHE", "CONFIG", "DATA", "STATE"):
            self.environment[f"XDG_{name}_HOME"] = str(folder / name.lower())
        self.log = open(folder / "window.log", "wb")
        self.began = time.monotonic()
        self.process = subprocess.Popen([program, "gui", "--width", str(WIDTH), "--height", str(HEIGHT), *options, *map(str, files)], env=self.environment, stdout=self.log, stderr=self.log)
        self.take_focus()
        time.sleep(1)

    def take_focus(self):
        for _ in range(600):
            found = self.hand("search", "--onlyvisible", "--name", "^Attelier$", quiet=True)
            if found:
                break
            time.sleep(0.1)
        self.hand("windowfocus", found.split()[0])

    def hand(self, *words, quiet=False):
        done = subprocess.run(["xdotool", *words], env=self.environment, capture_output=True, text=True)
        if done.returncode != 0 and not quiet:
            raise RuntimeError(f"xdotool {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def key(self, chord, pause=0.15):
        self.hand("key", "--clearmodifiers", chord)
        time.sleep(pause)

    def click(self, x, y, button=1):
        self.hand("mousemove", str(x), str(y), "click", str(button))
        time.sleep(0.1)

    def drag(self, x, y, to_x, to_y):
        self.hand("mousemove", str(x), str(y), "mousedown", "1")
        for i in range(1, 9):
            self.hand("mousemove", str(x + (to_x - x) * i // 8), str(y + (to_y - y) * i // 8))
        self.hand("mouseup", "1")

    def palette(self, words):
        self.key("ctrl+p", 0.3)
        self.hand("type", "--delay", "5", words)
        time.sleep(0.2)
        self.key("Return", 0.3)

    def pictures(self):
        return len([f for f in (self.folder / "Pictures" / "Attelier").glob("*.png") if ".tmp-" not in f.name])

    def memory(self):
        """Resident and anonymous memory in MB, open files, threads."""
        process = pathlib.Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line)
        megabytes = [int(status[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon")]
        return (*megabytes, len(list((process / "fd").iterdir())), int(status["Threads"]))

    def pixels(self, left, top, width, height):
        """A part of the screen as bytes, four a pixel; Xvfb keeps the screen in a file in the form of xwd."""
        data = (self.folder / "Xvfb_screen0").read_bytes()
        header, colours, line = (int.from_bytes(data[i:i + 4], "big") for i in (0, 76, 48))
        begin = header + 12 * colours
        return b"".join(data[begin + y * line + 4 * left:begin + y * line + 4 * (left + width)] for y in range(top, top + height))

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.screen.terminate()
        self.screen.wait(timeout=30)

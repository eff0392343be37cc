"""What the benches against PyTorch share: memory and times of a process."""

import pathlib
import time


def memory(field):
    """A line of /proc/self/status in bytes: VmRSS is what the process holds, VmHWM the most that it held since forget_peak()."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    return 0


def forget_peak():
    pathlib.Path("/proc/self/clear_refs").write_text("5")


def measure(run, warmup=1, repeat=2):
    """Pairs of seconds by the clock and of the processor, after `warmup` runs that do not count."""
    for _ in range(warmup):
        run()
    times = []
    for _ in range(repeat):
        start, processor_start = time.perf_counter(), time.process_time()
        run()
        times.append((time.perf_counter() - start, time.process_time() - processor_start))
    return times

"""Start-up: `imgid-audit --help` against a bare interpreter that imports typer. Goal: at most 5x.

python benchmarks/bench_startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from record import record, verdict

GOAL = 5.0
REPEATS = 15

COMMANDS = {
    "python -c pass": ("-c", "pass"),
    "python -c 'import typer'": ("-c", "import typer"),
    "imgid-audit --help": ("-m", "imgid_audit.cli", "--help"),
    "imgid-audit list metrics": ("-m", "imgid_audit.cli", "list", "metrics"),
}


def seconds(arguments: tuple[str, ...]) -> float:
    """Wall time of one start, in seconds."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def main() -> int:
    """Print medians and the ratio; 1 where the goal is missed."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(REPEATS):  # interleaved, so that a busy moment hits all alike
        for name, arguments in COMMANDS.items():
            times[name].append(seconds(arguments))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        print(f"{name:<26} {1000 * median:7.0f} ms")
    ratio = medians["imgid-audit --help"] / medians["python -c 'import typer'"]
    print(f"--help against import typer: {ratio:.2f}x (goal: at most {GOAL:g}x)")
    rows = [[name, f"{1000 * median:.0f} ms", "", ""] for name, median in medians.items()]
    rows.append(["`--help` against `import typer`", f"{ratio:.2f}x", f"at most {GOAL:g}x", verdict(ratio <= GOAL)])
    record("benchmarks/bench_startup.py", "Start-up", ("what", f"median of {REPEATS}", "goal", "met"), rows)
    return int(ratio > GOAL)


if __name__ == "__main__":
    sys.exit(main())

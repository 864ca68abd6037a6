"""The gate's bound over the measured peak: `python -m benchmarks.gate_bound [--loads 100] [--runtimes FOLDER]`.

Random loads of every demo family: prefill chunks, short prompts filled together, joins and decode steps. Below 1 the
gate would let something pass that does not fit; far above 1 it would refuse what does. Peaks are MLX's own. It frees
behind the computation, so the most of three runs of a load counts. Ratios are for more than 1000 tokens of context. A
chunk comes after chunks of its own size: after much larger ones, what window layers let go meanwhile would be counted
against the peak, though not against the bound.
"""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.engine_raw import environment, make

ROOT = Path(__file__).resolve().parent.parent
FAMILIES = ("chat", "hybrid", "swa")
FAR = 1000
LOADS = Path(__file__).with_name("gate_loads.py")
Row = list[Any]  # as gate_loads.py gives it


def table(rows: dict[str, list[Row]]) -> str:
    lines = [f"{'family':<8}{'kind':<10}{'loads':>6}{'min':>7}{'p50':>7}{'max':>7}   past {FAR} tokens of context"]
    for family, measured in rows.items():
        for kind in sorted({row[0] for row in measured}):
            ratios = sorted(row[2] / row[3] for row in measured if row[0] == kind and row[1] >= FAR)
            if ratios:
                figures = "".join(f"{ratio:>7.2f}" for ratio in (ratios[0], ratios[len(ratios) // 2], ratios[-1]))
                lines.append(f"{family:<8}{kind:<10}{len(ratios):>6}{figures}")
    everything = [(row[2] / row[3], row[1]) for measured in rows.values() for row in measured]
    far = [ratio for ratio, context in everything if context >= FAR]
    worst = f"of all {len(everything)} loads the least is {min(everything)[0]:.2f}"
    return "\n".join([*lines, f"past {FAR} tokens {min(far):.2f} to {max(far):.2f}; {worst}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtimes", type=Path, default=Path(os.environ.get("FMLX_TEST_RUNTIMES") or ROOT / ".make"))
    parser.add_argument("--loads", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--all", action="store_true", help="print every load")
    chosen = parser.parse_args()
    python = chosen.runtimes.absolute() / "runtimes" / "mlx-lm" / "bin" / "python"
    found: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for at, family in enumerate(FAMILIES):
            model = Path(folder) / family
            model.mkdir()
            make(python, model, family)
            share = chosen.loads * (at + 1) // len(FAMILIES) - chosen.loads * at // len(FAMILIES)
            command = [str(part) for part in (python, LOADS, model, share, chosen.seed)]
            said = subprocess.run(command, env=environment(), stdout=subprocess.PIPE, check=True, text=True).stdout
            found[family] = json.loads(said)
            for row in found[family] if chosen.all else ():
                print(f"{family:<8}{row[0]:<10}{row[4]:<28}{row[2]:>12,}{row[3]:>12,}{row[2] / row[3]:>7.2f}")
    print(table(found))


if __name__ == "__main__":
    main()

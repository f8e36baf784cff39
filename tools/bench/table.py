# SPDX-License-Identifier: MIT
"""The result as a table for people and as JSON for programs."""

import platform
import statistics

import rows

TEMPERATURES = ("cold", "warm")


def bar_of(row_name, temperature):
    for row in rows.ROWS:
        if row.name == row_name:
            return row.bars.get(temperature)
    return None


def line(name, temperature, by_system, systems):
    kernel = statistics.median(by_system["kernel"]) if "kernel" in by_system else None
    cells = [f"{temperature:<5} {name:<12}"]
    if kernel is not None:
        cells.append(f"{kernel * 1000:9.1f} ms")
    for system in systems:
        if system.name == "kernel" or system.name not in by_system:
            continue
        median = statistics.median(by_system[system.name])
        cells.append(
            f"{median / kernel:14.2f}" if kernel else f"{median * 1000:11.1f} ms"
        )
    bar = bar_of(name, temperature)
    if bar is not None and kernel and "squenv" in by_system:
        ratio = statistics.median(by_system["squenv"]) / kernel
        cells.append(f"   <= {bar:.2f} {'met' if ratio <= bar else 'MISSED'}")
    return " ".join(cells)


def render(samples, memory, million, systems, rounds):
    names = [system.name for system in systems]
    others = [name for name in names if name != "kernel"]
    head = f"{'':5} {'':12} {'kernel':>12} " + " ".join(f"{name:>14}" for name in others)
    lines = [f"Medians of {rounds} rounds; ratios to the kernel's squashfs (1.00).", head]
    for temperature in TEMPERATURES:
        for (name, kind), by_system in samples.items():
            if kind == temperature:
                lines.append(line(name, temperature, by_system, systems))
    mounts = {}
    for (_, kind), by_system in samples.items():
        if kind == "mount":
            for system, values in by_system.items():
                mounts.setdefault(system, []).extend(values)
    for system, values in mounts.items():
        lines.append(f"mount {system}: {statistics.median(values) * 1000:.1f} ms")
    for system, size in memory.items():
        lines.append(f"memory after four readers, {system}: {size / (1 << 20):.1f} MiB")
    for system, result in million.items():
        lines.append(
            f"1,000,000 files, {system}: mount {result['mount'] * 1000:.1f} ms, "
            f"find {result['find']:.2f} s, with stat {result['find with stat']:.2f} s"
        )
    return "\n".join(lines)


def to_json(samples, memory, million, arguments):
    return {
        "kernel_release": platform.release(),
        "rounds": arguments.rounds,
        "options": arguments.options,
        "samples": [
            {"row": name, "temperature": kind, "seconds": by_system}
            for (name, kind), by_system in samples.items()
        ],
        "memory_bytes": memory,
        "million_files": million,
    }

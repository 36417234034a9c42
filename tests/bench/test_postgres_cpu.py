"""CPU of PostgreSQL is attributed to the kinds of its processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from bench.postgres_cpu import PostgresCpu
from bench.result import Findings
from bench.stages import StageMeter

from bench import postgres_cpu, processes

# Four processes with titles as PostgreSQL sets them, of which one ends.
_SERVER = """
import subprocess, sys
spin = "import time\\nwhile time.process_time() < 0.15: pass\\n"
wait = "import sys; sys.stdin.read()"
titles = ["app regulars [local] SELECT", "autovacuum worker regulars", "walwriter"]
children = [subprocess.Popen(["postgres: " + each, "-c", spin + wait], executable=sys.executable, stdin=subprocess.PIPE)
            for each in titles]
print("started", flush=True)
sys.stdin.readline()
children.append(subprocess.Popen(["postgres: autovacuum worker x", "-c", spin], executable=sys.executable))
children[-1].wait()
print("ended", flush=True)
sys.stdin.read()
for each in children[:3]:
    each.stdin.close()
    each.wait()
"""


def test_cpu_is_that_of_each_kind_of_process() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        with postgres_cpu.measure(server.pid) as used:
            server.stdout.readline()
            server.stdin.write("\n")
            server.stdin.flush()
            server.stdout.readline()
            # 0.15 s each; the kernel counts in hundredths of a second, rounded down.
            while sum(processes.own_cpu_seconds(each) or 0 for each in processes.child_processes(server.pid)) < 0.36:
                time.sleep(0)
        server.stdin.close()
        server.wait()
    assert 0.05 < used.connections < 0.6
    assert 0.25 < used.autovacuum < 1.2
    assert 0.05 < used.background < 0.6
    findings = Findings()
    postgres_cpu.record(findings, "CPU", [PostgresCpu(1, 2, 3).per(2)], "µs")
    assert [(each.name, each.value) for each in findings.figures] == [
        ("CPU", 3e6),
        ("CPU: connections", 5e5),
        ("CPU: autovacuum", 1e6),
        ("CPU: background", 1.5e6),
    ]


def test_a_reading_of_the_meter_costs_little() -> None:
    clock = processes.ThreadClock(os.getpid())
    before = clock.nanoseconds()
    cost, _ = StageMeter()._measure_own_cost()
    assert clock.nanoseconds() > before
    assert cost < 100_000

"""The size from which a cluster computes sooner than one machine."""

import pytest
from bench.break_even import Cost, break_even_rows, fit, least_executors
from bench.result import Findings

from bench import lake

# 10 s however few rows there are, and four times the core seconds a row.
CLUSTER = Cost(10.0, 40e-6)
MACHINE = Cost(1.0, 10e-6)


def test_two_computations_are_on_the_line_of_their_cost() -> None:
    cost = fit((100_000, 14.0), (1_000_000, 50.0))
    assert cost.seconds(0, 1) == pytest.approx(10)
    assert cost.rows_per_core_second == pytest.approx(25_000)
    assert [cost.seconds(rows, 4) for rows in (100_000, 1_000_000)] == pytest.approx([11, 20])
    # A line that would begin below zero is noise of the first.
    assert fit((10, 1.0), (20, 3.0)).fixed_seconds == 0
    with pytest.raises(ValueError, match=r"2,000 rows took 1\.00 s, and 1,000 took 1\.50 s"):
        fit((1_000, 1.5), (2_000, 1.0))


def test_from_the_size_of_break_even_on_executors_take_less_time() -> None:
    for executors, cores in ((5, 1), (8, 2), (100, 16)):
        rows = break_even_rows(CLUSTER, MACHINE, executors, cores)
        assert rows is not None
        for factor, is_sooner in ((0.99, False), (1.01, True)):
            on_cluster = CLUSTER.seconds(rows * factor, executors * cores)
            assert (on_cluster < MACHINE.seconds(rows * factor, cores)) is is_sooner


def test_too_few_executors_never_take_less_time() -> None:
    assert break_even_rows(CLUSTER, MACHINE, 4, 2) is None
    assert least_executors(CLUSTER, MACHINE) == 5
    assert break_even_rows(Cost(0.5, 1e-6), MACHINE, 1, 1) == 0
    assert least_executors(Cost(0.5, 1e-6), MACHINE) == 1


def test_a_benchmark_states_from_which_size_executors_take_less_time() -> None:
    findings = Findings()
    lake.compare(CLUSTER, MACHINE, 2, findings)
    figures = {each.name: each.value for each in findings.figures}
    assert figures["Spark, rows a second of an executor's core"] == pytest.approx(25_000)
    assert figures["executors from which on Spark may take less time"] == 5
    (table,) = findings.tables
    assert table.rows[:2] == [
        ["4", "never", "260 s", "251 s"],
        ["8", "3,600,000 rows", "135 s", "251 s"],
    ]

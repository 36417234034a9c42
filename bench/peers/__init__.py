"""What the benchmarks compare with, each a script for a process of its own, which imports nothing of the others'."""

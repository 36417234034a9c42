"""Every claim of speed, measured: `python -m bench` runs all of it and writes bench/RESULTS.md."""

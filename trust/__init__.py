"""Every claim of safety, tested at length: `python -m trust` runs all proofs and writes docs/trust.md.

A proof is a line of `registry.PROOFS` and a module of its name with `run(run: Run) -> None`: it starts servers in
`run.folder` (`server.serving`), takes its random choices from `run.random`, its sizes from `run.count` and
`run.seconds`, says what it does by `run.describe`, and records what it measured by `run.figure`, `run.check`,
`run.none` and `run.table`. A short form, `run_proof(proof, scale=0.02)`, is a test in tests/trust.
"""

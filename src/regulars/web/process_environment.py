"""Variables that `regulars serve` sets for the processes that it starts.

They are apart from the application, which the process that only starts others does not import.
"""

PARENT_PID_VARIABLE = "REGULARS_PARENT_PID"
"""The process id of `regulars serve`; its workers stop when it is gone."""

OPERATIONS_SECRET_VARIABLE = "REGULARS_OPERATIONS_SECRET"  # noqa: S105 - the name of a variable
"""The secret by which workers recognise requests of the operations listener."""

METRICS_FOLDER_VARIABLE = "REGULARS_METRICS_FOLDER"
"""The folder of the metrics that the workers share."""

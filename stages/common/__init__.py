"""What everything stands on: files, parameters, records, locks, tasks."""

"""One durable queue with child processes: progress, cancel, resume."""

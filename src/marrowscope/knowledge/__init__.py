"""The medicine: causes, findings, evidence, checks, care and their sources, as data with typed loaders."""

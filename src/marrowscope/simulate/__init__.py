"""MR physics on label maps: studies with known truth."""

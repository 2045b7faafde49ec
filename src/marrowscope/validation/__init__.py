"""Results against known answers: readers' masks, simulated truth, and how far two of them agree."""

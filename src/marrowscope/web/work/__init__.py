"""What runs in child processes: reading, assessing, concluding, rendering. The server never imports these."""

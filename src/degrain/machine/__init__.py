"""The machine: environment variables, threads and device, and what it is."""

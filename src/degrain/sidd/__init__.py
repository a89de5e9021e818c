"""SIDD's blocks: those of the benchmark, and those of the validation part, by which the literature compares."""

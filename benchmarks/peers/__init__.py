"""What runs in the environment of the peers (`make bench-peers`), which of degrain's dependencies has PyTorch alone."""

"""The training of one network: loop, batches, losses, optimizers, checkpoints."""

"""The training of one network: loop, batches, gradients, schedules, checkpoints."""

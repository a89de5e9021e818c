"""The training loop, the grid of trials and the ledger that remembers them."""

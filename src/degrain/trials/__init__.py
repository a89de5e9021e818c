"""The grid of trials, the ledger that remembers them, and the processes that run them."""

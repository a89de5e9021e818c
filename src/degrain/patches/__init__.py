"""Images as arrays: patches, splits and the memory-mapped patch store."""

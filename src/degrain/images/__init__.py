"""Images as arrays: files, patches, splits and the memory-mapped patch store."""

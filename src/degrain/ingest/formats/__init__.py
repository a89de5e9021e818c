"""Images as published: files of every kind, and what lies packed in archives. Nothing is unpacked to disk."""

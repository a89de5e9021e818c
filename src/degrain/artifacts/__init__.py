"""Typed records of what one stage leaves for another or for a person: the fields, reading and writing, side by side."""

"""Studies as a whole: whether one can run, how it is composed from the gallery, the reference of all parameters."""

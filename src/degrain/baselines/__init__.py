"""The classical denoisers that every network has to beat."""

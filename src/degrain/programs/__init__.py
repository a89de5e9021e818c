"""Other programs, which end with whoever started them: git, DVC, and degrain in another folder."""

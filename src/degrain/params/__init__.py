"""The study, typed: what params.yaml may say, and what each parameter means.

The texts of the fields are the reference page docs/params.md (`degrain params` prints it).
"""

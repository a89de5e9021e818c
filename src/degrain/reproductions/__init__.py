"""What papers claim against what their studies measure here.

A folder, docs/reproductions, holds the claims, for each study a record <study>.json of what its last recorded run
measured, and that run's figures; the page beside it, docs/reproductions.md, is made of all three.
"""

CLAIMS = "claims.yaml"
FIGURES = "figures"

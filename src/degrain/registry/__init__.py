"""MLflow: publishing trials, and promoting a champion."""

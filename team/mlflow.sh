#!/bin/sh
# Make MLflow's tables or bring them up to date, then start its server with authentication.
set -eu
store=postgresql+psycopg2://degrain@postgres/mlflow
mlflow db upgrade "$store"
exec mlflow server --app-name basic-auth --host 0.0.0.0 --port 5000 --workers 2 \
    --backend-store-uri "$store" --artifacts-destination "s3://$DEGRAIN_MLFLOW_BUCKET" --serve-artifacts

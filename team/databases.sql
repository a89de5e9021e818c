-- PostgreSQL runs this once, when its volume is new. The database prefect is made by POSTGRES_DB.
CREATE DATABASE mlflow;
CREATE DATABASE mlflow_auth;

"""What `import degrain` offers, one file per idea; `degrain/__init__.py` names it."""

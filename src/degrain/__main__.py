"""`python -m degrain` is `degrain`."""

from degrain.cli.main import main

if __name__ == "__main__":
    main()

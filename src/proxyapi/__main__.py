"""`python -m proxyapi` is the `proxyapi` command."""

from proxyapi.cli import main

if __name__ == "__main__":
    main()

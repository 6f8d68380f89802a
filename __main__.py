"""`python -m facebench`: the same as the `facebench` command."""

from .cli.main import main

if __name__ == "__main__":
    main()

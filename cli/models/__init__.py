"""`facebench models`: list, show, make, import, fit and export face models."""

from .importing import import_
from .listing import command, show
from .making import export, fit, make

__all__ = ["command"]

for _subcommand in (show, make, import_, fit, export):
    command.add_command(_subcommand)

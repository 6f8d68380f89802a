"""`facebench models`: list, show, import and export face models."""

from .exporting import export
from .importing import import_
from .listing import command
from .showing import show

__all__ = ["command"]

for _subcommand in (show, import_, export):
    command.add_command(_subcommand)

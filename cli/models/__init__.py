"""`facebench models`: list, show, import and export face models."""

from .importing import import_
from .listing import command, show
from .saving import export

__all__ = ["command"]

for _subcommand in (show, import_, export):
    command.add_command(_subcommand)

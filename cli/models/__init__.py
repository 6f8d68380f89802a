"""`facebench models`: list, show, import, fit and export face models."""

from .fitting import fit
from .importing import import_
from .listing import command, show
from .saving import export

__all__ = ["command"]

for _subcommand in (show, import_, fit, export):
    command.add_command(_subcommand)

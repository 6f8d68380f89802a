"""Finds the packages below this folder, which is itself the package `facebench`."""

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

TOP = ["bench*", "cli*", "distributed*", "recon*", "results*"]


class BuildModules(build_py):  # type: ignore[misc]
    """Leaves this file out of the package that it lies in."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        """Modules of a package as (package, module, file)."""
        found = super().find_package_modules(package, package_dir)
        return [item for item in found if (item[0], item[1]) != ("facebench", "setup")]


setup(
    packages=["facebench", *(f"facebench.{name}" for name in find_packages(include=TOP))],
    cmdclass={"build_py": BuildModules},
)

"""Finds the packages below this folder, which is itself the package `facebench`."""

from setuptools import find_packages, setup

TOP = ["bench*", "cli*", "distributed*", "recon*", "results*"]

setup(packages=["facebench", *(f"facebench.{name}" for name in find_packages(include=TOP))])

"""Readers of datasets, each giving clips and scans."""

"""Networks that come as packages: catalogue, fetching, conversion, cache."""

"""A face model of people, made from MakeHuman's CC0 heads; how it is made and read."""

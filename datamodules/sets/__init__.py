"""The data sets, one a file; `lists` reads the formats of their lists."""

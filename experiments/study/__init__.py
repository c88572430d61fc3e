"""Studies: tables of methods x data sets x measures, over folds and seeds, by one command."""

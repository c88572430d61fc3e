"""`lightning transfer`: features learnt on one data set, a classifier of another, tested on all."""

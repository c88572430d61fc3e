"""Parts of a data set in which no person is on two sides, and the guard that keeps it so."""

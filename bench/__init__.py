"""Side-by-side measurements against peers; each prints a table and writes bench/results/NAME.json."""

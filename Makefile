# Aliases only; dev.py does the work and needs nothing but Python 3.11.
.PHONY: demo test bench
demo test bench:
	python3 dev.py $@

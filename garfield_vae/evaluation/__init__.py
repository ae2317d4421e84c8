"""One run, held against the strips that its training never saw, and the page that shows it.

evaluate.py     the evaluation as a whole: what is measured, in which order, and where it is kept
comparison.py   the measures of `metrics/` applied to whole sets, with their intervals
evidence.py     what a strip costs the model: rate, active units, bounds on the evidence
showcase.py     which strips are shown
findings.py     the figures in plain sentences
charts.py       curves and bars as SVG
report.py       report.html, with all of it inside
"""

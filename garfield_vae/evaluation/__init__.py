"""One run, measured on strips that its training never saw, and the page that shows it.

evaluate.py          the evaluation as a whole: what is measured, in which order, where it is kept
reconstructions.py   errors of test strips' reconstructions
compression.py       bits a strip: rate, where it goes, ELBO
sample_sets.py       sets of strips against sets of real ones
sample_measures.py   what samples of a run are held against: its test and training strips
copying.py           do samples repeat training strips?
factors.py           the latent space against known factors
summary.py           the figures in plain sentences
report.py            report.html, with all of it inside; report_pictures.py chooses its pictures
metrics/             the measures themselves, as pure functions
"""

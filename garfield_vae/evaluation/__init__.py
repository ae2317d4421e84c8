"""The evaluation of a run on test strips, and its report.

evaluate.py          the evaluation as a whole: what is measured, and where the figures are written
reconstructions.py   errors of test strips' reconstructions
compression.py       bits a strip: rate, where it goes, ELBO
sample_sets.py       distances between sets of strips and sets of real ones
sample_measures.py   the test and training strips that samples of a run are compared with
copying.py           are samples copies of training strips?
factors.py           the latent space against known factors
summary.py           the figures in sentences
report.py            report.html; report_pictures.py chooses its pictures
metrics/             the measures themselves, as pure functions
"""

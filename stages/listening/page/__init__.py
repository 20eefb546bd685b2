"""The page: models as one HTML file that names the genres of songs in a browser.

build.py puts it together from the files beside it: `page.html`, `style.css`; `containers.js` and `decode.js` (from a
file to samples), `workers.js` (who computes what), `page.js` (what is seen); and, in a worker, `listen.js` and
`timbre.js` (from samples to probabilities).
"""

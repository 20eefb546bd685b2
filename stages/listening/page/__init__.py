"""The page: models as one HTML file that names the genres of songs in a browser.

build.py puts it together from the files beside it: `page.html`, `style.css`; what comes in, `files.js` and
`microphone.js`; from a file to samples, `containers.js` and `decode.js`; who computes what, `songs.js` and
`workers.js`; in a worker, from samples to probabilities, `listen.js`, with `fourier.js`, `resample.js`,
`front_ends.js`, `timbre.js` and `network.js`; what is made of these, `verdict.js`; what is seen, `table.js`, `song.js`
and `chart.js`; what may be taken away, `saving.js` and `picture.js`; and `page.js`, where it begins. `elements.js` is
what they are written with.
"""

"""The page: models as one HTML file that hears songs in a browser; the door is `__main__.py`.

Python puts it together from the files beside this one: `page.html`, `style.css`, `decode.js` (from a file to samples),
`page.js` (what is seen) and `listen.js` (from samples to probabilities, in a worker).
"""

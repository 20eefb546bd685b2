"""Importing: of a process that imports this first, the other imports, torch above all, take a fifth less time.

Ctrl-C ends it meanwhile, without the traceback that it is in an import. `imported` in running.py turns both back.
"""

import gc
import signal

gc.disable()  # none of torch's million objects is garbage
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # behind a shell's `&` it is ignored
    signal.signal(signal.SIGINT, signal.SIG_DFL)

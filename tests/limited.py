"""Stages, each in a process of its own, forked from one that has imported them: a tenth of the time of `python -m`.

    python tests/limited.py CPU_SECONDS BYTES PATIENCE STAGE...

Each line on stdin is the JSON of a stage's name and the folder to run it in, each on stdout that of its exit code and
what it said on stderr.
"""

import importlib
import json
import os
import resource
import runpy
import signal
import sys
import warnings

seconds, most, patience = map(int, sys.argv[1:4])
for name in sys.argv[4:]:
    importlib.import_module(f"stages.{name}")
warnings.simplefilter("ignore")  # of runpy: that the module has been imported before
os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])  # a thread asks for memory of its own
for line in sys.stdin:
    name, folder = json.loads(line)
    read, write = os.pipe()
    if not os.fork():
        os.dup2(os.open(os.devnull, os.O_RDWR), 1)
        os.dup2(write, 2)
        os.chdir(folder)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        signal.alarm(patience)
        sys.argv = [name]
        runpy.run_module(f"stages.{name}", run_name="__main__")
        sys.exit()
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as said:
        text = said.read()
    print(json.dumps([os.waitstatus_to_exitcode(os.wait()[1]), text]), flush=True)

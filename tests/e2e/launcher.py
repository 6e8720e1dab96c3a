"""Run as a script, as ``launcher.py PARENT_PID PROGRAM [ARGUMENT…]``: the program gets SIGTERM when its parent dies.

So nothing outlives tests that were killed. The program takes this process over, under the same pid.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1

ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent ended before the program began")
os.execv(sys.argv[2], sys.argv[2:])

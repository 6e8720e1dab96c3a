"""Run by every interpreter that has this directory on its path: sets its time of day as far off as a file says."""

import os

from tests.faults.stepped import follow

follow(os.environ["FAULTS_CLOCK"])

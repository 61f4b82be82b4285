"""``python -m gtlab.localcloud.proof``: run the simulation."""

import sys

from gtlab.localcloud.proof.command import main

sys.exit(main())

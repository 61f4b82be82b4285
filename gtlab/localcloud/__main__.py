"""``python -m gtlab.localcloud``: the server process, which ``gtlab up`` starts."""

import sys

from gtlab.localcloud.server.main import main

sys.exit(main())

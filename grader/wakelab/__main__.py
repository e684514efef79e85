"""`python -m wakelab`."""

import sys

from wakelab.cli import main

sys.exit(main())

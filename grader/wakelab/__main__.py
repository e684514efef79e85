"""`python -m wakelab`."""

import sys

from wakelab.interrupts import quiet_until_heard

quiet_until_heard()  # the imports that follow take a while

from wakelab.cli import main  # noqa: E402

sys.exit(main())

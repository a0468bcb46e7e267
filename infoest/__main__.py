"""Run the command line as ``python -m infoest``."""

import sys

from infoest.cli import main

sys.exit(main())

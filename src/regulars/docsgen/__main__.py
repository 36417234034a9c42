"""`python -m regulars.docsgen FOLDER` writes all generated pages into the folder of the documentation."""

import sys
from pathlib import Path

from regulars.docsgen.pages import write_all

if __name__ == "__main__":
    write_all(Path(sys.argv[1]))

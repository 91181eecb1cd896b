"""`python -m worker.decoder`: a child in a process of its own, for where none can be forked.

It is confined before it loads a decoder, and so may read the libraries.
"""

import sys

from worker.decoder.child import main

if __name__ == "__main__":
    main(parent_pid=int(sys.argv[1]))

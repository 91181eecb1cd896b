"""`python -m api`: serve both listeners and sweep, until SIGTERM or SIGINT."""

import gc
import sys


def main() -> int:
    # Of what is imported nothing is garbage, and looking for it would take a fifth of the start.
    # It is looked for again once all is there.
    gc.disable()
    from api.serving import main as serve  # noqa: PLC0415 - only after this

    return serve()


if __name__ == "__main__":
    sys.exit(main())

"""`python -m shared.check_forms FOLDER`: whether the form definitions in a folder can be used.

Prints one line for each definition, or for each fault in any. Exit status 1 when there is one.
"""

import argparse
import sys
from pathlib import Path

from shared.finding import Finding, ok, show, wrong
from shared.form_definition import FormDefinitionError, load_form_types


def check(folder: Path) -> list[Finding]:
    """The form types of `folder`, or all that is wrong with any."""
    try:
        form_types = load_form_types(folder)
    except FormDefinitionError as error:
        return [wrong("form type", line) for line in error.lines]
    return [
        ok("form type", f"{name}: {', '.join(each.file_fields) or 'no files'}")
        for name, each in form_types.items()
    ]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m shared.check_forms", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("forms"))
    return show(check(parser.parse_args(arguments).folder))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

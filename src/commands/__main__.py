"""The program that ``run_all.sh`` starts: the command line, guarded from the first import on."""

import signal
import sys

from commands.last_resort import guarded


def _command_line() -> int:
    # run_all.sh ignores it until here, where a line can be printed.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from commands.main import main

    return main()


if __name__ == "__main__":
    sys.exit(guarded(_command_line))

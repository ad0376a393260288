"""What the scripts of this folder have in common: one process that stays, so that its start is not what is compared.

Line protocol. The script writes one line: "ready DESCRIPTION", or "skip REASON" and ends. Then, for each line that it reads, a path, it
loads that file once and writes one line: the seconds, or "skip REASON". What was loaded is freed before the next line is read.
"""
import sys
import time


def say(text):
    print(str(text).replace("\n", " "), flush=True)


def check_arguments(usage, *allowed):
    """Ends with the script's description where its arguments are not these: for each the words it may be, None for any."""
    given = sys.argv[1:]
    if len(given) != len(allowed) or any(words and word not in words for word, words in zip(given, allowed)):
        print(usage, file=sys.stderr)
        sys.exit(2)


def skip(reason):
    say(f"skip {reason}")
    sys.exit(0)


def serve(description, load):
    say(f"ready {description}")
    for line in sys.stdin:
        path = line.rstrip("\n")
        try:
            started = time.perf_counter()
            loaded = load(path)
            seconds = time.perf_counter() - started
            # A loader that measures itself gives the seconds.
            answer = repr(loaded if isinstance(loaded, float) else seconds)
            del loaded
            say(answer)
        except Exception as error:  # the harness shows why
            say(f"skip {type(error).__name__}: {error}")

"""llama.cpp: the load time that llama-cli reports for a GGUF file."""
import re
import shutil
import subprocess

from peer import check_arguments, serve, skip

check_arguments(__doc__)

program = shutil.which("llama-cli")
if program is None:
    skip("llama.cpp's llama-cli is not on the PATH")


def load(path):
    run = subprocess.run(
        [program, "-m", path, "-p", "a", "-n", "1", "-ngl", "0", "--no-warmup", "-no-cnv"], capture_output=True, text=True, timeout=120)
    found = re.search(r"load time =\s*([0-9.]+) ms", run.stderr)
    if not found:
        raise RuntimeError((run.stderr.strip().splitlines() or ["llama-cli says no load time"])[-1])
    return float(found.group(1)) / 1000


serve(program, load)

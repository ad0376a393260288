"""The safetensors package: safetensors_load.py torch|numpy. A path may be several, separated by tabs: the shards of a checkpoint."""
import importlib
import sys

from peer import check_arguments, serve, skip

check_arguments(__doc__, ["torch", "numpy"])

try:
    import safetensors

    load_file = importlib.import_module(f"safetensors.{sys.argv[1]}").load_file
except ImportError as error:
    skip(f"the safetensors package is not installed: {error}")

serve(f"safetensors {safetensors.__version__}", lambda paths: [load_file(path) for path in paths.split("\t")])

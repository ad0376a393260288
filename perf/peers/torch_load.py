"""torch.load into fresh tensors: torch_load.py plain|mmap. Legacy files (torch_legacy.py) are read by "plain" too."""
import inspect
import sys

from peer import check_arguments, serve, skip

check_arguments(__doc__, ["plain", "mmap"])

try:
    import torch
except ImportError as error:
    skip(f"PyTorch is not installed: {error}")

options = {"map_location": "cpu"}
known = inspect.signature(torch.load).parameters
if "weights_only" in known:
    options["weights_only"] = True
if sys.argv[1:] == ["mmap"]:
    if "mmap" not in known:
        skip(f"torch {torch.__version__} has no torch.load(mmap=True)")
    options["mmap"] = True
serve(f"torch {torch.__version__}", lambda path: torch.load(path, **options))

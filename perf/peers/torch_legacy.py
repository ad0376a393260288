"""Writes a PyTorch file again in the format before zip archives: torch_legacy.py FROM TO."""
import sys

from peer import check_arguments

check_arguments(__doc__, None, None)

import torch

torch.save(torch.load(sys.argv[1], map_location="cpu"), sys.argv[2], _use_new_zipfile_serialization=False)

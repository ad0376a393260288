"""NumPy: numpy_load.py copy (np.load), mmap (np.load, mapped, nothing touched) or raw (np.fromfile of all bytes, whatever they are)."""
import sys

from peer import check_arguments, serve, skip

check_arguments(__doc__, ["copy", "mmap", "raw"])

try:
    import numpy
except ImportError as error:
    skip(f"NumPy is not installed: {error}")

modes = {
    "copy": lambda path: numpy.load(path),
    "mmap": lambda path: numpy.load(path, mmap_mode="r"),
    "raw": lambda path: numpy.fromfile(path, dtype=numpy.uint8),
}
serve(f"NumPy {numpy.__version__}", modes[sys.argv[1]])

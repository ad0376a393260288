"""What people load safetensors with today, for gpu-bench to hold its own figures against.

Started as `peers.py DEVICE` (cuda:0, or cpu for trying). Writes one line of JSON with versions, or with why it cannot run;
then answers each line of JSON on standard input with {"seconds": ...} or {"error": ...}.
"""

import gc
import json
import sys
import time


def main():
    device = sys.argv[1]
    try:
        import torch
        from safetensors import __version__ as safetensors_version
        from safetensors.torch import load_file
    except ImportError as error:
        answer({"error": str(error)})
        return
    if device != "cpu" and not torch.cuda.is_available():
        answer({"error": "torch.cuda.is_available() is False"})
        return

    def synchronise():
        if device != "cpu":
            torch.cuda.synchronize()

    def load(request):
        started = time.perf_counter()
        tensors = {}
        for path in request["files"]:
            shard = load_file(path, device=device)
            if request["f32"]:
                # One at a time, so that both of a tensor are there only while it is converted.
                for name in list(shard):
                    tensors[name] = shard.pop(name).to(torch.float32)
            else:
                tensors.update(shard)
        synchronise()
        seconds = time.perf_counter() - started
        del tensors, shard
        return seconds

    def upload(request):
        piece = 64 << 20
        host = [torch.ones(piece, dtype=torch.uint8) for _ in range(2)]
        if device != "cpu":
            host = [block.pin_memory() for block in host]
        there = torch.empty(2, piece, dtype=torch.uint8, device=device)
        synchronise()
        seconds = []
        for _ in range(2):
            started = time.perf_counter()
            for i in range(max(1, request["bytes"] // piece)):
                there[i % 2].copy_(host[i % 2], non_blocking=True)
            synchronise()
            seconds.append(time.perf_counter() - started)
        # The first one warms up.
        return seconds[1]

    if device != "cpu":
        torch.cuda.init()
        torch.ones(1, device=device)
        synchronise()
    facts = {"torch": torch.__version__, "safetensors": safetensors_version, "python": sys.version.split()[0]}
    if device != "cpu":
        facts["gpu"] = torch.cuda.get_device_name(device)
        facts["cuda"] = torch.version.cuda
    answer(facts)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            seconds = load(request) if request["do"] == "load" else upload(request)
            answer({"seconds": seconds})
        except Exception as error:  # reported, and the next request is still answered
            answer({"error": f"{type(error).__name__}: {error}"})
        # The memory is needed by the other side of the comparison.
        gc.collect()
        if device != "cpu":
            torch.cuda.empty_cache()


def answer(content):
    print(json.dumps(content), flush=True)


main()

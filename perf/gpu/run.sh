#!/bin/sh
# Checks and measures on the machine it is run on: what is right first, then how fast it is. Needs nothing but this folder, which
# bundle.sh made, and for PyTorch's figures a python3 with torch and safetensors. Ends with 0 where all checks passed, 1 where one
# did not (the report says which), 2 for wrong options and 3 where there is no such device. All options: ./run.sh --help
set -eu
here=$(cd "$(dirname "$0")" && pwd)

# The runtime that came along and no other, wherever one may be installed; nothing of it is written outside of this folder.
export DOTNET_ROOT="$here/dotnet" DOTNET_MULTILEVEL_LOOKUP=0 DOTNET_CLI_TELEMETRY_OPTOUT=1
exec "$here/dotnet/dotnet" "$here/app/gpu-bench.dll" \
  --golden "$here/golden" --samples "$here/samples" --sample "$here/sample/IlgpuApp.dll" --peers "$here/peers.py" "$@"

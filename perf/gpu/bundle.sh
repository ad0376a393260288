#!/usr/bin/env bash
# Makes one archive that runs on a Linux machine with neither .NET nor a network: gpu-bench, the sample application, the golden
# files, the sample checkpoint, and the runtime of the SDK that builds it (registries need not serve runtime packs).
# Usage: perf/gpu/bundle.sh [FILE]     (artifacts/gpu-bench.tar.xz)
set -euo pipefail
cd "$(dirname "$0")/../.."
archive=$(realpath -m "${1:-artifacts/gpu-bench.tar.xz}")
# What the archive may weigh: what the machines that it is carried to take.
limit=$((60 * 1000 * 1000))

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bundle=$work/gpu-bench
mkdir -p "$bundle/dotnet/host/fxr" "$bundle/dotnet/shared/Microsoft.NETCore.App" "$bundle/golden" "$bundle/samples"

# No host executable: dotnet, which comes along, starts both.
dotnet publish perf/gpu -c Release -o "$bundle/app" --no-self-contained -p:UseAppHost=false -p:DebugType=none
dotnet publish samples/IlgpuApp -c Release -o "$bundle/sample" --no-self-contained -p:UseAppHost=false -p:DebugType=none
if [ ! -f "$bundle/app/ILGPU.dll" ]; then
  echo "ILGPU was not restored here, so that the bundle would know no GPU." >&2
  exit 1
fi

muxer=$(realpath "$(command -v dotnet)")
root=$(dirname "$muxer")
version=$(dotnet --list-runtimes | awk '$1 == "Microsoft.NETCore.App" && $2 ~ /^10\./ { version = $2 } END { print version }')
cp "$muxer" "$bundle/dotnet/"
cp -r "$root/host/fxr/$version" "$bundle/dotnet/host/fxr/"
cp -r "$root/shared/Microsoft.NETCore.App/$version" "$bundle/dotnet/shared/Microsoft.NETCore.App/"
cp "$root"/LICENSE.txt "$root"/ThirdPartyNotices.txt "$bundle/dotnet/"

cp tests/TestKit/Golden/*.zip "$bundle/golden/"
cp -r samples/tiny-llama "$bundle/samples/"
cp perf/gpu/run.sh perf/gpu/peers.py perf/gpu/README.md "$bundle/"
git rev-parse HEAD > "$bundle/commit" 2>/dev/null || echo unknown > "$bundle/commit"

mkdir -p "$(dirname "$archive")"
tar -C "$work" -cf - gpu-bench | xz -T0 -6 > "$archive"
size=$(stat -c %s "$archive")
echo "$archive: $size bytes"
if [ "$size" -gt "$limit" ]; then
  echo "That is more than $limit bytes." >&2
  exit 1
fi

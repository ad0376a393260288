using System.Diagnostics;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Puts the bytes of staged runs where they belong, through the stream of one lane. Not safe for several threads.</summary>
/// <remarks>
/// Neighbours of a run that are neighbours of one memory too, as tensors of a slab are, go there as one piece: a copy or a kernel for a
/// whole slot instead of one for each tensor.
/// </remarks>
internal sealed class RunPlacer(LoadPlan plan, IDestinations destinations, DeviceStream stream, LaneClock clock)
{
    /// <summary>Places all parts of a run.</summary>
    /// <param name="run">The run.</param>
    /// <param name="bytes">What it keeps of its bytes.</param>
    public void Place(in ReadRun run, ReadOnlySpan<byte> bytes)
    {
        var end = run.FirstPlacement + run.PlacementCount;
        for (var next = run.FirstPlacement; next < end;)
        {
            var placement = plan.Placements[next++];
            var planned = plan.Destination(placement.Destination);
            var tensor = destinations[placement.Destination];
            var position = tensor.ByteOffset + placement.DestinationOffset;
            if (planned.HasSegments && planned.Segments is { CutsGroups: true } segments)
            {
                PlaceParts(bytes.Slice(placement.RunOffset, placement.ByteLength), planned.Source.DType, segments, tensor, position);
                continue;
            }

            var (staged, placed) = ((long)placement.ByteLength, PlacedBytes(planned, placement));
            for (; next < end && Follows(plan.Placements[next], placement.RunOffset + staged, planned, tensor.Memory, position + placed); next++)
            {
                staged += plan.Placements[next].ByteLength;
                placed += PlacedBytes(planned, plan.Placements[next]);
            }

            clock.AddFirstTouch(tensor.Memory.Populate(position, placed));
            var started = Stopwatch.GetTimestamp();
            stream.Place(bytes.Slice(placement.RunOffset, (int)staged), planned.Source.DType, tensor.Memory, position, tensor.DType);
            clock.AddPlacing(Stopwatch.GetElapsedTime(started), isDecoding: planned.Source.DType != tensor.DType);
        }
    }

    private static long PlacedBytes(PlannedTensor planned, in Placement placement)
    {
        var stored = planned.Source.DType;
        return planned.DType.ByteCount(placement.ByteLength / (long)stored.BlockSize * stored.BlockLength * planned.ValuesPerElement);
    }

    private bool Follows(in Placement placement, long runOffset, PlannedTensor before, DeviceMemory memory, long position)
    {
        var (planned, tensor) = (plan.Destination(placement.Destination), destinations[placement.Destination]);
        return placement.RunOffset == runOffset
            && planned.DType == before.DType
            && planned.Source.DType == before.Source.DType
            && ReferenceEquals(tensor.Memory, memory)
            && tensor.ByteOffset + placement.DestinationOffset == position
            && !(planned.HasSegments && planned.Segments.CutsGroups);
    }

    private void PlaceParts(ReadOnlySpan<byte> staged, DType stored, in SliceSegments segments, Tensor tensor, long position)
    {
        var length = (int)segments.ByteLength;
        var kept = tensor.DType.ByteCount(segments.KeptElements);
        clock.AddFirstTouch(tensor.Memory.Populate(position, staged.Length / length * kept));
        var started = Stopwatch.GetTimestamp();
        for (; !staged.IsEmpty; staged = staged[length..], position += kept)
        {
            stream.PlacePart(staged[..length], stored, segments.SkippedElements, segments.KeptElements, tensor.Memory, position, tensor.DType);
        }

        clock.AddPlacing(Stopwatch.GetElapsedTime(started), isDecoding: stored != tensor.DType);
    }
}

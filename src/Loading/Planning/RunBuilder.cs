using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Turns tensors into runs: cuts large ones on block boundaries, merges small neighbours into runs of at most one slot,
/// and finds the cheapest way to read slices whose bytes do not lie side by side.
/// </summary>
/// <param name="readsInPlace">Whether bytes that need no decoding are read straight into their place.</param>
/// <param name="slotBytes">How much of a staging slot a run fills.</param>
/// <param name="viewBytes">How much of it a run of a gathered view fills, whose pieces may be larger.</param>
/// <param name="partBytes">How long a part of a row that is decoded from one slot may be: longer than others where those leave room for whole blocks of a file.</param>
/// <param name="keepsTensorsWhole">Whether a run that holds a part of a tensor holds nothing else, as hashing needs it.</param>
/// <param name="readsExactly">Whether segments of a slice are read apart however short they are.</param>
/// <param name="runAlignment">What runs that are read straight into their place end at multiples of, in their file, where they can.</param>
internal sealed class RunBuilder(bool readsInPlace, int slotBytes, int viewBytes, int partBytes, bool keepsTensorsWhole, bool readsExactly, int runAlignment = 1)
{
    // One read this long keeps a disk busy and costs the lanes nothing in balance (the block size of the fastest loaders).
    private const int InPlaceRunBytes = 16 << 20;

    // Null while they are only counted.
    private ImmutableArray<ReadRun>.Builder? _runs;
    private ImmutableArray<Placement>.Builder? _placements;
    private int _runCount;
    private int _placementCount;

    // The staged run that is being filled: not in _runs yet.
    private ReadRun _open;

    /// <summary>Adds the runs of a tensor; tensors come in file order.</summary>
    /// <param name="index">The tensor's index in the plan, or its block's.</param>
    /// <param name="tensor">The tensor, or the memory of a block.</param>
    /// <param name="file">Its file's index in the checkpoint.</param>
    public void Add(int index, PlannedTensor tensor, int file)
    {
        if (tensor.IsMapped)
        {
            AddMapped(index, tensor, file);
            return;
        }

        if (!tensor.HasSegments)
        {
            var part = tensor.Part;
            if (part.IsContiguous)
            {
                AddRange(index, tensor, file, part.DataOffset, part.DataByteLength, 0);
            }
            else
            {
                AddView(index, tensor, file, part);
            }

            return;
        }

        var segments = tensor.Segments;
        if (segments.Count == 1 && !segments.CutsGroups)
        {
            AddRange(index, tensor, file, tensor.Source.DataOffset + segments.FirstByte, segments.ByteLength, 0);
        }
        else if (segments.Count > 0)
        {
            AddSegments(index, tensor, file, segments);
        }
    }

    /// <summary>Finds all runs, in arrays that are made once and in their size: there may be millions.</summary>
    /// <param name="addAll">Adds the runs of all tensors, called twice: they are counted first.</param>
    public (ImmutableArray<ReadRun> Runs, ImmutableArray<Placement> Placements) Build(Action<RunBuilder> addAll)
    {
        addAll(this);
        CloseRun();
        _runs = ImmutableArray.CreateBuilder<ReadRun>(_runCount);
        _placements = ImmutableArray.CreateBuilder<Placement>(_placementCount);
        (_runCount, _placementCount) = (0, 0);
        addAll(this);
        CloseRun();
        return (_runs.MoveToImmutable(), _placements.MoveToImmutable());
    }

    private bool CanBeInPlace(PlannedTensor tensor) => readsInPlace && tensor.DType == tensor.Source.DType;

    // The host reads large ranges that need no decoding straight into place; small ones share a read through a slot.
    // "done" is how many stored bytes of the tensor come before the range.
    private void AddRange(int index, PlannedTensor tensor, int file, long offset, long length, long done)
    {
        if (CanBeInPlace(tensor) && length >= slotBytes)
        {
            AddInPlace(index, file, offset, length, done);
        }
        else
        {
            AddStaged(index, tensor, file, offset, length, done);
        }
    }

    private void AddInPlace(int index, int file, long offset, long length, long done)
    {
        CloseRun();
        for (long added = 0; added < length; added += InPlaceRunBytes)
        {
            // The first ends with a block of the file where that counts, so that the others consist of whole ones.
            var part = (int)Math.Min(InPlaceRunBytes - ((offset + added) % runAlignment), length - added);
            AddRun(new ReadRun(file, offset + added, part, part, _placementCount, 1, RunKind.InPlace));
            AddPlacement(new Placement(index, 0, part, done + added));
        }
    }

    // Nothing of it is placed, but all of it is looked at, in parts that are as long as those of others.
    private void AddMapped(int index, PlannedTensor tensor, int file)
    {
        CloseRun();
        var (offset, length) = tensor.Range!.Value;
        for (long added = 0; added < length; added += slotBytes)
        {
            var part = (int)Math.Min(slotBytes, length - added);
            AddRun(new ReadRun(file, offset + added, part, part, _placementCount, 1, RunKind.Mapped));
            AddPlacement(new Placement(index, 0, part, added));
        }
    }

    private void AddStaged(int index, PlannedTensor tensor, int file, long offset, long length, long done)
    {
        var block = tensor.Source.DType.BlockSize;
        var stands = keepsTensorsWhole && length > slotBytes - _open.ByteLength;
        if (stands)
        {
            CloseRun();
        }

        for (long added = 0; added < length;)
        {
            if (_open.PlacementCount > 0 && (_open.File != file || _open.Offset + _open.ByteLength != offset + added))
            {
                CloseRun();
            }

            var room = (slotBytes - _open.ByteLength) / block * block;
            if (room == 0)
            {
                CloseRun();
                continue;
            }

            var part = (int)Math.Min(room, length - added);
            if (_open.PlacementCount == 0)
            {
                _open = new ReadRun(file, offset + added, 0, 0, _placementCount, 0, RunKind.Staged);
            }

            AddPlacement(new Placement(index, _open.ByteLength, part, DestinationOffset(tensor, done + added)));
            var bytes = _open.ByteLength + part;
            _open = _open with { ByteLength = bytes, KeptByteLength = bytes, PlacementCount = _open.PlacementCount + 1 };
            added += part;
        }

        if (stands && length > slotBytes)
        {
            CloseRun();
        }
    }

    // Segments apart cost a read each; in one read they cost the bytes between them. So they are read apart where they
    // are so long that a read's own cost does not count (and not a byte is wasted), and where the gap between two is
    // longer than a read costs, or where the caller asks for it; otherwise a read takes in as many of them as a slot holds with their gaps.
    private void AddSegments(int index, PlannedTensor tensor, int file, SliceSegments segments)
    {
        var isLong = segments.ByteLength >= ReadCost.Bytes;
        if (segments.CutsGroups && segments.ByteLength > partBytes)
        {
            // Such a part is decoded from one slot. Rows of models are some tens of kilobytes; a slot has a megabyte, or where
            // memory for staging is short 64 KiB.
            var (part, group) = (segments.Count == 1 ? "the tensor" : "a row", tensor.Source.DType.IsBlock ? "block" : "byte");
            throw new UnsupportedCheckpointException(
                $"slices within {group}s of {tensor.Source.DType.Name}",
                tensor.Source.File.Path,
                $"its rank's part of {part} takes {segments.ByteLength} bytes and begins or ends inside a {group}, and a staging slot has {partBytes}; "
                + "load it whole, or over another number of ranks.",
                tensor.Source.File.Format,
                tensor.Name);
        }

        if ((segments.ByteLength > slotBytes && !segments.CutsGroups) || (isLong && CanBeInPlace(tensor)))
        {
            for (long i = 0; i < segments.Count; i++)
            {
                AddSegment(index, tensor, file, segments, i);
            }

            return;
        }

        CloseRun();
        var length = (int)segments.ByteLength;
        var apart = isLong || readsExactly || segments.StrideBytes - segments.ByteLength >= ReadCost.Bytes;
        var mostInRun = length > slotBytes ? 1 : apart ? slotBytes / length : ((slotBytes - length) / segments.StrideBytes) + 1;
        for (long i = 0; i < segments.Count; i += mostInRun)
        {
            var count = (int)Math.Min(mostInRun, segments.Count - i);
            var kept = count * length;
            var read = apart ? kept : (int)((count - 1) * segments.StrideBytes) + length;
            var kind = count == 1 ? RunKind.Staged : apart ? RunKind.Gathered : RunKind.Sieved;
            var offset = tensor.Source.DataOffset + segments.FirstByte + (i * segments.StrideBytes);
            AddRun(new ReadRun(file, offset, read, kept, _placementCount, 1, kind));
            var destination = segments.CutsGroups ? tensor.DType.ByteCount(i * segments.KeptElements) : DestinationOffset(tensor, i * length);
            AddPlacement(new Placement(index, 0, kept, destination));
        }
    }

    private void AddView(int index, PlannedTensor tensor, int file, TensorInfo part)
    {
        CloseRun();
        var block = part.DType.BlockSize;
        var most = viewBytes / block * block;
        for (long done = 0; done < part.DataByteLength; done += most)
        {
            var length = (int)Math.Min(most, part.DataByteLength - done);
            AddRun(new ReadRun(file, part.DataOffset, length, length, _placementCount, 1, RunKind.Viewed));
            AddPlacement(new Placement(index, 0, length, DestinationOffset(tensor, done)));
        }
    }

    private void AddSegment(int index, PlannedTensor tensor, int file, SliceSegments segments, long segment)
    {
        var offset = tensor.Source.DataOffset + segments.FirstByte + (segment * segments.StrideBytes);
        var done = segment * segments.ByteLength;
        if (CanBeInPlace(tensor))
        {
            // No neighbour could share the read: a slot between would only add a copy.
            AddInPlace(index, file, offset, segments.ByteLength, done);
        }
        else
        {
            AddStaged(index, tensor, file, offset, segments.ByteLength, done);
        }
    }

    // Where the elements behind so many stored bytes go. Complex numbers become pairs: two values for one stored element.
    private static long DestinationOffset(PlannedTensor tensor, long storedBytes)
    {
        var dtype = tensor.Source.DType;
        return tensor.DType.ByteCount(storedBytes / dtype.BlockSize * dtype.BlockLength * tensor.ValuesPerElement);
    }

    private void CloseRun()
    {
        if (_open.PlacementCount > 0)
        {
            AddRun(_open);
        }

        _open = default;
    }

    private void AddRun(in ReadRun run)
    {
        _runCount = checked(_runCount + 1);
        _runs?.Add(run);
    }

    private void AddPlacement(in Placement placement)
    {
        _placementCount = checked(_placementCount + 1);
        _placements?.Add(placement);
    }
}

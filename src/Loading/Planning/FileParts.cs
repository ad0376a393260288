using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Sums up what a plan reads of each file of a checkpoint. Not safe for several threads.</summary>
internal sealed class FileParts(Checkpoint checkpoint)
{
    private readonly Dictionary<CheckpointFile, int> _indexes =
        checkpoint.Files.Select((file, index) => (file, index)).ToDictionary(pair => pair.file, pair => pair.index);

    /// <summary>The part of each file, by its index in the checkpoint.</summary>
    public FilePart[] Parts { get; } = new FilePart[checkpoint.Files.Length];

    /// <summary>The bytes of all parts.</summary>
    public long Bytes => Parts.Sum(part => part.Bytes);

    /// <summary>The bytes that become of them.</summary>
    public long DestinationBytes { get; private set; }

    /// <summary>The index of a tensor's file.</summary>
    public int IndexOf(PlannedTensor tensor) => _indexes[tensor.Source.File];

    /// <summary>Adds what is read for a tensor, or for the memory of a block.</summary>
    public void Add(PlannedTensor tensor)
    {
        var index = IndexOf(tensor);
        var source = tensor.Source;
        // Of a slice or a view it is somewhere there.
        Parts[index] = Parts[index].With(source.Offset, source.Offset + source.ByteLength, tensor.SourceByteLength);
        DestinationBytes = checked(DestinationBytes + tensor.ByteLength);
    }

    /// <summary>The bytes of the files that are read in a mode.</summary>
    public long BytesOf(ImmutableArray<FileReadMode> modes, ReadMode mode) => Parts.Where((_, i) => modes[i].Mode == mode).Sum(part => part.Bytes);
}

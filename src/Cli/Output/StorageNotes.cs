using IlgpuLoader.Formats;

namespace IlgpuLoader.Cli.Output;

/// <summary>What is said of tensors that are views of a storage: their strides, and whose bytes they share.</summary>
internal sealed class StorageNotes
{
    // The first tensor of each storage that has views; null where there are none, as in most checkpoints.
    private readonly Dictionary<(CheckpointFile File, long Offset, long ByteLength), string>? _first;

    /// <param name="tensors">All tensors of the checkpoint, in its order.</param>
    public StorageNotes(IReadOnlyCollection<TensorInfo> tensors)
    {
        if (tensors.All(tensor => tensor.IsWholeStorage))
        {
            return;
        }

        _first = [];
        foreach (var tensor in tensors)
        {
            _first.TryAdd(StoredSize.StorageOf(tensor), tensor.Name);
        }
    }

    /// <summary>The tensor whose storage a view is part of; null where it is the first, or has all of a storage.</summary>
    public string? SharedWith(TensorInfo tensor) =>
        _first is not null && !tensor.IsWholeStorage && tensor.ElementCount > 0 && _first[StoredSize.StorageOf(tensor)] is var first && first != tensor.Name
            ? first
            : null;

    /// <summary>In a few words: what a tensor is tied to, or what it is a view of; empty for one that has a storage of its own.</summary>
    public string Describe(TensorInfo tensor)
    {
        var parts = new List<string>();
        if (tensor.TiedTo is { } tied)
        {
            parts.Add($"tied to {Quoted.Plain(tied)}");
        }

        if (!tensor.IsWholeStorage)
        {
            parts.Add($"view with strides [{string.Join(", ", tensor.Strides)}] at {tensor.StorageOffset}");
            if (!tensor.IsContiguous)
            {
                parts.Add("not contiguous");
            }

            if (SharedWith(tensor) is { } first && first != tensor.TiedTo)
            {
                parts.Add($"shares the bytes of {Quoted.Plain(first)}");
            }
        }

        return string.Join(", ", parts);
    }
}

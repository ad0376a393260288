using System.Collections.Immutable;
using IlgpuLoader.Formats.Pickle;

namespace IlgpuLoader.Formats.Torch;

/// <summary>Makes the content of a file of what its pickle holds: tensors in the order of their bytes, with ties.</summary>
internal static class TorchContent
{
    // Where training checkpoints keep the weights.
    private static readonly string[] WeightsRoots = ["state_dict", "model", "model_state_dict"];

    /// <summary>
    /// Shares the size of a file among those who may take memory for it: what its pickle makes, and what is made of that.
    /// </summary>
    /// <param name="file">The file.</param>
    /// <param name="held">What is held of it in memory, in bytes.</param>
    public static long HalfOfRest(CheckpointFile file, long held) => Math.Max(0, file.Length - held) / 2;

    /// <summary>Interprets a pickle.</summary>
    /// <param name="file">The file.</param>
    /// <param name="value">What the pickle gave.</param>
    /// <param name="storages">The storages of the file.</param>
    /// <param name="limits">What is accepted.</param>
    /// <param name="held">What is held of the file in memory, in bytes.</param>
    /// <param name="header">What the file is; its storages are counted here.</param>
    /// <param name="cancellationToken">Cancels the interpretation.</param>
    /// <exception cref="CheckpointException">The pickle describes what cannot be.</exception>
    public static FileContent Make(
        CheckpointFile file, object value, TorchStorages storages, TorchLimits limits, long held, TorchHeader header, CancellationToken cancellationToken)
    {
        var findings = new TorchFindings(file, limits.MaximumEntryBytes + HalfOfRest(file, held));
        var records = new TorchRecord(file);
        var values = new TorchValues(records, findings);
        var wrappers = new TorchWrappers(records, findings);
        var tensors = new TorchTensors(
            file, records, storages, values, new TorchArrays(records, values, findings), wrappers, findings, limits.MaximumExpandedBytes);
        new TorchWalk(records, tensors, values, wrappers, findings).Run(value, cancellationToken);

        var opened = new CheckpointFile(file.Name, file.Path, file.Format, Source(file, findings))
        {
            Header = header with { StorageCount = storages.Count, Locations = findings.Locations },
            Length = file.Length,
            Checksums = file.Checksums,
        };
        return new FileContent(Arrange(findings.Tensors, opened), findings.Metadata)
        {
            File = opened,
            WeightsRoot = RootOf(value, findings.Tensors),
            Warnings = findings.Tensors.Count == 0 && storages.Count > 0
                ? [.. findings.Warnings, $"the file has {storages.Count} storages, and no tensor is read from them: nothing in the pickle that is looked at holds one."]
                : findings.Warnings,
        };
    }

    private static IByteSource Source(CheckpointFile file, TorchFindings findings)
    {
        var swapped = new Dictionary<TorchStorage, TorchFinding>();
        foreach (var tensor in findings.Tensors)
        {
            if (tensor.Storage.IsBigEndian && !swapped.TryAdd(tensor.Storage, tensor) && swapped[tensor.Storage].NumberSize != tensor.NumberSize)
            {
                throw new UnsupportedCheckpointException(
                    "big-endian numbers of two sizes in one storage",
                    file.Path,
                    $"its storage holds big-endian numbers of {tensor.NumberSize} bytes, and of {swapped[tensor.Storage].NumberSize} for tensor "
                    + $"{Quoted.Name(swapped[tensor.Storage].Path.Name)}: bytes can be turned round in one way only. Save them as copies of their own.",
                    TorchConstants.Format,
                    tensor.Path.Name);
            }
        }

        var source = AppendedSource.Over(file.Source, findings.Sections);
        return swapped.Values.All(tensor => tensor.NumberSize == 1)
            ? source
            : ByteOrderSource.Over(
                source,
                swapped.Values.Where(tensor => tensor.NumberSize > 1).Select(tensor => new SwappedRange(
                    tensor.Storage.Offset,
                    tensor.Storage.ByteLength / tensor.NumberSize * tensor.NumberSize,
                    tensor.NumberSize,
                    [new SwappedField(0, tensor.NumberSize)])));
    }

    // By their storages in the order of the file, and in one storage by where they begin; an alias right behind what it is one of.
    private static TensorInfo[] Arrange(IReadOnlyList<TorchFinding> found, CheckpointFile file)
    {
        var byStorage = found
            .OrderBy(tensor => tensor.Storage.Offset).ThenBy(tensor => tensor.Storage.Order).ThenBy(tensor => tensor.StorageOffset)
            .ToArray();
        var tensors = new TensorInfo[byStorage.Length];
        for (var first = 0; first < byStorage.Length;)
        {
            var last = first + 1;
            while (last < byStorage.Length && byStorage[last].Storage == byStorage[first].Storage)
            {
                last++;
            }

            if (last == first + 1)
            {
                tensors[first] = Describe(byStorage[first], file, null);
            }
            else
            {
                Tie(byStorage.AsSpan(first..last), tensors.AsSpan(first..last), file);
            }

            first = last;
        }

        return tensors;
    }

    private static void Tie(ReadOnlySpan<TorchFinding> views, Span<TensorInfo> tensors, CheckpointFile file)
    {
        // Grouping keeps the order in which the first of each group came.
        var groups = new OrderedDictionary<ViewKey, List<TorchFinding>>();
        foreach (var view in views)
        {
            var key = new ViewKey(view.DType, view.Shape, view.Strides, view.StorageOffset);
            if (!groups.TryGetValue(key, out var group))
            {
                groups.Add(key, group = []);
            }

            group.Add(view);
        }

        var next = 0;
        foreach (var group in groups.Values)
        {
            foreach (var view in group)
            {
                tensors[next++] = Describe(view, file, view == group[0] ? null : group[0].Path.Name);
            }
        }
    }

    private static TensorInfo Describe(TorchFinding tensor, CheckpointFile file, string? tiedTo)
    {
        var isWhole = tensor.StorageOffset == 0
            && tensor.DType.ByteCount(tensor.Shape.ElementCount) == tensor.Storage.ByteLength
            && tensor.Strides.AsSpan().SequenceEqual(tensor.Shape.RowMajorStrides().AsSpan());
        return new TensorInfo(tensor.Path.Name, tensor.DType, tensor.Shape, file, tensor.Storage.Offset, tensor.Storage.ByteLength)
        {
            Strides = isWhole ? default : tensor.Strides,
            StorageOffset = tensor.StorageOffset,
            TiedTo = tiedTo,
        };
    }

    private static string? RootOf(object value, IReadOnlyList<TorchFinding> tensors)
    {
        if (value is not (PickleDictionary or PickleObject { Global.Kind: PickleGlobalKind.Dictionary }))
        {
            return null;
        }

        var holding = new HashSet<string>();
        foreach (var tensor in tensors)
        {
            for (var path = tensor.Path; path.Parent is { IsTop: false } parent; path = parent)
            {
                if (parent.Parent!.IsTop && WeightsRoots.Contains(parent.Key))
                {
                    _ = holding.Add(parent.Key);
                }
            }
        }

        return holding.Count == 1 ? holding.First() : null;
    }

    private readonly record struct ViewKey(DType DType, Shape Shape, ImmutableArray<long> Strides, long StorageOffset)
    {
        public bool Equals(ViewKey other) =>
            DType == other.DType && StorageOffset == other.StorageOffset && Shape == other.Shape && Strides.AsSpan().SequenceEqual(other.Strides.AsSpan());

        public override int GetHashCode()
        {
            var hash = default(HashCode);
            hash.Add(DType);
            hash.Add(StorageOffset);
            hash.Add(Shape);
            foreach (var stride in Strides)
            {
                hash.Add(stride);
            }

            return hash.ToHashCode();
        }
    }
}

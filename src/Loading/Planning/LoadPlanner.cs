using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Makes a plan: chooses the tensors, cuts large ones into runs on block boundaries, merges small neighbours into runs
/// of at most one slot. Linear in the number of tensors.
/// </summary>
internal sealed class LoadPlanner
{
    // One read this long keeps a disk busy and costs the lanes nothing in balance (the block size of the fastest loaders).
    private const int DirectRunBytes = 16 << 20;

    private readonly Checkpoint _checkpoint;
    private readonly LoadOptions _options;
    private readonly ImmutableArray<ReadRun>.Builder _runs = ImmutableArray.CreateBuilder<ReadRun>();
    private readonly ImmutableArray<Placement>.Builder _placements = ImmutableArray.CreateBuilder<Placement>();
    private StagingLayout _staging;

    // The staged run that is being filled: not in _runs yet.
    private ReadRun _open;

    private LoadPlanner(Checkpoint checkpoint, LoadOptions options)
    {
        _checkpoint = checkpoint;
        _options = options;
    }

    /// <summary>Makes the plan.</summary>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    /// <exception cref="UnsupportedCheckpointException">A tensor cannot be brought to the dtype that is asked for.</exception>
    public static LoadPlan Plan(Checkpoint checkpoint, LoadOptions options)
    {
        var choice = new TensorChoice(options.Include, options.Exclude);
        return Plan(checkpoint, options, tensor => choice.Includes(tensor.Name));
    }

    /// <summary>Makes the plan for the tensors that a condition chooses, whatever the options say of names.</summary>
    /// <inheritdoc cref="Plan(Checkpoint, LoadOptions)" path="/exception"/>
    public static LoadPlan Plan(Checkpoint checkpoint, LoadOptions options, Func<TensorInfo, bool> isChosen) =>
        new LoadPlanner(checkpoint, options).Plan(isChosen);

    private LoadPlan Plan(Func<TensorInfo, bool> isChosen)
    {
        CheckOptions();
        var fileIndexes = _checkpoint.Files.Select((file, index) => (file, index)).ToDictionary(pair => pair.file, pair => pair.index);
        var tensors = ImmutableArray.CreateBuilder<PlannedTensor>();
        foreach (var tensor in _checkpoint.Tensors)
        {
            if (isChosen(tensor))
            {
                tensors.Add(Describe(tensor, _options));
            }
        }

        var lanes = _options.Lanes ?? StagingLayout.DefaultLanes;
        if (_options.Device.Kind == DeviceKind.Meta)
        {
            return new LoadPlan(_checkpoint, _options, tensors.ToImmutable(), [], [], new StagingLayout(lanes, 0, 0));
        }

        _staging = StagingLayout.Fit(lanes, _options.Device.PreferredSlotBytes, _options.StagingBytes);
        for (var i = 0; i < tensors.Count; i++)
        {
            var file = fileIndexes[tensors[i].Source.File];
            if (IsDirect(tensors[i]))
            {
                AddDirect(i, tensors[i], file);
            }
            else
            {
                AddStaged(i, tensors[i], file);
            }
        }

        CloseRun();
        // Without staged runs the slots need not exist, and the cap on them need not cost lanes.
        var staging = _runs.Any(run => !run.IsDirect) ? _staging : new StagingLayout(lanes, 0, 0);
        staging = staging with { Lanes = Math.Clamp(_runs.Count, 1, staging.Lanes) };
        return new LoadPlan(_checkpoint, _options, tensors.ToImmutable(), _runs.ToImmutable(), _placements.ToImmutable(), staging);
    }

    private void CheckOptions()
    {
        if (_options.DType is { } dtype && !Codecs.Targets.Contains(dtype))
        {
            throw new ArgumentException(
                $"Tensors can be converted to {string.Join(", ", Codecs.Targets.Select(target => target.Name))}; {dtype.Name} is none of them.",
                nameof(LoadOptions.DType));
        }

        if (_options.Lanes is < 1 or > 1024)
        {
            throw new ArgumentException($"The number of lanes must be between 1 and 1024, and is {_options.Lanes}.", nameof(LoadOptions.Lanes));
        }
    }

    /// <summary>What a tensor becomes under the options.</summary>
    /// <exception cref="UnsupportedCheckpointException">It cannot be brought to the dtype that is asked for.</exception>
    internal static PlannedTensor Describe(TensorInfo tensor, LoadOptions options)
    {
        if (!tensor.IsWholeStorage)
        {
            throw new UnsupportedCheckpointException(
                "views into a storage", tensor.File.Path, "it is a strided view, which this version does not load.", tensor.File.Format, tensor.Name);
        }

        if (options.DType is not { } target || target == tensor.DType || !(tensor.DType.Kind == DTypeKind.Float || options.ConvertAllTypes))
        {
            return new PlannedTensor(tensor, tensor.DType, tensor.Shape);
        }

        if (!Codecs.TryGet(tensor.DType, out var codec) || !codec.CanDecodeTo(target))
        {
            throw new UnsupportedCheckpointException(
                $"{tensor.DType.Name} to {target.Name}",
                tensor.File.Path,
                $"{tensor.DType.Name} cannot be converted to {target.Name} by this version; keep it as it is stored (--dtype keep), or exclude it.",
                tensor.File.Format,
                tensor.Name);
        }

        var shape = codec.ValuesPerElement == 1 ? tensor.Shape : new Shape([.. tensor.Shape, codec.ValuesPerElement]);
        return new PlannedTensor(tensor, target, shape);
    }

    // The host reads large tensors that need no decoding straight into place; small ones share a read through a slot.
    private bool IsDirect(PlannedTensor tensor) =>
        _options.Device.IsHost && tensor.DType == tensor.Source.DType && tensor.Source.ByteLength >= _staging.SlotBytes;

    private void AddDirect(int index, PlannedTensor tensor, int file)
    {
        CloseRun();
        for (long done = 0; done < tensor.Source.ByteLength; done += DirectRunBytes)
        {
            var length = (int)Math.Min(DirectRunBytes, tensor.Source.ByteLength - done);
            _runs.Add(new ReadRun(file, tensor.Source.Offset + done, length, _placements.Count, 1, IsDirect: true));
            _placements.Add(new Placement(index, 0, length, done));
        }
    }

    private void AddStaged(int index, PlannedTensor tensor, int file)
    {
        var block = tensor.Source.DType.BlockSize;
        // Complex numbers become pairs: two values for one stored element.
        var valuesPerElement = tensor.Source.ElementCount == 0 ? 1 : tensor.Shape.ElementCount / tensor.Source.ElementCount;
        for (long done = 0; done < tensor.Source.ByteLength;)
        {
            var offset = tensor.Source.Offset + done;
            if (_open.PlacementCount > 0 && (_open.File != file || _open.Offset + _open.ByteLength != offset))
            {
                CloseRun();
            }

            var room = (_staging.SlotBytes - _open.ByteLength) / block * block;
            if (room == 0)
            {
                CloseRun();
                continue;
            }

            var length = (int)Math.Min(room, tensor.Source.ByteLength - done);
            if (_open.PlacementCount == 0)
            {
                _open = new ReadRun(file, offset, 0, _placements.Count, 0, IsDirect: false);
            }

            var elementsBefore = done / block * tensor.Source.DType.BlockLength;
            _placements.Add(new Placement(index, _open.ByteLength, length, tensor.DType.ByteCount(elementsBefore * valuesPerElement)));
            _open = _open with { ByteLength = _open.ByteLength + length, PlacementCount = _open.PlacementCount + 1 };
            done += length;
        }
    }

    private void CloseRun()
    {
        if (_open.PlacementCount > 0)
        {
            _runs.Add(_open);
        }

        _open = default;
    }
}

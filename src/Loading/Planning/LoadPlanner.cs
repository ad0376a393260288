using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Makes a plan: chooses the tensors, says what each becomes, which part of it is wanted, and which of them are tied or share a storage. Linear
/// in the number of tensors and runs, but for sorting the tensors of a storage.
/// </summary>
internal sealed class LoadPlanner
{
    private readonly Checkpoint _checkpoint;
    private readonly LoadOptions _options;
    private readonly Func<TensorInfo, TensorSlice?> _slice;
    private readonly Func<TensorInfo, DType> _dtype;

    private LoadPlanner(
        Checkpoint checkpoint, LoadOptions options, Func<TensorInfo, TensorSlice?>? slice, Func<TensorInfo, DType>? dtype)
    {
        _checkpoint = checkpoint;
        _options = options;
        CheckOptions();
        _slice = slice
            ?? (options.TensorParallel is { } parallel ? new ParallelRule(parallel, checkpoint).SliceOf : _ => null);
        _dtype = dtype ?? (tensor => options.DTypeOf(tensor.DType));
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
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="options">The options.</param>
    /// <param name="isChosen">Which tensors are loaded.</param>
    /// <param name="slice">The part of each chosen tensor that is loaded, null for all of it; without, what the options say of ranks.</param>
    /// <param name="dtype">The dtype that each chosen tensor gets; without, what the options say of dtypes.</param>
    /// <exception cref="ArgumentOutOfRangeException">A slice is not within its tensor.</exception>
    /// <inheritdoc cref="Plan(Checkpoint, LoadOptions)" path="/exception"/>
    public static LoadPlan Plan(
        Checkpoint checkpoint,
        LoadOptions options,
        Func<TensorInfo, bool> isChosen,
        Func<TensorInfo, TensorSlice?>? slice = null,
        Func<TensorInfo, DType>? dtype = null) =>
        new LoadPlanner(checkpoint, options, slice, dtype).Plan(isChosen);

    /// <summary>Makes the plan for parts of tensors, each with a dtype and mostly with a place of its own in one of several memories.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="options">The options; what they say of names, ranks and dtypes is for other plans.</param>
    /// <param name="pieces">The parts, in the order of the files and of their bytes there; none is tied to another or lies in a block.</param>
    /// <param name="memories">The sizes in bytes of the memories that <see cref="PlannedTensor.Slab"/> names.</param>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    public static LoadPlan PlanPieces(Checkpoint checkpoint, LoadOptions options, IReadOnlyCollection<PlannedTensor> pieces, ImmutableArray<long> memories)
    {
        var tensors = ImmutableArray.CreateBuilder<PlannedTensor>(pieces.Count);
        tensors.AddRange(pieces);
        return new LoadPlanner(checkpoint, options, null, null).PlanReads(
            tensors,
            [],
            memories,
            maps: options is { ReadMode: ReadMode.Mapped, Device: HostDevice },
            hasViews: tensors.Any(piece => !piece.HasSegments && !piece.Part.IsContiguous));
    }

    private LoadPlan Plan(Func<TensorInfo, bool> isChosen)
    {
        var tensors = ImmutableArray.CreateBuilder<PlannedTensor>(_checkpoint.Tensors.Length);
        var hasViews = false;
        foreach (var tensor in _checkpoint.Tensors)
        {
            if (isChosen(tensor))
            {
                tensors.Add(Describe(tensor));
                hasViews |= !tensor.IsWholeStorage;
            }
        }

        TiedStorage.Tie(tensors);
        var blocks = hasViews ? StorageBlocks.Form(tensors) : [];
        var maps = _options is { ReadMode: ReadMode.Mapped, Device: HostDevice };
        if (maps)
        {
            blocks = MappedTensors.Mark(tensors, blocks);
        }

        var slabs = FormSlabs(tensors, ref blocks);
        return PlanReads(tensors, blocks, slabs, maps, hasViews);
    }

    private LoadPlan PlanReads(
        ImmutableArray<PlannedTensor>.Builder tensors, ImmutableArray<PlannedBlock> blocks, ImmutableArray<long> slabs, bool maps, bool hasViews)
    {
        if (_options.Device.Kind == DeviceKind.Meta)
        {
            var none = new StagingLayout(_options.Lanes ?? StagingLayout.DefaultLanes, 0, 0);
            return new LoadPlan(_checkpoint, _options, tensors.DrainToImmutable(), blocks, slabs, [], [], none);
        }

        var files = new FileParts(_checkpoint);
        foreach (var (_, memory) in Destinations(tensors, blocks))
        {
            files.Add(memory);
        }

        var modes = ReadModes.Choose(_checkpoint, _options.ReadMode, files.Parts, HostCopies() * files.DestinationBytes);
        var isDirect = files.BytesOf(modes, ReadMode.Direct) > files.Bytes / 2;
        // What waits for another machine wants many reads at a time, each as long as a request is worth.
        var remote = RemoteReads.Of(_checkpoint, files.Parts);
        var lanes = _options.Lanes ?? remote?.Lanes ?? (isDirect ? StagingLayout.DefaultDirectLanes : StagingLayout.DefaultLanes);
        // Disks give most where reads past the page cache are long, and what they bring is in no cache of a core.
        var preferred = Math.Max(_options.Device.PreferredSlotBytes, remote?.ReadBytes ?? (isDirect ? StagingLayout.DirectSlotBytes : 0));
        // A direct read takes in the whole of the first and the last block; with room for them a slot takes as much as it is meant to.
        var margin = modes.Select(mode => mode.Alignment?.Margin ?? 0).DefaultIfEmpty().Max();
        preferred += isDirect ? (margin + Environment.SystemPageSize - 1) / Environment.SystemPageSize * Environment.SystemPageSize : 0;
        preferred = Math.Max(preferred, margin > 0 ? StagingLayout.SmallestSlot : 0);
        var staging = StagingLayout.Fit(lanes, Math.Max(preferred, ViewSlotBytes(hasViews ? tensors : [])), _options.StagingBytes);
        var room = staging.SlotBytes - margin;
        var builder = new RunBuilder(
            _options.Device.IsHost,
            Math.Min(room, preferred),
            room,
            staging.SlotBytes,
            keepsTensorsWhole: _options.Manifest is not null,
            readsExactly: _options.ExactSlices,
            runAlignment: modes.Select(mode => mode.Alignment?.Offset ?? 1).DefaultIfEmpty(1).Max());
        var (runs, placements) = builder.Build(found =>
        {
            foreach (var (index, memory) in Destinations(tensors, blocks))
            {
                found.Add(index, memory, files.IndexOf(memory));
            }
        });
        if (maps)
        {
            runs = MappedTensors.WithoutSlots(runs, _checkpoint.Files);
        }

        if (!runs.Any(run => run.IsStaged || (run.IsInPlace && modes[run.File].Mode == ReadMode.Direct)))
        {
            // Without staged runs the slots need not exist, and the cap on them need not cost lanes. Direct reads go through them:
            // a tensor hardly ever begins where a block of the file does.
            staging = new StagingLayout(lanes, 0, 0);
        }

        staging = staging with { Lanes = Math.Clamp(runs.Length, 1, staging.Lanes) };
        return new LoadPlan(_checkpoint, _options, tensors.DrainToImmutable(), blocks, slabs, runs, placements, staging) { FileModes = modes };
    }

    private ImmutableArray<long> FormSlabs(ImmutableArray<PlannedTensor>.Builder tensors, ref ImmutableArray<PlannedBlock> blocks)
    {
        if (_options.SlabBytes == 0)
        {
            return [];
        }

        var memories = blocks.ToBuilder();
        var slabs = new SlabLayout(tensors, memories, _options.SlabBytes).Form();
        blocks = memories.ToImmutable();
        return slabs;
    }

    // What is read, each with its index as a destination: of a block its first tensor stands for it, the others are there with it.
    private IEnumerable<(int Index, PlannedTensor Memory)> Destinations(
        ImmutableArray<PlannedTensor>.Builder tensors, ImmutableArray<PlannedBlock> blocks)
    {
        for (var i = 0; i < tensors.Count; i++)
        {
            if (tensors[i].Block is { } block)
            {
                if (blocks[block].Tensors[0] == i && IsRead(blocks[block].Memory))
                {
                    yield return (tensors.Count + block, blocks[block].Memory);
                }
            }
            else if (tensors[i].TiedTo is null && IsRead(tensors[i]))
            {
                yield return (i, tensors[i]);
            }
        }
    }

    // A view of a mapped file is looked at only where its hash is asked for.
    private bool IsRead(PlannedTensor tensor) => !tensor.IsMapped || _options.Manifest is not null;

    // How many times the tensors will be in the host's memory.
    private int HostCopies() => _options.Device is DeviceGroup group ? group.Members.Count(member => member.IsHost) : _options.Device.IsHost ? 1 : 0;

    // The host decodes from slots that its caches hold. A gathered view has larger ones: they are fewer passes over its storage.
    private int ViewSlotBytes(IEnumerable<PlannedTensor> tensors)
    {
        if (!_options.Device.IsHost)
        {
            return 0;
        }

        var largest = tensors
            .Where(tensor => tensor is { TiedTo: null, Place: null, Source.IsContiguous: false })
            .Select(tensor => tensor.SourceByteLength)
            .DefaultIfEmpty()
            .Max();
        // Whole pages, which is what slots take.
        return (int)((Math.Min(TensorPieces.ViewPieceBytes, largest) + Environment.SystemPageSize - 1) / Environment.SystemPageSize * Environment.SystemPageSize);
    }

    private void CheckOptions()
    {
        if (_options.DType is { } dtype && !Codecs.Targets.Contains(dtype))
        {
            throw new ArgumentException(
                $"Tensors can be converted to {string.Join(", ", Codecs.Targets.Select(target => target.Name))}; {dtype.Name} is none of them.",
                nameof(LoadOptions.DType));
        }

        StagingLayout.CheckLanes(_options.Lanes, nameof(LoadOptions.Lanes));
        if (_options.SlabBytes < 0)
        {
            throw new ArgumentException($"Slabs have 0 bytes, which is none, or more; they cannot have {_options.SlabBytes}.", nameof(LoadOptions.SlabBytes));
        }

        _options.TensorParallel?.Validate(nameof(LoadOptions.TensorParallel));
        if (_options.Manifest is not null && (_options.TensorParallel is not null || _options.Device.Kind == DeviceKind.Meta))
        {
            throw new ArgumentException(
                "A manifest has the hashes of whole tensors: it holds neither against a rank's slices nor on the meta device, where nothing is read.",
                nameof(LoadOptions.Manifest));
        }
    }

    private PlannedTensor Describe(TensorInfo tensor)
    {
        var target = _dtype(tensor);
        var slice = FindSlice(tensor, isDecoded: target != tensor.DType);
        var shape = slice is { } part ? tensor.Shape.With(part.Dimension, part.Length) : tensor.Shape;
        if (target == tensor.DType)
        {
            return new PlannedTensor(tensor, tensor.DType, shape) { Slice = slice };
        }

        var valuesPerElement = Codecs.Of(tensor.DType).ValuesPerElement;
        shape = valuesPerElement == 1 ? shape : new Shape([.. shape, valuesPerElement]);
        return new PlannedTensor(tensor, target, shape) { Slice = slice };
    }

    // A slice that is the whole tensor is none; one that cannot be cut out is refused before anything is read.
    private TensorSlice? FindSlice(TensorInfo tensor, bool isDecoded)
    {
        if (_slice(tensor) is not { } slice)
        {
            return null;
        }

        SliceSegments.Check(tensor, slice);
        if (tensor.IsContiguous)
        {
            _ = SliceSegments.Of(tensor, slice, isDecoded);
        }

        return slice.Start == 0 && slice.Length == tensor.Shape[slice.Dimension] ? null : slice;
    }
}

using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// What will be read, where it goes, and what that takes: pure data, made before a byte is read. Immutable; valid while
/// its checkpoint is open. It may be carried out any number of times.
/// </summary>
/// <remarks>
/// It keeps what was chosen for the files as they were when it was made: under <see cref="ReadMode.Auto"/> a plan of files that were not
/// cached reads them directly every time (<see cref="FileModes"/>). Plan anew, which costs little, where files have been read meanwhile.
/// </remarks>
public sealed class LoadPlan
{
    // Null where nothing is tied, as in most plans.
    private readonly Dictionary<int, ImmutableArray<int>>? _tied;

    // The largest piece that is decoded beside its tensor, since a slice has only a part of it; 0 for none.
    private readonly long _partBytes;

    internal LoadPlan(
        Checkpoint checkpoint,
        LoadOptions options,
        ImmutableArray<PlannedTensor> tensors,
        ImmutableArray<PlannedBlock> blocks,
        ImmutableArray<long> slabs,
        ImmutableArray<ReadRun> runs,
        ImmutableArray<Placement> placements,
        StagingLayout staging)
    {
        Checkpoint = checkpoint;
        Options = options;
        Tensors = tensors;
        Blocks = blocks;
        Slabs = slabs;
        Runs = runs;
        Placements = placements;
        Staging = staging;
        foreach (ref readonly var run in runs.AsSpan())
        {
            BytesToRead += run.ByteLength;
            BytesBetweenSegments += run.ByteLength - run.KeptByteLength;
        }

        Dictionary<int, ImmutableArray<int>.Builder>? ties = null;
        for (var i = 0; i < tensors.Length; i++)
        {
            SlicedCount += tensors[i].Slice is null ? 0 : 1;
            MappedCount += tensors[i].IsMapped ? 1 : 0;
            if (tensors[i].TiedTo is { } first)
            {
                TiedCount++;
                ties ??= [];
                if (!ties.TryGetValue(first, out var tied))
                {
                    ties.Add(first, tied = ImmutableArray.CreateBuilder<int>());
                }

                tied.Add(i);
            }
            else if (tensors[i].Place is null)
            {
                Count(tensors[i], tensors[i].SourceByteLength);
            }
        }

        _partBytes = MeasureParts();
        ScratchBytes = MeasureScratch();
        _tied = ties?.ToDictionary(tie => tie.Key, tie => tie.Value.ToImmutable());
        foreach (var block in blocks)
        {
            Count(block.Memory, block.BytesNeeded);
        }

        void Count(PlannedTensor memory, long bytesNeeded)
        {
            BytesNeeded = checked(BytesNeeded + (IsRead(memory) ? bytesNeeded : 0));
            DestinationBytes = checked(DestinationBytes + OwnBytes(memory));
            MappedBytes = checked(MappedBytes + memory.ByteLength - OwnBytes(memory));
        }

        AllocatedBytes = DestinationBytes;
        if (!slabs.IsEmpty)
        {
            SlabTensorCount = Enumerable.Range(0, tensors.Length).Count(i => SlabOf(i) is not null);
            var inSlabs = tensors.Concat(blocks.Select(block => block.Memory)).Where(memory => memory.Slab is not null).Sum(memory => memory.ByteLength);
            AllocatedBytes = checked(AllocatedBytes + slabs.Sum() - inSlabs);
        }
    }

    /// <summary>The checkpoint that is read.</summary>
    public Checkpoint Checkpoint { get; }

    /// <summary>The options the plan was made with.</summary>
    public LoadOptions Options { get; }

    /// <summary>The device that the tensors go to.</summary>
    public Device Device => Options.Device;

    /// <summary>The tensors that will be made, in the order of their bytes in the checkpoint.</summary>
    public ImmutableArray<PlannedTensor> Tensors { get; }

    /// <summary>
    /// The memories that several tensors are views of, or one that has strides; most plans have none. Elements from the first to the last
    /// that some tensors of one storage have are read once, into one memory, where that is cheap or meant:
    /// <list type="bullet">
    /// <item>of tensors that overlap or touch, or of a single one with strides, where at least half of those elements are used, or where
    /// each tensor by itself would take as much memory, as views that are expanded would;</item>
    /// <item>of tensors that overlap, where at least a quarter is used: a shared storage is meant to be shared, and what nobody uses is at
    /// most three times what somebody does.</item>
    /// </list>
    /// All else is gathered: each tensor is a row-major memory of its own, which costs its elements and leaves the others on the disk. So are
    /// slices, and tensors that see one storage as different dtypes share nothing either.
    /// </summary>
    public ImmutableArray<PlannedBlock> Blocks { get; }

    /// <summary>
    /// The sizes in bytes of the memories that several small tensors of a model, or blocks, lie in one behind the other
    /// (<see cref="LoadOptions.SlabBytes"/>). A stream has none: each of its tensors has memory of its own.
    /// </summary>
    public ImmutableArray<long> Slabs { get; }

    /// <summary>The runs to read, in file order.</summary>
    public ImmutableArray<ReadRun> Runs { get; }

    /// <summary>The parts of runs and where they go; each run owns a range of them.</summary>
    public ImmutableArray<Placement> Placements { get; }

    /// <summary>
    /// How each file of the checkpoint is read, by its index there, and why; empty on the meta device. Of a file that is read directly,
    /// segments and views that do not lie side by side go through the page cache none the less.
    /// </summary>
    public ImmutableArray<FileReadMode> FileModes { get; internal init; } = [];

    /// <summary>Lanes and staging slots.</summary>
    public StagingLayout Staging { get; }

    /// <summary>The bytes that will be read; of gathered views, those of their elements, whatever lies between is read with them.</summary>
    public long BytesToRead { get; }

    /// <summary>
    /// The bytes that are read between segments of slices, since that is cheaper than a read for each segment;
    /// <see cref="LoadOptions.ExactSlices"/> leaves them out.
    /// </summary>
    public long BytesBetweenSegments { get; }

    /// <summary>
    /// The bytes of the tensors, or of their slices, as they are stored; what is read beyond them is waste. Tied tensors and
    /// blocks count once, views of mapped files only where a manifest has them hashed.
    /// </summary>
    public long BytesNeeded { get; private set; }

    /// <summary>
    /// The bytes of host memory that gathering views takes beside the staging slots: for each lane what it reads with the gaps between
    /// elements, and of files in which some views can only be read forward what is kept of them; and for each lane what it decodes, on the
    /// host, of a row of which a slice has a part that begins or ends inside a block.
    /// </summary>
    public long ScratchBytes { get; }

    /// <summary>
    /// The bytes of all tensors on the device, on each of a group; tied tensors and blocks count once, views of mapped files not at all.
    /// </summary>
    public long DestinationBytes { get; private set; }

    /// <summary>The bytes that a model's tensors take of the device: <see cref="DestinationBytes"/> and what slabs have between tensors.</summary>
    public long AllocatedBytes { get; }

    /// <summary>How many tensors of a model lie in slabs.</summary>
    public int SlabTensorCount { get; }

    /// <summary>How many tensors are loaded in part; 0 for a tensor-parallel rank where no name was recognised.</summary>
    public int SlicedCount { get; }

    /// <summary>How many tensors share the memory of another one.</summary>
    public int TiedCount { get; }

    /// <summary>How many tensors are views of mapped files (<see cref="ReadMode.Mapped"/>): they take no memory, and can only be read.</summary>
    public int MappedCount { get; }

    /// <summary>The bytes that they see; tied tensors and blocks count once.</summary>
    public long MappedBytes { get; private set; }

    /// <summary>The bytes of memory that a tensor keeps: its own, or those of the block that it is a view of; none of a mapped file. What lies in its slab does not count.</summary>
    public long MemoryOf(PlannedTensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        return OwnBytes(tensor.Block is { } block ? Blocks[block].Memory : tensor);
    }

    /// <summary>The tensors that keep most memory of the device, largest first; of tied ones and of a block the first, of mapped files none.</summary>
    public IEnumerable<PlannedTensor> LargestTensors(int count) =>
        Tensors.Where((tensor, i) => tensor is { TiedTo: null, IsMapped: false } && (tensor.Block is not { } block || Blocks[block].Tensors[0] == i)).OrderByDescending(MemoryOf).ThenBy(tensor => tensor.Name, StringComparer.Ordinal).Take(count);

    /// <summary>What the plan takes of each device that it takes memory of, and what is free there now. Every member of a group takes the tensors once.</summary>
    /// <param name="destinationBytes">What the tensors take at the same time; null for all that a model of them takes.</param>
    /// <exception cref="OverflowException">The sum of the bytes does not fit a <see cref="long"/>.</exception>
    public ImmutableArray<MemoryNeed> MemoryNeeds(long? destinationBytes = null)
    {
        var tensors = destinationBytes ?? AllocatedBytes;
        var staging = Staging.Bytes + ScratchBytes;
        ImmutableArray<Device> holders = Device is DeviceGroup group ? group.Members : Device.Kind == DeviceKind.Meta ? [] : [Device];
        var needs = ImmutableArray.CreateBuilder<MemoryNeed>(holders.Length + 1);
        foreach (var holder in holders)
        {
            // What is staged is the host's, whether tensors are there too or not; what a device decodes from is its own.
            needs.Add(Need(holder, tensors, holder.IsHost ? staging : StreamScratch(holder)));
        }

        if (staging > 0 && !holders.IsEmpty && !holders.Any(holder => holder.IsHost))
        {
            needs.Add(Need(HostDevice.Shared, 0, staging));
        }

        return needs.DrainToImmutable();
    }

    /// <summary>Holds the plan against the memory that is free now.</summary>
    /// <param name="destinationBytes">What the tensors take at the same time; the whole of them unless they are streamed.</param>
    /// <exception cref="DeviceMemoryException">Host or device cannot hold it; the message has the numbers and the largest tensors.</exception>
    public void ThrowIfTooLarge(long destinationBytes)
    {
        foreach (var need in MemoryNeeds(destinationBytes))
        {
            if (!need.Fits)
            {
                throw TooLarge(need);
            }
        }
    }

    /// <summary>The plan in a few lines: bytes, memory, lanes, files.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{Tensors.Length} tensors to {Device.Id}");
        text.AppendLine(CultureInfo.InvariantCulture, $"read {BytesToRead} bytes in {Runs.Length} runs from {Runs.Select(run => run.File).Distinct().Count()} files, {BytesNeeded} of them needed");
        if (SlicedCount > 0)
        {
            var rank = Options.TensorParallel is { } parallel ? $" for rank {parallel.Rank} of {parallel.WorldSize}" : "";
            text.AppendLine(CultureInfo.InvariantCulture, $"{SlicedCount} tensors sliced{rank}, {Tensors.Length - SlicedCount} whole");
        }

        if (TiedCount > 0)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"{TiedCount} tensors tied to others");
        }

        if (Blocks.Length > 0)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"{Blocks.Sum(block => block.Tensors.Length)} tensors are views of {Blocks.Length} blocks of memory");
        }

        if (Slabs.Length > 0)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"{SlabTensorCount} tensors in {Slabs.Length} slabs of memory");
        }

        if (MappedCount > 0)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"{MappedCount} tensors are views of mapped files, {MappedBytes} bytes");
        }

        text.Append(CultureInfo.InvariantCulture, $"memory {DestinationBytes} bytes for tensors, {Staging}");
        return text.ToString();
    }

    /// <summary>
    /// The runs that a lane takes next: one, or where bytes are hashed all runs of one tensor, since a hash takes them in order.
    /// </summary>
    internal RunRange RunsFrom(int first)
    {
        if (first == Runs.Length)
        {
            return new RunRange(first, 0);
        }

        var end = first + 1;
        while (Options.Manifest is not null && end < Runs.Length && LastTensor(Runs[end - 1]) == FirstTensor(Runs[end]) && !IsBlock(FirstTensor(Runs[end])))
        {
            end++;
        }

        return new RunRange(first, end - first);
    }

    /// <summary>The file that a run's bytes are read from directly; null where they go through the page cache.</summary>
    internal LocalFileSource? DirectFileOf(in ReadRun run) =>
        FileModes[run.File] is { Mode: ReadMode.Direct, Alignment: { } alignment }
        // A part that must be decoded from one slot may fill it, so that there is no room for whole blocks.
        && (run.IsInPlace || run.ByteLength <= Staging.SlotBytes - alignment.Margin)
        && run.Kind is RunKind.InPlace or RunKind.Staged or RunKind.Sieved
        && Checkpoint.Files[run.File].Source.FindFileRange(run.Offset, run.ByteLength) is var (file, offset)
        && offset == run.Offset
            ? file
            : null;

    /// <summary>How many memories are filled: the tensors, of which some have none of their own, and behind them the blocks.</summary>
    internal int DestinationCount => Tensors.Length + Blocks.Length;

    /// <summary>Whether a destination is a block and no tensor.</summary>
    internal bool IsBlock(int destination) => destination >= Tensors.Length;

    /// <summary>What a placement fills: a tensor of the plan, or the memory of a block.</summary>
    internal PlannedTensor Destination(int destination) => IsBlock(destination) ? Blocks[destination - Tensors.Length].Memory : Tensors[destination];

    /// <summary>Whether the bytes of a destination are read: not those of a mapped file, unless they are hashed.</summary>
    internal bool IsRead(PlannedTensor destination) => !destination.IsMapped || Options.Manifest is not null;

    /// <summary>The bytes that a destination takes of the device.</summary>
    internal static long OwnBytes(PlannedTensor destination) => destination.IsMapped ? 0 : destination.ByteLength;

    /// <summary>Whether this is memory that is filled: not that of a tensor which has another's.</summary>
    internal bool IsDestination(int destination) => IsBlock(destination) || Tensors[destination] is { TiedTo: null, Place: null };

    /// <summary>The destination whose memory a tensor has: its own, that of the tensor it is tied to, or a block.</summary>
    internal int DestinationOf(int tensor) => Tensors[tensor].Block is { } block ? Tensors.Length + block : Tensors[tensor].TiedTo ?? tensor;

    /// <summary>The slab that a tensor of a model lies in; null for none.</summary>
    internal SlabPlace? SlabOf(int tensor) => Destination(DestinationOf(tensor)).Slab;

    /// <summary>
    /// The tensors beside a tensor that have its memory, as indexes in the plan: those that are tied to it. Of a block all that are views of it.
    /// </summary>
    internal ImmutableArray<int> Sharing(int destination) =>
        IsBlock(destination) ? Blocks[destination - Tensors.Length].Tensors : TiedWith(destination);

    /// <summary>The tensors that are tied to this one, as indexes in the plan.</summary>
    internal ImmutableArray<int> TiedWith(int tensor) => _tied is null ? [] : _tied.GetValueOrDefault(tensor, []);

    // As much as StridedReader and SequentialViews take at most.
    private long MeasureScratch()
    {
        var (largest, kept) = (0L, new Dictionary<CheckpointFile, long>());
        foreach (var run in Runs)
        {
            if (run.Kind != RunKind.Viewed)
            {
                continue;
            }

            var source = Destination(Placements[run.FirstPlacement].Destination).Source;
            largest = Math.Max(largest, Math.Min(source.ByteLength, StridedReader.ScratchBytes));
            if (source.File.Source.IsSequentialAt(source.DataOffset))
            {
                var bytes = Math.Min(source.ByteLength, SequentialViews.DefaultBudgetBytes);
                kept[source.File] = Math.Max(kept.GetValueOrDefault(source.File), bytes);
            }
        }

        var decodesOnHost = Device.IsHost || (Device as DeviceGroup)?.Members.Any(member => member.IsHost) == true;
        return (Staging.Lanes * (largest + (decodesOnHost ? _partBytes : 0))) + kept.Values.Sum();
    }

    private long MeasureParts()
    {
        long largest = 0;
        foreach (var tensor in Tensors)
        {
            if (tensor is { HasSegments: true, TiedTo: null } && tensor.DType != tensor.Source.DType && tensor.Segments is { CutsGroups: true } segments)
            {
                var stored = tensor.Source.DType;
                largest = Math.Max(largest, tensor.DType.ByteCount(segments.ByteLength / stored.BlockSize * stored.BlockLength));
            }
        }

        return largest;
    }

    // Each lane has a stream.
    private long StreamScratch(Device holder) => Tensors.Any(tensor => tensor.DType != tensor.Source.DType)
        && holder.ScratchBytesFor(Math.Max(1, Staging.SlotBytes)) is > 0 and var bytes
            ? Staging.Lanes * (bytes + _partBytes)
            : 0;

    private int FirstTensor(in ReadRun run) => Placements[run.FirstPlacement].Destination;

    private int LastTensor(in ReadRun run) => Placements[run.FirstPlacement + run.PlacementCount - 1].Destination;

    private static MemoryNeed Need(Device device, long tensors, long staging) =>
        new(device, tensors, staging, device.FreeMemory, device.TotalMemory);

    private DeviceMemoryException TooLarge(MemoryNeed need)
    {
        var largest = string.Join(", ", LargestTensors(3).Select(tensor => $"{Quoted.Name(tensor.Name)} ({MemoryOf(tensor)} bytes)"));
        return new DeviceMemoryException(
            need.Device.Id,
            need.NeededBytes,
            need.FreeBytes,
            $"The tensors take {AllocatedBytes} and staging {Staging.Bytes + ScratchBytes}; the largest tensors are {largest}. "
            + "Load fewer tensors (--include, --exclude), a smaller --dtype, or onto another device.");
    }
}

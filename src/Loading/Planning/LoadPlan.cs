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
public sealed class LoadPlan
{
    // Null where nothing is tied, as in most plans.
    private readonly Dictionary<int, ImmutableArray<int>>? _tied;

    internal LoadPlan(
        Checkpoint checkpoint,
        LoadOptions options,
        ImmutableArray<PlannedTensor> tensors,
        ImmutableArray<PlannedBlock> blocks,
        ImmutableArray<ReadRun> runs,
        ImmutableArray<Placement> placements,
        StagingLayout staging)
    {
        Checkpoint = checkpoint;
        Options = options;
        Tensors = tensors;
        Blocks = blocks;
        Runs = runs;
        Placements = placements;
        Staging = staging;
        BytesToRead = runs.Sum(run => (long)run.ByteLength);
        Dictionary<int, ImmutableArray<int>.Builder>? ties = null;
        for (var i = 0; i < tensors.Length; i++)
        {
            SlicedCount += tensors[i].Slice is null ? 0 : 1;
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
                BytesNeeded = checked(BytesNeeded + tensors[i].SourceByteLength);
                DestinationBytes = checked(DestinationBytes + tensors[i].ByteLength);
            }
        }

        ScratchBytes = MeasureScratch();
        _tied = ties?.ToDictionary(tie => tie.Key, tie => tie.Value.ToImmutable());
        foreach (var block in blocks)
        {
            BytesNeeded = checked(BytesNeeded + block.BytesNeeded);
            DestinationBytes = checked(DestinationBytes + block.Memory.ByteLength);
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
    /// The bytes of the tensors, or of their slices, as they are stored; what is read beyond them is waste. Tied tensors and
    /// blocks count once.
    /// </summary>
    public long BytesNeeded { get; }

    /// <summary>
    /// The bytes of host memory that gathering views takes beside the staging slots: for each lane what it reads with the gaps between
    /// elements, and of files in which some views can only be read forward what is kept of them.
    /// </summary>
    public long ScratchBytes { get; }

    /// <summary>The bytes of all tensors on the device, on each of a group; tied tensors and blocks count once.</summary>
    public long DestinationBytes { get; }

    /// <summary>How many tensors are loaded in part; 0 for a tensor-parallel rank where no name was recognised.</summary>
    public int SlicedCount { get; }

    /// <summary>How many tensors share the memory of another one.</summary>
    public int TiedCount { get; }

    /// <summary>The bytes of memory that a tensor keeps: its own, or those of the block that it is a view of.</summary>
    public long MemoryOf(PlannedTensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        return tensor.Block is { } block ? Blocks[block].Memory.ByteLength : tensor.ByteLength;
    }

    /// <summary>The tensors that keep most memory of the device, largest first; of tied ones and of a block the first.</summary>
    public IEnumerable<PlannedTensor> LargestTensors(int count) =>
        Tensors.Where((tensor, i) => tensor.TiedTo is null && (tensor.Block is not { } block || Blocks[block].Tensors[0] == i)).OrderByDescending(MemoryOf).ThenBy(tensor => tensor.Name, StringComparer.Ordinal).Take(count);

    /// <summary>What the plan takes of each device that it takes memory of, and what is free there now. Every member of a group takes the tensors once.</summary>
    /// <param name="destinationBytes">What the tensors take at the same time; null for the whole of them, as when they are not streamed.</param>
    /// <exception cref="OverflowException">The sum of the bytes does not fit a <see cref="long"/>.</exception>
    public ImmutableArray<MemoryNeed> MemoryNeeds(long? destinationBytes = null)
    {
        var tensors = destinationBytes ?? DestinationBytes;
        var staging = Staging.Bytes + ScratchBytes;
        ImmutableArray<Device> holders = Device is DeviceGroup group ? group.Members : Device.Kind == DeviceKind.Meta ? [] : [Device];
        var needs = ImmutableArray.CreateBuilder<MemoryNeed>(holders.Length + 1);
        foreach (var holder in holders)
        {
            // What is staged is the host's, whether tensors are there too or not.
            needs.Add(Need(holder, tensors, holder.IsHost ? staging : 0));
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
        FileModes[run.File].Mode == ReadMode.Direct
        && run.Kind is RunKind.InPlace or RunKind.Staged or RunKind.Sieved
        && Checkpoint.Files[run.File].Source.FileAt(run.Offset) is { } file
        && run.Offset + run.ByteLength <= file.Length
            ? file
            : null;

    /// <summary>How many memories are filled: the tensors, of which some have none of their own, and behind them the blocks.</summary>
    internal int DestinationCount => Tensors.Length + Blocks.Length;

    /// <summary>Whether a destination is a block and no tensor.</summary>
    internal bool IsBlock(int destination) => destination >= Tensors.Length;

    /// <summary>What a placement fills: a tensor of the plan, or the memory of a block.</summary>
    internal PlannedTensor Destination(int destination) => IsBlock(destination) ? Blocks[destination - Tensors.Length].Memory : Tensors[destination];

    /// <summary>Whether this is memory that is filled: not that of a tensor which has another's.</summary>
    internal bool IsDestination(int destination) => IsBlock(destination) || Tensors[destination] is { TiedTo: null, Place: null };

    /// <summary>The destination whose memory a tensor has: its own, that of the tensor it is tied to, or a block.</summary>
    internal int DestinationOf(int tensor) => Tensors[tensor].Block is { } block ? Tensors.Length + block : Tensors[tensor].TiedTo ?? tensor;

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

        return (Staging.Lanes * largest) + kept.Values.Sum();
    }

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
            $"The tensors take {DestinationBytes} and staging {Staging.Bytes + ScratchBytes}; the largest tensors are {largest}. "
            + "Load fewer tensors (--include, --exclude), a smaller --dtype, or onto another device.");
    }
}

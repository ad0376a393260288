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
    internal LoadPlan(
        Checkpoint checkpoint,
        LoadOptions options,
        ImmutableArray<PlannedTensor> tensors,
        ImmutableArray<ReadRun> runs,
        ImmutableArray<Placement> placements,
        StagingLayout staging)
    {
        Checkpoint = checkpoint;
        Options = options;
        Tensors = tensors;
        Runs = runs;
        Placements = placements;
        Staging = staging;
        BytesToRead = runs.Sum(run => (long)run.ByteLength);
        BytesNeeded = tensors.Sum(tensor => tensor.Source.ByteLength);
        DestinationBytes = tensors.Sum(tensor => tensor.ByteLength);
    }

    /// <summary>The checkpoint that is read.</summary>
    public Checkpoint Checkpoint { get; }

    /// <summary>The options the plan was made with.</summary>
    public LoadOptions Options { get; }

    /// <summary>The device that the tensors go to.</summary>
    public Device Device => Options.Device;

    /// <summary>The tensors that will be made, in the order of their bytes in the checkpoint.</summary>
    public ImmutableArray<PlannedTensor> Tensors { get; }

    /// <summary>The runs to read, in file order.</summary>
    public ImmutableArray<ReadRun> Runs { get; }

    /// <summary>The parts of runs and where they go; each run owns a range of them.</summary>
    public ImmutableArray<Placement> Placements { get; }

    /// <summary>Lanes and staging slots.</summary>
    public StagingLayout Staging { get; }

    /// <summary>The bytes that will be read.</summary>
    public long BytesToRead { get; }

    /// <summary>The bytes of the tensors as they are stored; what is read beyond them is waste.</summary>
    public long BytesNeeded { get; }

    /// <summary>The bytes of all tensors on the device.</summary>
    public long DestinationBytes { get; }

    /// <summary>The largest tensors on the device, largest first.</summary>
    public IEnumerable<PlannedTensor> LargestTensors(int count) =>
        Tensors.OrderByDescending(tensor => tensor.ByteLength).ThenBy(tensor => tensor.Name, StringComparer.Ordinal).Take(count);

    /// <summary>Holds the plan against the memory that is free now.</summary>
    /// <param name="destinationBytes">What the tensors take at the same time; the whole of them unless they are streamed.</param>
    /// <exception cref="DeviceMemoryException">Host or device cannot hold it; the message has the numbers and the largest tensors.</exception>
    public void ThrowIfTooLarge(long destinationBytes)
    {
        var onHost = Device.IsHost;
        var needed = onHost ? checked(destinationBytes + Staging.Bytes) : destinationBytes;
        Check(Device, needed);
        if (!onHost && Staging.Bytes > 0)
        {
            Check(HostDevice.Shared, Staging.Bytes);
        }
    }

    /// <summary>The plan in a few lines: bytes, memory, lanes, files.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{Tensors.Length} tensors to {Device.Id}");
        text.AppendLine(CultureInfo.InvariantCulture, $"read {BytesToRead} bytes in {Runs.Length} runs from {Runs.Select(run => run.File).Distinct().Count()} files, {BytesNeeded} of them needed");
        text.Append(CultureInfo.InvariantCulture, $"memory {DestinationBytes} bytes for tensors, {Staging}");
        return text.ToString();
    }

    private void Check(Device device, long needed)
    {
        var free = device.FreeMemory;
        if (needed > free)
        {
            var largest = string.Join(", ", LargestTensors(3).Select(tensor => $"{Quoted.Name(tensor.Name)} ({tensor.ByteLength} bytes)"));
            throw new DeviceMemoryException(
                device.Id,
                needed,
                free,
                $"The tensors take {DestinationBytes} and staging {Staging.Bytes}; the largest tensors are {largest}. "
                + "Load fewer tensors (--include, --exclude), a smaller --dtype, or onto another device.");
        }
    }
}

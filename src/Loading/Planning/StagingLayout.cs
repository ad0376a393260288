namespace IlgpuLoader.Loading;

/// <summary>How many lanes read, and the slots that bytes are staged in.</summary>
/// <param name="Lanes">Lanes that read side by side.</param>
/// <param name="SlotBytes">The size of a slot in bytes; 0 where nothing is staged.</param>
/// <param name="SlotsPerLane">The slots of each lane.</param>
public readonly record struct StagingLayout(int Lanes, int SlotBytes, int SlotsPerLane)
{
    // One slot is filled while one is placed; two more are in flight to a device that works behind the host.
    private const int MaximumSlotsPerLane = 4;

    // More lanes than this have not been seen to read faster from one machine's disks (vLLM and safetensors use 8).
    private const int MaximumLanes = 8;

    /// <summary>
    /// The slot that direct reads fill, as long as a run that is read straight into its place, so that a run is one read. A virtual disk gave 1 MiB
    /// at a time at half the speed of 4 MiB; of plain reads of the same moment, loads had 0.87 with 4 MiB, 0.92 to 0.94 with this.
    /// </summary>
    internal const int DirectSlotBytes = 16 << 20;

    /// <summary>Reads below this are dominated by the system call.</summary>
    internal const int SmallestSlot = 64 << 10;

    /// <summary>The memory of all slots in bytes.</summary>
    public long Bytes => (long)Lanes * SlotBytes * SlotsPerLane;

    /// <summary>Lanes, slots and their memory.</summary>
    public override string ToString() =>
        SlotBytes == 0 ? $"no staging, {Lanes} lanes" : $"{Bytes} for staging: {Lanes} lanes with {SlotsPerLane} slots of {SlotBytes}";

    /// <summary>The number of lanes where the caller does not say.</summary>
    internal static int DefaultLanes => Math.Clamp(Environment.ProcessorCount, 1, MaximumLanes);

    /// <summary>The number of lanes where the caller does not say, and most bytes are read past the page cache.</summary>
    /// <remarks>
    /// Direct reads sleep until the disk has answered, so that many keep it busy whatever the cores: on two of them 8 lanes read 4 GiB
    /// from a virtual disk at 2.0 to 2.6 GB/s, 4 at 1.7 and 2 at 1.6 to 1.8, while a plain reader's best was 2.0 to 2.4.
    /// </remarks>
    internal static int DefaultDirectLanes => MaximumLanes;

    /// <summary>Refuses a number of lanes that no machine has a use for.</summary>
    /// <param name="lanes">The number; null for the default.</param>
    /// <param name="parameter">The option's name, for the exception.</param>
    /// <exception cref="ArgumentException">It is below 1 or above 1024.</exception>
    internal static void CheckLanes(int? lanes, string parameter)
    {
        if (lanes is < 1 or > 1024)
        {
            throw new ArgumentException($"The number of lanes must be between 1 and 1024, and is {lanes}.", parameter);
        }
    }

    /// <summary>Fits lanes and slots under a cap: first fewer slots a lane, then fewer lanes, then a smaller slot.</summary>
    /// <exception cref="ArgumentException">The cap is below the smallest slot.</exception>
    internal static StagingLayout Fit(int lanes, int preferredSlotBytes, long cap)
    {
        if (cap < SmallestSlot)
        {
            throw new ArgumentException($"Staging needs at least {SmallestSlot} bytes, and {cap} are allowed.", nameof(cap));
        }

        var slotBytes = (int)Math.Min(preferredSlotBytes, cap / SmallestSlot * SmallestSlot);
        var slots = cap / slotBytes;
        lanes = (int)Math.Min(lanes, slots);
        return new StagingLayout(lanes, slotBytes, (int)Math.Min(slots / lanes, MaximumSlotsPerLane));
    }
}

using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>How many lanes convert, and the memory each has.</summary>
/// <param name="Lanes">Lanes that work side by side.</param>
/// <param name="SlotBytes">The bytes that a lane reads at a time.</param>
/// <param name="PieceBytes">The bytes that are read at a time of a tensor whose elements lie side by side; of others, a whole slot.</param>
/// <param name="ConvertedBytes">The bytes that they become at most; 0 where nothing is converted.</param>
internal readonly record struct ConversionLayout(int Lanes, int SlotBytes, int PieceBytes, int ConvertedBytes)
{
    // A slot holds at least one block of every type (292 bytes), and not so few that calls cost more than bytes.
    private const int SmallestSlot = 1 << 10;

    private const int SmallestUsefulSlot = 64 << 10;

    /// <summary>Fits lanes and slots under the cap: first smaller slots, then fewer lanes, then smaller slots still.</summary>
    /// <exception cref="ArgumentException">The cap or the number of lanes is out of range.</exception>
    public static ConversionLayout Fit(ConversionOptions options, ConversionPlan plan)
    {
        if (options.StagingBytes < SmallestUsefulSlot)
        {
            throw new ArgumentException($"Staging needs at least {SmallestUsefulSlot} bytes, and {options.StagingBytes} are allowed.", nameof(options));
        }

        StagingLayout.CheckLanes(options.Lanes, nameof(options));

        // A byte read becomes as many bytes in the worst case. What a device holds of them besides is its own memory.
        var growth = plan.Tensors.Where(tensor => tensor.IsConverted).Select(Growth).DefaultIfEmpty(0).Max();
        var perByte = 1 + growth;
        // What waits for another machine wants many reads at a time, each as long as a request is worth.
        var remote = plan.Tensors.Select(tensor => tensor.Source.File.Source.FindRemote()).FirstOrDefault(source => source is not null);
        var lanes = options.Lanes ?? remote?.ParallelReads ?? StagingLayout.DefaultLanes;
        lanes = (int)Math.Clamp(options.StagingBytes / (SmallestUsefulSlot * perByte), 1, lanes);
        var slot = (long)(options.StagingBytes / (lanes * perByte)) / SmallestSlot * SmallestSlot;
        var views = plan.Tensors.Where(tensor => !tensor.Source.IsContiguous).Select(tensor => tensor.Source.DataByteLength).DefaultIfEmpty(0).Max();
        var preferred = Math.Max(options.Device.PreferredSlotBytes, remote?.PreferredReadBytes ?? 0);
        // Longer pieces are fewer passes over the storage of a view.
        var largest = Math.Max(preferred, Math.Min(views, TensorPieces.ViewPieceBytes));
        var slotBytes = (int)Math.Clamp(slot, SmallestSlot, largest);
        return new ConversionLayout(lanes, slotBytes, Math.Min(slotBytes, preferred), (int)Math.Ceiling(slotBytes * growth));
    }

    private static double Growth(OutputTensor tensor)
    {
        var stored = tensor.Source.DType;
        return (double)tensor.DType.ByteCount(tensor.DType.BlockLength * (long)stored.BlockLength)
            / stored.ByteCount(tensor.DType.BlockLength * (long)stored.BlockLength);
    }
}

using IlgpuLoader.Gpu;

namespace IlgpuLoader.Perf.Gpu;

/// <summary>How large the checkpoints can be on this machine, asked before anything is written.</summary>
/// <param name="Gibibytes">The bf16 checkpoint.</param>
/// <param name="GgufGibibytes">The Q4_K checkpoint.</param>
/// <param name="Notes">What was made smaller, and why.</param>
internal sealed record Room(double Gibibytes, double GgufGibibytes, IReadOnlyList<string> Notes)
{
    // Of what is free; the rest is for staging, scratch, and what others take meanwhile.
    private const double Share = 0.9;

    // To F32; and PyTorch has a shard of four as stored beside what it has converted.
    private const double Bf16Growth = 2.25;

    // A Q4_K weight has 4.5 bits and becomes 16.
    private const double Q4KGrowth = 16 / 4.5;

    public static Room Of(BenchOptions options, Device device)
    {
        if (options.TakesSizesAsAsked)
        {
            return new Room(options.Gibibytes, options.GgufGibibytes, []);
        }

        var disk = new DriveInfo(Path.GetFullPath(options.DataFolder)).AvailableFreeSpace;
        var host = HostDevice.Shared.FreeMemory;
        var ours = device.FreeMemory;
        var notes = new List<string>();
        // Both files stay in the page cache; where the host is the device, what is loaded lies beside them.
        var forBoth = Math.Min(disk, device.IsHost ? host / 4 : host) * Share / (1L << 30);
        var scale = Math.Min(1, forBoth / (options.Gibibytes + options.GgufGibibytes));
        if (scale < 1)
        {
            notes.Add($"both checkpoints are {scale:0.00} of the size asked for: {disk >> 30} GiB are free on the disk and {host >> 30} GiB in host memory");
        }

        var bf16 = Fit(options.Gibibytes * scale, Bf16Growth, "bf16");
        var gguf = Fit(options.GgufGibibytes * scale, Q4KGrowth, "Q4_K");
        return new Room(bf16, gguf, notes);

        double Fit(double gibibytes, double growth, string name)
        {
            var most = ours * Share / growth / (1L << 30);
            if (most < gibibytes)
            {
                notes.Add($"the {name} checkpoint has {most:0.0} GiB instead of {gibibytes:0.0}: {ours >> 30} GiB are free on {device.Id}");
            }

            return Math.Min(most, gibibytes);
        }
    }
}

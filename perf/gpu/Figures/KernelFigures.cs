using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Perf.Gpu;

/// <summary>Each decode kernel from device memory to device memory, in bytes read and written, against a copy within the device.</summary>
internal sealed class KernelFigures(BenchDevice device, BenchOptions options, Deadline deadline)
{
    private const string Group = "kernels";
    private const double LeastOfCopy = 0.7;

    private static readonly DType[] Targets = [DType.F32, DType.F16, DType.BF16];

    public IEnumerable<FigureRow> Measure(TextWriter log)
    {
        var copy = Copy();
        var rate = copy.Median!.Value;
        yield return copy;
        foreach (var codec in Codecs.All.Where(codec => codec.ValuesPerElement == 1))
        {
            log.WriteLine($"  {codec.DType.Name}");
            foreach (var target in Targets.Where(target => target != codec.DType))
            {
                var name = $"{codec.DType.Name} to {target.Name}";
                yield return deadline.HasPassed ? FigureRow.NotMeasured(Group, name, "the time was up") : Kernel(codec, target, name, rate);
            }
        }

        yield return Copy() with { Name = "copy within the device, again after the kernels" };
    }

    private FigureRow Copy()
    {
        using var source = device.Device.Allocate(options.KernelBytes);
        using var destination = device.Device.Allocate(options.KernelBytes);
        var (from, to) = (DeviceBytes.View(source, DType.U8, options.KernelBytes), DeviceBytes.View(destination, DType.U8, options.KernelBytes));
        return Measure("copy within the device", 2 * options.KernelBytes, from, to);
    }

    private FigureRow Kernel(Codec codec, DType target, string name, double copyRate)
    {
        var stored = codec.DType;
        // Whole blocks of the largest kind.
        var values = options.KernelBytes / 4 / 256 * 256;
        using var source = device.Device.Allocate(stored.ByteCount(values));
        using var destination = device.Device.Allocate(target.ByteCount(values));
        DeviceBytes.Tile(source, StoredBytes.Ordinary(stored, (4 << 20) / stored.BlockSize));
        var row = Measure(
            name,
            source.Length + destination.Length,
            new StridedView(source, stored, new Shape(values), [1], 0),
            DeviceBytes.View(destination, target, values));
        return row with { Against = "copy within the device", Ratio = row.Median / copyRate, Target = LeastOfCopy };
    }

    private FigureRow Measure(string name, long bytes, StridedView from, StridedView to)
    {
        using var stream = device.Device.CreateStream();
        var seconds = Repeats.Measure(options.Rounds, () => stream.Copy(from, to), stream.Synchronize);
        return new FigureRow(
            Group, name, "GB/s read + written", bytes / seconds.Median / 1e9, bytes / seconds.Maximum / 1e9, bytes / seconds.Minimum / 1e9);
    }
}

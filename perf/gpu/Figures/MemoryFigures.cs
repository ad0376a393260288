using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Perf.Gpu;

/// <summary>What moves and makes elements within the device, against a copy of as many bytes.</summary>
internal sealed class MemoryFigures(BenchDevice device, BenchOptions options)
{
    private const string Group = "memory";
    private const long Columns = 4096;

    public IEnumerable<FigureRow> Measure()
    {
        var bytes = options.KernelBytes / (2 * Columns) * (2 * Columns);
        var rows = bytes / 2 / Columns;
        using var source = device.Device.Allocate(bytes);
        using var destination = device.Device.Allocate(bytes);
        DeviceBytes.Tile(source, StoredBytes.Ordinary(DType.BF16, 2 << 20));
        var all = new StridedView(source, DType.BF16, new Shape(rows, Columns), [Columns, 1], 0);
        var half = all with { Shape = new Shape(rows, Columns / 2), ByteOffset = Columns };
        var packed = new StridedView(destination, DType.BF16, half.Shape, [Columns / 2, 1], 0);
        var turned = new StridedView(destination, DType.BF16, all.Shape, [1, rows], 0);
        var copy = Row("copy", 2 * bytes, stream => stream.Copy(DeviceBytes.View(source, DType.U8, bytes), DeviceBytes.View(destination, DType.U8, bytes)));
        yield return copy;
        yield return Held(Row("narrowed: half of the columns", bytes, stream => stream.Copy(half, packed)));
        yield return Held(Row("transposed", 2 * bytes, stream => stream.Copy(all, turned)));
        yield return Held(Row("fill", bytes, stream => stream.Fill(DeviceBytes.View(destination, DType.BF16, bytes / 2), [0x80, 0x3F])));
        yield return Held(Row("random fill", bytes, stream => stream.FillUniform(destination, 0, DType.BF16, 0, bytes / 2, 1, -1, 1)));
        yield return Held(Row("byte swap", 2 * bytes, stream => stream.SwapBytes(destination, 0, bytes / 2, 2)));

        FigureRow Held(FigureRow row) => row with { Against = "copy", Ratio = row.Median / copy.Median };
    }

    private FigureRow Row(string name, long bytes, Action<DeviceStream> work)
    {
        using var stream = device.Device.CreateStream();
        var seconds = Repeats.Measure(options.Rounds, () => work(stream), stream.Synchronize);
        return new FigureRow(
            Group, name, "GB/s read + written", bytes / seconds.Median / 1e9, bytes / seconds.Maximum / 1e9, bytes / seconds.Minimum / 1e9);
    }
}

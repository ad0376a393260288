using System.Diagnostics;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Perf.Gpu;

/// <summary>Uploads from page-locked slots and nothing else: what a load is held against.</summary>
internal sealed class UploadFigures(BenchDevice device, BenchOptions options)
{
    public const string Group = "uploads";

    private static readonly int[] SlotMebibytes = [4, 16, 64];
    private static readonly int[] StreamCounts = [1, 2, 4];

    /// <summary>The best rate in bytes a second; 0 until it was measured.</summary>
    public double BestRate { get; private set; }

    public IEnumerable<FigureRow> Measure()
    {
        // Enough for the start and the end of a series not to count.
        var total = Math.Min(4L << 30, Math.Max(64L << 20, (long)(options.Gibibytes * (1L << 30) / 4)));
        var rows = new List<FigureRow>();
        foreach (var mebibytes in SlotMebibytes)
        {
            foreach (var streams in StreamCounts)
            {
                var seconds = Series(mebibytes << 20, streams, total);
                rows.Add(RowOf($"{mebibytes} MiB slots, {streams} {(streams == 1 ? "stream" : "streams")}", total, seconds));
            }
        }

        var best = rows.MaxBy(row => row.Median)!;
        BestRate = best.Median!.Value * 1e9;
        return [best with { Name = $"page-locked upload, the best: {best.Name}" }, .. rows];
    }

    private MeasuredStatistic Series(int slotBytes, int streamCount, long total)
    {
        const int slotsPerStream = 2;
        var slots = streamCount * slotsPerStream;
        using var pool = device.Device.CreateStagingPool(slotBytes, slots);
        using var memory = device.Device.Allocate((long)slots * slotBytes);
        var leases = Enumerable.Range(0, slots).Select(_ => pool.Rent()).ToList();
        var streams = Enumerable.Range(0, streamCount).Select(_ => device.Device.CreateStream()).ToList();
        try
        {
            // Pages are there before they are read.
            leases.ForEach(lease => lease.Memory.Span.Fill(1));
            _ = Once();
            return MeasuredStatistic.Of(Enumerable.Range(0, options.Rounds).Select(_ => Once()).ToArray());
        }
        finally
        {
            streams.ForEach(stream => stream.Dispose());
            leases.ForEach(lease => lease.Dispose());
        }

        double Once()
        {
            var started = Stopwatch.GetTimestamp();
            for (long done = 0, i = 0; done < total; done += slotBytes, i++)
            {
                // A slot keeps its bytes and has its place: nothing is waited for in between.
                var slot = (int)(i % slots);
                var bytes = leases[slot].Memory.Span[..(int)Math.Min(slotBytes, total - done)];
                streams[slot % streamCount].Place(bytes, DType.U8, memory, (long)slot * slotBytes, DType.U8);
            }

            streams.ForEach(stream => stream.Synchronize());
            return Stopwatch.GetElapsedTime(started).TotalSeconds;
        }
    }

    private static FigureRow RowOf(string name, long bytes, MeasuredStatistic seconds) =>
        new(Group, name, "GB/s", bytes / seconds.Median / 1e9, bytes / seconds.Maximum / 1e9, bytes / seconds.Minimum / 1e9);
}

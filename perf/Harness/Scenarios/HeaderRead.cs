using System.Diagnostics;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>What opening cannot do without: plain reads of as many bytes as a checkpoint has beside its tensors.</summary>
internal static class HeaderRead
{
    private const string Name = "plain read of as many bytes as are no tensors";

    private const int BlockBytes = 4 << 20;

    /// <summary>The bytes of a checkpoint's files that are not of tensors, at least one of each file.</summary>
    public static long BytesOf(Checkpoint checkpoint) =>
        Math.Max(checkpoint.Files.Length, checkpoint.Files.Sum(file => new FileInfo(file.Path).Length) - checkpoint.TensorBytes);

    /// <summary>Opens the files and reads so many bytes, as many of each.</summary>
    /// <returns>The seconds.</returns>
    public static double Measure(IReadOnlyList<string> paths, long bytes, CancellationToken cancellationToken)
    {
        var each = Math.Max(1, bytes / paths.Count);
        // Memory that was touched before: what is measured is the reads.
        var block = GC.AllocateUninitializedArray<byte>((int)Math.Min(BlockBytes, each));
        block.AsSpan().Clear();
        var started = Stopwatch.GetTimestamp();
        foreach (var path in paths)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var file = File.OpenHandle(path);
            int read;
            for (long offset = 0; offset < each; offset += read)
            {
                read = RandomAccess.Read(file, block.AsSpan(0, (int)Math.Min(block.Length, each - offset)), offset);
                if (read == 0)
                {
                    break;
                }
            }
        }

        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>It as a limit.</summary>
    public static Contestant Limit(Checkpoint checkpoint)
    {
        string[] paths = [.. checkpoint.Files.Select(file => file.Path)];
        var bytes = BytesOf(checkpoint);
        return Contestant.Limit(Name, token => Measure(paths, bytes, token));
    }

    /// <summary>A row whose rounds were measured with it in turn.</summary>
    public static Measurement RowOf(string name, IReadOnlyList<MeasuredPair> pairs) => new(
        name, MeasuredQuantity.Seconds, [.. pairs.Select(pair => pair.Ours)], [new MeasuredComparison(Name, MeasuredAgainst.Limit, [.. pairs])]);
}

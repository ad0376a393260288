using System.Diagnostics;
using System.Globalization;
using System.IO.Enumeration;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Microbenchmarks;

/// <summary>
/// Medians of interleaved rounds: each round runs every path and every yardstick once, so that a noisy neighbour hits all of
/// them alike and the ratios hold on a shared machine.
/// </summary>
internal static class ConversionRounds
{
    private static readonly DType[] Floats = [DType.F16, DType.BF16, DType.F32, DType.F64];
    private static readonly DType[] Eights = [DType.F8_E4M3, DType.F8_E5M2, DType.F8_E4M3FNUZ, DType.F8_E5M2FNUZ];

    public static IEnumerable<(DType From, DType To)> Pairs =>
    [
        .. from source in Floats from target in Floats select (source, target),
        .. from source in Eights.Append(DType.F8_E8M0) from target in new[] { DType.F32, DType.BF16 } select (source, target),
        .. from source in new[] { DType.F32, DType.BF16, DType.F16 } from target in Eights select (source, target),
        .. from source in DType.All from target in new[] { DType.F32, DType.BF16 } where source.IsBlock select (source, target),
    ];

    public static void Run(TextWriter output, int rounds, long outputBytes, string? only)
    {
        output.WriteLine($"{outputBytes >> 20} MiB of output, medians of {rounds} rounds, GB/s of input + output");
        output.WriteLine("cached: the best path; stream: with streaming stores, as large outputs are written");
        output.WriteLine("bound: input read, then output filled by streaming stores; joint: both in one loop; all: the same on all cores");
        output.WriteLine(
            "pair                   scalar  cached  stream |    read    fill   bound   joint | cached/bound stream/bound stream/joint |   all    bound all/bound all/one");
        foreach (var (from, to) in Pairs)
        {
            var name = $"{from.Name}-{to.Name}";
            if (only is null || FileSystemName.MatchesSimpleExpression(only, name))
            {
                using var conversion = new ConversionCase(from, to, outputBytes);
                output.WriteLine(Measure(conversion, name, rounds));
            }
        }
    }

    private static string Measure(ConversionCase conversion, string name, int rounds)
    {
        Action[] ways =
        [
            conversion.Scalar,
            conversion.Best,
            conversion.Streaming,
            () => conversion.Read(),
            conversion.Fill,
            () => conversion.ReadAndFill(),
            conversion.StreamingOnAllCores,
            () => conversion.ReadOnAllCores(),
            conversion.FillOnAllCores,
        ];

        var seconds = ways.Select(_ => new double[rounds]).ToArray();
        for (var round = -1; round < rounds; round++)
        {
            for (var way = 0; way < ways.Length; way++)
            {
                var start = Stopwatch.GetTimestamp();
                ways[way]();
                if (round >= 0)
                {
                    seconds[way][round] = Stopwatch.GetElapsedTime(start).TotalSeconds;
                }
            }
        }

        var (scalar, best, streaming, read, fill, joint) = (
            Median(seconds[0]), Median(seconds[1]), Median(seconds[2]), Median(seconds[3]), Median(seconds[4]), Median(seconds[5]));
        var bound = read + fill;
        var (all, allBound) = (Median(seconds[6]), Median(seconds[7]) + Median(seconds[8]));
        string Speed(double bytes, double time) => (bytes / time / 1e9).ToString("F1", CultureInfo.InvariantCulture).PadLeft(8);
        double total = conversion.TotalBytes;
        return $"{name,-21}{Speed(total, scalar)}{Speed(total, best)}{Speed(total, streaming)} |"
            + $"{Speed(conversion.Input.Span.Length, read)}{Speed(conversion.Output.Span.Length, fill)}{Speed(total, bound)}{Speed(total, joint)} |"
            + $"{bound / best,13:F2}{bound / streaming,13:F2}{joint / streaming,13:F2} |"
            + $"{Speed(total, all)}{Speed(total, allBound)}{allBound / all,10:F2}{streaming / all,8:F2}";
    }

    private static double Median(double[] values)
    {
        Array.Sort(values);
        return values[values.Length / 2];
    }
}

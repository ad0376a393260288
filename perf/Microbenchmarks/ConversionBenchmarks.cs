using System.Diagnostics.CodeAnalysis;
using BenchmarkDotNet.Attributes;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Microbenchmarks;

/// <summary>
/// Every pair of float types: scalar body, best path, best path with streaming stores, and the yardsticks. 256 MiB of output;
/// divide <see cref="ConversionCase.TotalBytes"/> by the time. For ratios use <c>--rounds</c>, which interleaves.
/// </summary>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "GlobalCleanup disposes it.")]
public class ConversionBenchmarks
{
    private ConversionCase? _case;

    /// <summary>The pair, such as F16-F32.</summary>
    [ParamsSource(nameof(Pairs))]
    public string Pair { get; set; } = "";

    public static IEnumerable<string> Pairs =>
        ConversionRounds.Pairs.Select(pair => $"{pair.From.Name}-{pair.To.Name}");

    private ConversionCase Case => _case ?? throw new InvalidOperationException("The benchmark was not set up.");

    [GlobalSetup]
    public void SetUp()
    {
        var names = Pair.Split('-');
        _case = new ConversionCase(Enum.Parse<DType>(names[0]), Enum.Parse<DType>(names[1]));
    }

    [GlobalCleanup]
    public void CleanUp() => _case?.Dispose();

    [Benchmark]
    public void Scalar() => Case.Scalar();

    [Benchmark]
    public void Best() => Case.Best();

    [Benchmark]
    public void Streaming() => Case.Streaming();

    [Benchmark]
    public void Fill() => Case.Fill();

    [Benchmark]
    public ulong Read() => Case.Read();

    [Benchmark(Baseline = true)]
    public ulong ReadAndFill() => Case.ReadAndFill();
}

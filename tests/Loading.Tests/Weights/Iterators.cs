using System.Runtime.CompilerServices;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Every iterator over files, by a name: for what holds of all of them.</summary>
public static class Iterators
{
    public static TheoryData<string> All => [.. Loading, "lazy"];

    /// <summary>Those whose weights have their values.</summary>
    public static TheoryData<string> Loading =>
        ["eager", "prefetch", "parallel", "grouped", "grouped by two", "streaming", "torch", "parallel torch"];

    public static bool IsTorch(string kind) => kind.Contains("torch", StringComparison.Ordinal);

    /// <summary>A sample of the files that an iterator reads.</summary>
    public static ShardedSample Sample(string kind, int files = 3, int tensors = 4, int bytes = 400) => new(IsTorch(kind), files, tensors, bytes);

    public static IAsyncEnumerable<Weight> Read(
        string kind,
        IEnumerable<string> files,
        LoadOptions? load = null,
        Func<string, OpenFileLimit, IByteSource>? open = null,
        IProgress<LoadProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        load ??= LoadOptions.Default;
        return kind switch
        {
            "lazy" or "eager" or "prefetch" => new SafetensorsWeights(
                files, new SafetensorsWeightsOptions { Load = load, Open = open, Strategy = LoadStrategy.Parse(kind) }).ReadAsync(progress, cancellationToken),
            "parallel" => new ParallelSafetensorsWeights(files, new ParallelWeightsOptions { Load = load, Open = open }).ReadAsync(progress, cancellationToken),
            "grouped" => new GroupedWeights(files, new GroupedWeightsOptions { Load = load, Open = open }).ReadAsync(progress, cancellationToken),
            "grouped by two" => new GroupedWeights(files, new GroupedWeightsOptions { Load = load, Open = open, WorldSize = 2 }).ReadAsync(progress, cancellationToken),
            "streaming" => StreamAsync(files, new WeightsOptions { Load = load, Open = open }, progress, cancellationToken),
            "torch" => new TorchWeights(files, new TorchWeightsOptions { Load = load, Open = open }).ReadAsync(progress, cancellationToken),
            "parallel torch" => new ParallelTorchWeights(files, new TorchWeightsOptions { Load = load, Open = open }).ReadAsync(progress, cancellationToken),
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "There is no such iterator."),
        };
    }

    public static async Task<IReadOnlyList<Weight>> TakeAsync(IAsyncEnumerable<Weight> weights)
    {
        var taken = new List<Weight>();
        await foreach (var weight in weights)
        {
            taken.Add(weight);
        }

        return taken;
    }

    private static async IAsyncEnumerable<Weight> StreamAsync(
        IEnumerable<string> files, WeightsOptions options, IProgress<LoadProgress>? progress, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var weights = await StreamingWeights.OpenAsync(files, options, cancellationToken);
        await foreach (var weight in weights.ReadAsync(progress, cancellationToken))
        {
            yield return weight;
        }
    }
}

using System.Diagnostics;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>
/// A bf16 checkpoint held against its manifest while it is loaded, in interleaved pairs with what it replaces: loading it,
/// and reading it a second time to hash it. Page cache warm, memory reused.
/// </summary>
internal sealed class VerifyScenario : IScenario
{
    public string Name => "verify";

    public string Description => "load a bf16 checkpoint while holding it against a manifest, as it is and to f32";

    public async Task<IReadOnlyList<Row>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var folder = await Data.CheckpointAsync(options, cancellationToken);
        await using var checkpoint = await Checkpoint.OpenAsync(folder, null, cancellationToken);
        options.Log.WriteLine("hashing");
        var manifest = TensorHasher.ToManifest(await TensorHasher.HashStoredAsync(checkpoint, null, cancellationToken));
        return
        [
            await MeasureAsync(options, checkpoint, manifest, null, cancellationToken),
            await MeasureAsync(options, checkpoint, manifest, DType.F32, cancellationToken),
        ];
    }

    private static async Task<Row> MeasureAsync(
        HarnessOptions options, Checkpoint checkpoint, TensorManifest manifest, DType? dtype, CancellationToken cancellationToken)
    {
        var name = dtype is { } target ? $"to {target.Name.ToLowerInvariant()}" : "keep";
        options.Log.WriteLine($"load {name}, verified");
        var loader = new CheckpointLoader();
        var plain = loader.Plan(checkpoint, new LoadOptions { DType = dtype });
        var verified = loader.Plan(checkpoint, new LoadOptions { DType = dtype, Manifest = manifest });
        await using var model = await loader.LoadAsync(plain, null, cancellationToken);
        var pairs = await Pairs.MeasureAsync(
            options.Rounds,
            async () => (await loader.LoadIntoAsync(verified, model, null, cancellationToken)).Elapsed.TotalSeconds,
            () =>
            {
                var started = Stopwatch.GetTimestamp();
                loader.LoadIntoAsync(plain, model, null, cancellationToken).GetAwaiter().GetResult();
                TensorHasher.HashStoredAsync(checkpoint, null, cancellationToken).GetAwaiter().GetResult();
                return Stopwatch.GetElapsedTime(started).TotalSeconds;
            });
        return Pairs.RowOf($"load {name}, verified while reading", checkpoint.TensorBytes, pairs, "load, then read again to hash", "≥ 0.87");
    }
}

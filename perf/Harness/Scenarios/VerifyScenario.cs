using System.Diagnostics;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>
/// A bf16 checkpoint held against its manifest while it is loaded, in interleaved rounds with what it replaces: loading it,
/// and reading it a second time to hash it. Page cache warm, memory reused.
/// </summary>
internal sealed class VerifyScenario : IScenario
{
    // Two cores read and hash at the same time in both: what is saved is the second read.
    private const double Target = 0.87;

    private const string Manifest = "manifest.json";

    public string Name => "verify";

    public string Description => "load a bf16 checkpoint while holding it against a manifest, as it is and to f32";

    public IReadOnlyList<DataFile> FilesOf(HarnessOptions options) =>
        [DataFiles.Llama(options), new DataFile(Manifest, 1_000_000)];

    public async Task<IReadOnlyList<Measurement>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var folder = await TensorFiles.LlamaAsync(options, cancellationToken);
        await using var file = await MeasuredFile.OpenAsync(options, folder, cancellationToken);
        var checkpoint = file.Checkpoint;
        options.Log.WriteLine("hashing");
        var manifest = TensorHasher.ToManifest(await TensorHasher.HashStoredAsync(checkpoint, null, cancellationToken));
        var written = Path.Combine(options.DataFolder, Manifest);
        await manifest.WriteAsync(written, cancellationToken);
        return
        [
            await MeasureAsync(null),
            await MeasureAsync(DType.F32),
            await ToolMemory.MeasureAsync(
                "peak memory of the tool, verified", folder, file.Plan(), LoadOptions.DefaultStagingBytes, ["--verify", written], cancellationToken),
        ];

        async Task<Measurement> MeasureAsync(DType? dtype)
        {
            var name = dtype is { } target ? $"bf16 to {target.Name.ToLowerInvariant()}" : "bf16 keep";
            options.Log.WriteLine($"{name}, verified");
            var loader = new CheckpointLoader();
            var plain = MeasuredFile.PlanBuffered(checkpoint, new LoadOptions { DType = dtype });
            var verified = MeasuredFile.PlanBuffered(checkpoint, new LoadOptions { DType = dtype, Manifest = manifest });
            await using var model = await loader.LoadAsync(plain, null, cancellationToken);
            var twice = new Contestant("load, then read again to hash", MeasuredAgainst.Baseline, async token =>
            {
                var started = Stopwatch.GetTimestamp();
                await loader.LoadIntoAsync(plain, model, null, token);
                await TensorHasher.HashStoredAsync(checkpoint, null, token);
                return Stopwatch.GetElapsedTime(started).TotalSeconds;
            })
            { Target = Target };
            return await LoadMeasurements.AgainAsync($"{name}, verified while reading", verified, options.Rounds, [file.Limits.Read(verified), twice], cancellationToken);
        }
    }
}

using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>A bf16 checkpoint to f32 with little memory for staging: the speed, and the tool's own peak memory.</summary>
internal sealed class CappedScenario : IScenario
{
    private static readonly long[] Caps = [1L << 20, 16L << 20];

    public string Name => "capped";

    public string Description => "load bf16 to f32 with 1 MiB and with 16 MiB for staging: speed and peak memory";

    public IReadOnlyList<DataFile> FilesOf(HarnessOptions options) =>
        [DataFiles.Llama(options)];

    public async Task<IReadOnlyList<Measurement>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var folder = await TensorFiles.LlamaAsync(options, cancellationToken);
        await using var file = await MeasuredFile.OpenAsync(options, folder, cancellationToken);
        var rows = new List<Measurement>();
        foreach (var cap in Caps)
        {
            options.Log.WriteLine($"{cap >> 20} MiB for staging");
            var plan = file.Plan(new LoadOptions { DType = DType.F32, StagingBytes = cap });
            rows.Add(await LoadMeasurements.AgainAsync(
                $"bf16 to f32, {cap >> 20} MiB for staging", plan, options.Rounds, [file.Limits.ReadAndFill(plan)], cancellationToken));
            rows.Add(await ToolMemory.MeasureAsync(
                $"peak memory of the tool, {cap >> 20} MiB for staging", folder, plan, cap, ["--dtype", "f32"], cancellationToken));
        }

        return rows;
    }
}

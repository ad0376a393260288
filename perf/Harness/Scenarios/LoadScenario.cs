using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>
/// A bf16 checkpoint in four shards, page cache warm: again into the same memory, for the first time, to f32; float32 to bf16; each in
/// interleaved rounds with the limits; and the tool's own peak memory.
/// </summary>
internal sealed class LoadScenario : IScenario
{
    public string Name => "load";

    public string Description => "load from safetensors: as stored into reused and into fresh memory, to f32, to bf16; peak memory";

    public IReadOnlyList<DataFile> FilesOf(HarnessOptions options) =>
        [DataFiles.Llama(options), DataFiles.Floats(options, ".safetensors")];

    public async Task<IReadOnlyList<Measurement>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var folder = await TensorFiles.LlamaAsync(options, cancellationToken);
        var rows = new List<Measurement>();
        await using (var file = await MeasuredFile.OpenAsync(options, folder, cancellationToken))
        {
            var limits = file.Limits;
            rows.AddRange((await limits.MeasureAsync(options.Rounds, cancellationToken)).Select(row => row with { Name = HarnessRow.LimitPrefix + row.Name }));
            var (keep, wide) = (file.Plan(), file.PlanTo(DType.F32));
            options.Log.WriteLine("bf16 as stored");
            rows.Add(await LoadMeasurements.AgainAsync(
                "bf16 keep, reused memory", keep, options.Rounds, [limits.Read(keep, 0.95)], cancellationToken));
            rows.Add(await LoadMeasurements.FirstAsync(
                "bf16 keep, first load", keep, options.Rounds, [limits.FirstTouchAndRead(keep, 0.9)], cancellationToken));
            rows.Add(await KeptAsync(options, file, cancellationToken));
            options.Log.WriteLine("bf16 to f32");
            rows.Add(await LoadMeasurements.AgainAsync(
                "bf16 to f32, reused memory", wide, options.Rounds, [limits.ReadAndFill(wide, 1)], cancellationToken));
            rows.Add(await ToolMemory.MeasureAsync(
                "peak memory of the tool, bf16 keep", folder, keep, LoadOptions.DefaultStagingBytes, [], cancellationToken));
            rows.Add(await ToolMemory.MeasureAsync(
                "peak memory of the tool, bf16 to f32", folder, wide, LoadOptions.DefaultStagingBytes, ["--dtype", "f32"], cancellationToken));
            using var peer = PeerScripts.SafetensorsLoad();
            rows.Add(await FreshLoad.RowAsync(
                "open and load bf16 keep", options.Rounds, folder, keep.BytesToRead, [limits.FirstTouchAndRead(keep), peer.Loading(string.Join('\t', file.Paths))], cancellationToken));
        }

        var floats = await TensorFiles.FloatsAsync(options, ".safetensors", cancellationToken);
        await using (var file = await MeasuredFile.OpenAsync(options, floats, cancellationToken))
        {
            options.Log.WriteLine("f32 to bf16");
            var narrow = file.PlanTo(DType.BF16);
            rows.Add(await LoadMeasurements.AgainAsync(
                "f32 to bf16, reused memory", narrow, options.Rounds, [file.Limits.ReadAndFill(narrow, 1)], cancellationToken));
        }

        return rows;
    }

    // One model after the other: what the last one had is there for the next.
    private static async Task<Measurement> KeptAsync(HarnessOptions options, MeasuredFile file, CancellationToken cancellationToken)
    {
        var device = new HostDevice();
        try
        {
            var plan = file.Plan(new LoadOptions { Device = device });
            device.MaximumKeptBytes = plan.DestinationBytes;
            return await LoadMeasurements.FirstAsync(
                "bf16 keep, load anew, memory kept", plan, options.Rounds, [file.Limits.Read(plan)], cancellationToken);
        }
        finally
        {
            device.MaximumKeptBytes = 0;
        }
    }
}

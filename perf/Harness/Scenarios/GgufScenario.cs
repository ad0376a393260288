using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>GGUF files of block types, a quarter of the size of the others, page cache warm and memory reused: as stored, to f32 and to bf16.</summary>
internal sealed class GgufScenario : IScenario
{
    private static readonly DType[] Stored = [DType.Q4_0, DType.Q4_K, DType.Q6_K];

    public string Name => "gguf";

    public string Description => "load GGUF Q4_0, Q4_K and Q6_K: as stored, to f32, to bf16";

    public IReadOnlyList<DataFile> FilesOf(HarnessOptions options) =>
        [.. Stored.Select(dtype => DataFiles.Quantised(options, dtype))];

    public async Task<IReadOnlyList<Measurement>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var rows = new List<Measurement>();
        using var peer = PeerScripts.LlamaCppLoad();
        foreach (var dtype in Stored)
        {
            var path = await TensorFiles.QuantisedAsync(options, dtype, cancellationToken);
            await using var file = await MeasuredFile.OpenAsync(options, path, cancellationToken);
            options.Log.WriteLine(dtype.Name);
            var keep = file.Plan();
            rows.Add(await LoadMeasurements.AgainAsync(
                $"{dtype.Name} keep, reused memory", keep, options.Rounds, [file.Limits.Read(keep, 0.95)], cancellationToken));
            foreach (var target in (DType[])[DType.F32, DType.BF16])
            {
                var plan = file.PlanTo(target);
                rows.Add(await LoadMeasurements.AgainAsync(
                    $"{dtype.Name} to {target.Name.ToLowerInvariant()}, reused memory",
                    plan,
                    options.Rounds,
                    [file.Limits.ReadAndFill(plan, target == DType.F32 ? 1 : null)],
                    cancellationToken));
            }

            rows.Add(await FreshLoad.RowAsync($"open and load {dtype.Name} keep", options.Rounds, path, keep.BytesToRead, [file.Limits.FirstTouchAndRead(keep), peer.Loading(path)], cancellationToken));
            rows.Add(await ToolMemory.MeasureAsync(
                $"peak memory of the tool, {dtype.Name} keep", path, keep, LoadOptions.DefaultStagingBytes, [], cancellationToken));
            rows.Add(await ToolMemory.MeasureAsync(
                $"peak memory of the tool, {dtype.Name} to f32",
                path,
                file.PlanTo(DType.F32),
                LoadOptions.DefaultStagingBytes,
                ["--dtype", "f32"],
                cancellationToken));
        }

        return rows;
    }
}

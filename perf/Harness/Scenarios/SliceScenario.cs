using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>
/// One rank of four: rows of a checkpoint (dim 0), columns of long and of short rows (dim 1), also of a block type. The bytes that are
/// read, and the time beside plain reads of as many.
/// </summary>
internal sealed class SliceScenario : IScenario
{
    private const int Ranks = 4;

    // 1/n of the bytes, and 2 % of them.
    private const double Bound = (1.0 / Ranks) + 0.02;

    public string Name => "slices";

    public string Description => "one rank of four: dim 0, dim 1 with runs of 64 KiB and of 2 KiB, exact slices, Q4_K";

    public IReadOnlyList<DataFile> FilesOf(HarnessOptions options) =>
        [DataFiles.Llama(options), DataFiles.Rows(options, DType.BF16, 131_072), DataFiles.Rows(options, DType.BF16, 4096), DataFiles.Rows(options, DType.Q4_K, 524_288)];

    public async Task<IReadOnlyList<Measurement>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        // Runs of a rank: 64 KiB and 2 KiB of bf16, and 72 KiB of Q4_K.
        var rows = new List<Measurement>();
        await AddAsync("dim 0", await TensorFiles.LlamaAsync(options, cancellationToken), ["*q_proj*", "*gate_proj*"], isBound: true);
        await AddAsync("dim 1, runs of 64 KiB", await TensorFiles.RowsAsync(options, DType.BF16, 131_072, cancellationToken), [], isBound: true);
        await AddAsync("dim 1, runs of 2 KiB", await TensorFiles.RowsAsync(options, DType.BF16, 4096, cancellationToken), [], isBound: false);
        await AddAsync("dim 1, runs of 72 KiB of Q4_K", await TensorFiles.RowsAsync(options, DType.Q4_K, 524_288, cancellationToken), [], isBound: true);
        return rows;

        async Task AddAsync(string what, string path, string[] include, bool isBound)
        {
            options.Log.WriteLine(what);
            await using var file = await MeasuredFile.OpenAsync(options, path, cancellationToken);
            var slice = new LoadOptions { TensorParallel = new TensorParallel(Ranks, 1), Include = [.. include] };
            var whole = file.Plan(slice with { TensorParallel = null });
            foreach (var (kind, plan, bound) in new[] { ("", file.Plan(slice), isBound), (", exact", file.Plan(slice with { ExactSlices = true }), true) })
            {
                rows.Add(Measurement.Of($"bytes read, {what}{kind}", MeasuredQuantity.Bytes, [plan.BytesToRead]) with
                {
                    Comparisons = [new MeasuredComparison("bytes needed", MeasuredAgainst.Limit, [new MeasuredPair(plan.BytesToRead, plan.BytesNeeded)])],
                    Budget = bound ? whole.BytesToRead * Bound : null,
                    Note = FormattableString.Invariant($"{(double)plan.BytesToRead / whole.BytesToRead:P1} of all, {(double)plan.BytesNeeded / whole.BytesToRead:P1} needed"),
                });
                rows.Add(await LoadMeasurements.AgainAsync(
                    $"load one rank, {what}{kind}, reused memory", plan, options.Rounds, [file.Limits.Read(plan)], cancellationToken));
            }

            rows.Add(await LoadChild.MeasureAsync($"peak memory of a process, one rank, {what}", path, file.Plan(slice), cancellationToken));
        }
    }
}

using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>What ranks have saved of the bf16 checkpoint: made once by the library, and kept between runs.</summary>
internal static class ShardedFiles
{
    /// <summary>How many ranks there are.</summary>
    public const int Ranks = 2;

    /// <summary>The folder of all ranks, and the one that saves are measured in.</summary>
    public static IReadOnlyList<DataFile> FilesOf(HarnessOptions options) =>
    [
        DataFiles.Llama(options) with { Name = $"{DataFiles.Llama(options).Name}-tp{Ranks}" },
        new DataFile("saved", DataFiles.Llama(options).Bytes, IsKept: false),
    ];

    /// <summary>The state of all ranks, with their manifests.</summary>
    public static async Task<string> StateAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var folder = Path.Combine(options.DataFolder, FilesOf(options)[0].Name);
        // All manifests appear at once, with the last rank.
        if (!File.Exists(Path.Combine(folder, "rank-0.json")))
        {
            var source = await TensorFiles.LlamaAsync(options, cancellationToken);
            options.Log.WriteLine($"writing {folder}");
            await using var checkpoint = await Checkpoint.OpenAsync(source, null, cancellationToken);
            for (var rank = 0; rank < Ranks; rank++)
            {
                var parallel = new TensorParallel(Ranks, rank);
                using var module = (await LaidOutModel.LoadAsync(checkpoint, parallel, null, cancellationToken)).Module;
                await SaveAsync(module, folder, new ShardedStateSaveOptions { Parallel = parallel, SaveId = "harness", CarriedFrom = source }, cancellationToken);
            }
        }

        return folder;
    }

    /// <summary>Saves a rank.</summary>
    public static Task<ShardedStateSaveResult> SaveAsync(Module module, string folder, ShardedStateSaveOptions options, CancellationToken cancellationToken) =>
        new ShardedStateLoader().SaveModelAsync(module, folder, options with { IsProcessed = true, ModelDType = DType.BF16 }, null, cancellationToken);
}

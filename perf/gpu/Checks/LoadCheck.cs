using System.IO.Compression;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Perf.Gpu;

/// <summary>Loads onto the device, held against loads into the host's memory, bit for bit.</summary>
internal sealed class LoadCheck(BenchDevice device)
{
    private static readonly DType?[] Targets = [null, DType.F32, DType.F16, DType.BF16];

    private readonly CheckpointLoader _loader = new();

    /// <summary>Every file of the golden archives that is a checkpoint, as stored and converted.</summary>
    public async Task<CheckRow> GoldenAsync(string goldenFolder, string dataFolder)
    {
        var tally = new CheckTally("each golden file: tensors as stored, to F32, F16 and BF16, against the host's");
        foreach (var archive in Directory.EnumerateFiles(goldenFolder, "*.zip").Order())
        {
            var folder = Path.Combine(dataFolder, "golden", Path.GetFileNameWithoutExtension(archive));
            await ZipFile.ExtractToDirectoryAsync(archive, folder);
            foreach (var file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Order())
            {
                await CompareAsync(file, Path.GetRelativePath(folder, file), tally);
            }
        }

        return tally.End();
    }

    /// <summary>The sample checkpoints.</summary>
    public async Task<CheckRow> SamplesAsync(string samplesFolder)
    {
        var tally = new CheckTally("the sample checkpoints, likewise");
        foreach (var folder in Directory.EnumerateDirectories(samplesFolder).Where(folder => File.Exists(Path.Combine(folder, "config.json"))))
        {
            await CompareAsync(folder, Path.GetFileName(folder), tally);
        }

        return tally.End();
    }

    /// <summary>Some tensors of a large checkpoint that is loaded already.</summary>
    public async Task<CheckRow> LoadedAsync(string name, Checkpoint checkpoint, LoadedModel model, DType? dtype)
    {
        var tally = new CheckTally($"{name}: the first, the last and the largest tensor that was loaded");
        TensorInfo[] chosen = [checkpoint.Tensors[0], checkpoint.Tensors[^1], checkpoint.Tensors.MaxBy(tensor => tensor.Shape.ElementCount)!];
        foreach (var tensor in chosen.Select(tensor => tensor.Name).Distinct())
        {
            using var expected = await LoadAsync(checkpoint, HostDevice.Shared, dtype, tensor);
            TensorComparison.Compare($"{name}, {tensor}", expected![tensor], model[tensor], tally);
        }

        return tally.End();
    }

    private async Task CompareAsync(string path, string name, CheckTally tally)
    {
        Checkpoint checkpoint;
        try
        {
            checkpoint = await Checkpoint.OpenAsync(path);
        }
        catch (Exception exception) when (exception is CheckpointException or IOException)
        {
            // Hostile on purpose, or no checkpoint at all; what is refused is the tests' business.
            return;
        }

        await using (checkpoint)
        {
            foreach (var dtype in Targets)
            {
                using var expected = await LoadAsync(checkpoint, HostDevice.Shared, dtype);
                if (expected is null)
                {
                    continue;
                }

                try
                {
                    using var actual = await LoadAsync(checkpoint, device.Device, dtype);
                    foreach (var tensor in expected)
                    {
                        TensorComparison.Compare($"{name} to {dtype?.Name ?? "what is stored"}, {tensor.Name}", tensor.Tensor, actual![tensor.Name], tally);
                    }
                }
                catch (Exception exception) when (exception is not OperationCanceledException)
                {
                    tally.Fail($"{name}: {exception.GetType().Name}: {exception.Message}");
                }
            }
        }
    }

    // Null where the host refuses it too: a tensor that cannot be converted, or a file that is damaged further on.
    private async Task<LoadedModel?> LoadAsync(Checkpoint checkpoint, Device destination, DType? dtype, string? only = null)
    {
        try
        {
            var options = new LoadOptions { Device = destination, DType = dtype };
            return await _loader.LoadAsync(_loader.Plan(checkpoint, only is null ? options : options with { Include = [only] }));
        }
        catch (CheckpointException) when (destination.IsHost)
        {
            return null;
        }
    }
}

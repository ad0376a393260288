using System.Security.Cryptography;
using System.Text.Json;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Every PyTorch file of public repositories, against the hash of each tensor's row-major bytes.</summary>
public sealed class TorchRealTests
{
    // Seventy-four files when this was written: fewer would say that they are not found, not that they are read.
    private const int AtLeast = 70;

    [RealFilesFact]
    public async Task Open_RealFiles_HaveTheManifestsTensors()
    {
        using var manifest = JsonDocument.Parse(await File.ReadAllBytesAsync(Path.Combine(RepositoryPaths.Real, "manifest.json")));
        var files = 0;
        foreach (var entry in manifest.RootElement.EnumerateArray())
        {
            if (entry.GetProperty("kind").GetString() is not ("zip" or "torch-legacy"))
            {
                continue;
            }

            files++;
            await using var checkpoint = await Checkpoint.OpenAsync(Path.Combine(RepositoryPaths.Real, entry.GetProperty("file").GetString()!));
            var tensors = entry.GetProperty("tensors").EnumerateObject().ToArray();
            // The manifest lists parameters and buffers; what TorchScript keeps packed for its own kernels is there besides.
            var isScript = entry.TryGetProperty("torchscript", out var script) && script.GetBoolean();
            Assert.Equal(
                tensors.Select(tensor => tensor.Name.Replace('/', '.')).Order(StringComparer.Ordinal),
                checkpoint.Tensors.Select(tensor => tensor.Name).Where(name => !isScript || !name.Contains("._packed_params.", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
            foreach (var expected in tensors)
            {
                var tensor = checkpoint[expected.Name.Replace('/', '.')];
                Assert.Equal(expected.Value.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64()), tensor.Shape);
                Assert.Equal(expected.Value.GetProperty("off").GetInt64(), tensor.StorageOffset);
                Assert.Equal(expected.Value.GetProperty("contig").GetBoolean(), tensor.IsContiguous);
                Assert.Equal(
                    expected.Value.GetProperty("sha256").GetString(), Convert.ToHexStringLower(SHA256.HashData(await TorchOpening.ValuesAsync(tensor))));
            }
        }

        Assert.InRange(files, AtLeast, int.MaxValue);
    }
}

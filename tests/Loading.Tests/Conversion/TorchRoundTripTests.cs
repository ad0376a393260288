using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text.Json;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>What PyTorch wrote keeps its values through every format that is written, by the SHA-256 of what PyTorch had.</summary>
public sealed class TorchRoundTripTests : IDisposable
{
    // As in TorchRealTests: fewer would say that they are not found.
    private const int RealFilesAtLeast = 70;

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Files => [.. GoldenTorch.FileNames];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Files))]
    public async Task A_golden_file_has_the_hashes_of_its_expected_values_and_keeps_them_through_every_format(string file)
    {
        await using var checkpoint = await OpenAsync(GoldenTorch.Write(_folder, file), GoldenTorch.NamesForeignClasses(file));
        var hashes = await TensorHasher.HashStoredAsync(checkpoint);
        var byName = hashes.ToDictionary(hash => hash.Tensor.Name);
        foreach (var (name, golden) in GoldenTorch.Tensors(file))
        {
            Assert.Equal((golden.DType, golden.Shape, Sha256(golden.Bytes)), Fields(byName[name]));
        }

        // Numbers of 128 bits have no name in a safetensors file; the other formats take them.
        var named = hashes.Where(hash => hash.Tensor.DType.IsSafetensors).Select(hash => hash.Tensor.Name).ToImmutableArray();
        var previous = checkpoint;
        var opened = new List<Checkpoint>();
        foreach (var output in (string[])["1.pt", "2.npz", "3.pt", "4.safetensors", "5.pt", "6.npz"])
        {
            var chosen = output == "4.safetensors" ? hashes.Where(hash => named.Contains(hash.Tensor.Name)) : hashes;
            hashes = [.. chosen];
            await CheckpointConverter.ConvertAsync(
                previous, _folder[output], new ConversionOptions { Choice = new TensorChoice([.. hashes.Select(hash => hash.Tensor.Name)], []) });
            previous = await Checkpoint.OpenAsync(_folder[output]);
            opened.Add(previous);
            Assert.Empty(previous.Warnings);
            AssertSame(hashes, await TensorHasher.HashStoredAsync(previous));
        }

        foreach (var one in opened)
        {
            await one.DisposeAsync();
        }
    }

    [Theory]
    [MemberData(nameof(Twins))]
    public async Task The_archive_and_the_stream_of_one_model_have_equal_values(string archive, string stream)
    {
        await using var left = await OpenAsync(GoldenTorch.Write(_folder, archive), GoldenTorch.NamesForeignClasses(archive));
        await using var right = await OpenAsync(GoldenTorch.Write(_folder, stream), GoldenTorch.NamesForeignClasses(stream));
        AssertSame(await TensorHasher.HashStoredAsync(left), await TensorHasher.HashStoredAsync(right));
    }

    public static TheoryData<string, string> Twins
    {
        get
        {
            var twins = new TheoryData<string, string>();
            foreach (var archive in GoldenTorch.FileNames.Where(name => name.EndsWith(".zip.pt", StringComparison.Ordinal)))
            {
                var stream = archive.Replace(".zip.pt", ".legacy.pt", StringComparison.Ordinal);
                if (GoldenTorch.FileNames.Contains(stream))
                {
                    twins.Add(archive, stream);
                }
            }

            return twins;
        }
    }

    [RealFilesFact]
    public async Task Real_files_have_the_hashes_of_their_manifest()
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
            var hashes = (await TensorHasher.HashStoredAsync(checkpoint)).ToDictionary(hash => hash.Tensor.Name, hash => hash.Sha256);
            Assert.All(
                entry.GetProperty("tensors").EnumerateObject(),
                tensor => Assert.Equal(tensor.Value.GetProperty("sha256").GetString(), hashes[tensor.Name.Replace('/', '.')]));
        }

        Assert.InRange(files, RealFilesAtLeast, int.MaxValue);
    }

    private static Task<Checkpoint> OpenAsync(string path, bool allowUnknownGlobals) =>
        Checkpoint.OpenAsync(path, new CheckpointOptions { Torch = TorchLimits.Default with { AllowUnknownGlobals = allowUnknownGlobals } });

    private static void AssertSame(IEnumerable<TensorHash> expected, IEnumerable<TensorHash> actual) => Assert.Equal(
        expected.Select(hash => (hash.Tensor.Name, Fields(hash))).OrderBy(hash => hash.Name, StringComparer.Ordinal),
        actual.Select(hash => (hash.Tensor.Name, Fields(hash))).OrderBy(hash => hash.Name, StringComparer.Ordinal));

    private static (DType DType, Shape Shape, string Sha256) Fields(TensorHash hash) => (hash.Tensor.DType, hash.Tensor.Shape, hash.Sha256);

    private static string Sha256(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));
}

using System.Numerics;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>What becomes of each type of value that the metadata of a PyTorch file has.</summary>
public sealed class MetadataConversionTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string, object, object?, object?> Values { get; } = new()
    {
        // The value, and what safetensors and GGUF give back; null where it is left out.
        { "text", "a, \u00e4", "a, \u00e4", "a, \u00e4" },
        { "truth", true, "true", true },
        { "untruth", false, "false", false },
        { "long", long.MinValue, "-9223372036854775808", long.MinValue },
        { "double", 0.1, "0.1", 0.1 },
        { "float", 0.1f, "0.1", 0.1f },
        { "huge", BigInteger.Pow(10, 30), "1000000000000000000000000000000", null },
        { "complex", new Complex(1, 2), null, null },
        { "bytes", new byte[] { 1, 2 }, null, null },
        { "none", DBNull.Value, null, null },
        { "flat", new TorchList(1L, "a"), null, null },
        { "nested", new TorchList(new TorchList(1L), DBNull.Value), null, null },
        { "empty", new TorchList(), null, null },
        { "half", "\ud800", null, null },
    };

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Values))]
    public async Task A_value_is_carried_over_as_far_as_the_format_has_its_type_and_named_elsewhere(
        string key, object value, object? safetensors, object? gguf)
    {
        foreach (var (output, expected) in new[] { ("out.safetensors", safetensors), ("out.gguf", gguf), ("out.pt", null), ("out.npz", null) })
        {
            await using var checkpoint = Open(key, value);
            var result = await CheckpointConverter.ConvertAsync(checkpoint, _folder[output]);
            Assert.Equal(expected is null ? [key] : [], result.OmittedMetadata.ToArray());
            await using var written = await Checkpoint.OpenAsync(_folder[output]);
            Assert.Equal(expected, written.Metadata.GetValueOrDefault(key));
        }
    }

    [Fact]
    public async Task The_values_beside_a_state_dict_are_carried_over_or_named()
    {
        var pickle = PickleBytes.Dictionary(
            ("w", PickleBytes.Tensor(PickleBytes.Storage("FloatStorage", "0", 2), 0, [2], [1])),
            ("epoch", PickleBytes.Whole(3)),
            ("loss", PickleBytes.Real(0.25)),
            ("name", PickleBytes.Text("run")),
            ("nothing", PickleBytes.None),
            ("betas", PickleBytes.Tuple(PickleBytes.Real(0.9), PickleBytes.Real(0.999))),
            ("hash", PickleBytes.Bytes(1, 2, 3)),
            ("big", PickleBytes.Whole(BigInteger.One << 80)));
        await File.WriteAllBytesAsync(_folder["model.pt"], new TorchBuilder().AddStorage("0", [1, 2, 3, 4, 5, 6, 7, 8]).ToArchive(pickle));
        await using var checkpoint = await Checkpoint.OpenAsync(_folder["model.pt"]);
        foreach (var (output, omitted) in new[] { ("out.safetensors", "nothing betas hash"), ("out.gguf", "nothing betas hash big") })
        {
            var result = await CheckpointConverter.ConvertAsync(checkpoint, _folder[output]);
            Assert.Equal(omitted.Split(' ').Order(StringComparer.Ordinal), result.OmittedMetadata.Order(StringComparer.Ordinal));
            await using var written = await Checkpoint.OpenAsync(_folder[output]);
            Assert.Equal(
                output.EndsWith("gguf", StringComparison.Ordinal) ? [3L, 0.25, "run"] : ["3", "0.25", "run"],
                new[] { "epoch", "loss", "name" }.Select(key => written.Metadata[key]));
        }
    }

    private static Checkpoint Open(string key, object value)
    {
        var file = new CheckpointFile("model.pt", "model.pt", "pytorch", new MemorySource(new byte[8], "model.pt"));
        var tensors = new TensorInfo[] { new("w", DType.F32, new Shape(2), file, 0, 8) };
        return Checkpoint.OfFiles("model.pt", [new OpenedFile(file, new FileContent(tensors, new Dictionary<string, object> { [key] = value }))], null);
    }
}

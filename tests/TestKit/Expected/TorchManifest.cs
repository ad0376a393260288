using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace IlgpuLoader.TestKit;

/// <summary>What the golden set <c>torch</c> says of its files: <c>manifest.json</c>, written by the program that made them.</summary>
public static class TorchManifest
{
    /// <summary>The golden set's name.</summary>
    public const string Set = "torch";

    private static readonly JsonSerializerOptions Options = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };
    private static readonly Lazy<ImmutableDictionary<string, ImmutableDictionary<string, TorchTensor>>> Files = new(Read);
    private static readonly Lazy<ImmutableDictionary<string, ImmutableDictionary<string, string>>> Others = new(ReadOthers);

    /// <summary>The files that have tensors, by name.</summary>
    public static IEnumerable<string> FileNames => Files.Value.Keys.Order(StringComparer.Ordinal);

    /// <summary>The tensors of a file that have expected values, by the names they have in the manifest.</summary>
    public static IReadOnlyDictionary<string, TorchTensor> Tensors(string file) => Files.Value[file];

    /// <summary>The values of a file that are no tensors, as Python prints them, by the names they have in the manifest.</summary>
    public static IReadOnlyDictionary<string, string> Other(string file) =>
        Others.Value.TryGetValue(file, out var others) ? others : ImmutableDictionary<string, string>.Empty;

    private static ImmutableDictionary<string, ImmutableDictionary<string, string>> ReadOthers()
    {
        using var manifest = JsonDocument.Parse(GoldenArchive.Read(Set, "manifest.json"));
        var files = ImmutableDictionary.CreateBuilder<string, ImmutableDictionary<string, string>>();
        foreach (var file in manifest.RootElement.GetProperty("files").EnumerateObject())
        {
            if (file.Value.TryGetProperty("other", out var others))
            {
                files.Add(file.Name, others.EnumerateObject().ToImmutableDictionary(other => other.Name, other => other.Value.GetString()!));
            }
        }

        return files.ToImmutable();
    }

    private static ImmutableDictionary<string, ImmutableDictionary<string, TorchTensor>> Read()
    {
        using var manifest = JsonDocument.Parse(GoldenArchive.Read(Set, "manifest.json"));
        var files = ImmutableDictionary.CreateBuilder<string, ImmutableDictionary<string, TorchTensor>>();
        foreach (var file in manifest.RootElement.GetProperty("files").EnumerateObject())
        {
            if (file.Value.TryGetProperty("tensors", out var tensors) && tensors.ValueKind == JsonValueKind.Object)
            {
                files.Add(
                    file.Name,
                    tensors.EnumerateObject().ToImmutableDictionary(tensor => tensor.Name, tensor => tensor.Value.Deserialize<TorchTensor>(Options)!));
            }
        }

        return files.ToImmutable();
    }
}

/// <summary>One tensor of the manifest.</summary>
/// <param name="DType">The type as PyTorch spells it, such as <c>bfloat16</c>.</param>
/// <param name="Shape">The dimensions.</param>
/// <param name="Stride">The strides in elements; null where there are none, as in sparse tensors.</param>
/// <param name="Bits">Whether the expected values are the bit patterns, for types that NumPy does not have.</param>
/// <param name="Expected">The file of the expected values in the same set; null where there is none.</param>
/// <param name="Storage">Which storage of the file the tensor views, counted in the order of their first use.</param>
/// <param name="StorageOffset">Where it begins in the storage, in elements.</param>
/// <param name="Layout">Set where the tensor is sparse and the expected values are those of the dense one.</param>
/// <param name="Quant">The scheme of a quantised tensor, whose expected values are its integers.</param>
public sealed record TorchTensor(
    [property: JsonPropertyName("dtype")] string DType,
    IReadOnlyList<long>? Shape,
    IReadOnlyList<long>? Stride,
    bool Bits = false,
    string? Expected = null,
    int? Storage = null,
    long? StorageOffset = null,
    string? Layout = null,
    string? Quant = null);

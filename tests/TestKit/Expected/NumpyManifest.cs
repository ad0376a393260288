using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace IlgpuLoader.TestKit;

/// <summary>What the golden set <c>torch</c> says of its NumPy files, in its folder <c>npy</c>: written by NumPy 1.24.</summary>
public static class NumpyManifest
{
    /// <summary>The golden set's name.</summary>
    public const string Set = TorchManifest.Set;

    private static readonly Lazy<ImmutableDictionary<string, NumpyArray>> All = new(Read);

    /// <summary>The arrays by name; each is a file <c>npy/NAME.npy</c>, and some are in the archives beside them.</summary>
    public static IReadOnlyDictionary<string, NumpyArray> Arrays => All.Value;

    private static ImmutableDictionary<string, NumpyArray> Read()
    {
        using var manifest = JsonDocument.Parse(GoldenArchive.Read(Set, "manifest.json"));
        return manifest.RootElement.GetProperty("files").GetProperty("npy/").GetProperty("tensors").EnumerateObject()
            .ToImmutableDictionary(array => array.Name, array => array.Value.Deserialize<NumpyArray>()!);
    }
}

/// <summary>One array of the manifest.</summary>
/// <param name="DType">The type as NumPy spells it, such as <c>&lt;f4</c>.</param>
/// <param name="Shape">The dimensions.</param>
/// <param name="IsFortranOrder">Whether the first dimension is the fastest.</param>
/// <param name="Values">The values in row-major order as Python writes them; null where they are records.</param>
public sealed record NumpyArray(
    [property: JsonPropertyName("dtype")] string DType,
    [property: JsonPropertyName("shape")] IReadOnlyList<long> Shape,
    [property: JsonPropertyName("fortran")] bool IsFortranOrder,
    [property: JsonPropertyName("values")] IReadOnlyList<string>? Values);

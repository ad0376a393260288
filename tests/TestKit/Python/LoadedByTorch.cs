using System.Text.Json;
using System.Text.Json.Serialization;

namespace IlgpuLoader.TestKit;

/// <summary>One tensor as <c>torch.load(weights_only=True)</c> gave it.</summary>
/// <param name="Name">The key in the dict.</param>
/// <param name="DType">The dtype, such as <c>torch.float32</c>.</param>
/// <param name="Shape">The dimensions.</param>
/// <param name="Stride">The strides in elements.</param>
/// <param name="Offset">Where it begins in its storage, in elements.</param>
/// <param name="Storage">Which storage of the file it views, counted in the order of their first use.</param>
/// <param name="Bytes">Its bytes, in hexadecimal digits.</param>
public sealed record LoadedByTorch(
    string Name,
    [property: JsonPropertyName("dtype")] string DType,
    IReadOnlyList<long> Shape,
    IReadOnlyList<long> Stride,
    long Offset,
    int Storage,
    string Bytes)
{
    // Bytes are taken from memory: no conversion of PyTorch's stands between the file and what is compared.
    private const string Script = """
        import ctypes, json, sys, torch
        loaded = torch.load(sys.argv[1], weights_only=True)
        assert type(loaded) is dict, type(loaded)
        storages, out = {}, []
        for name, t in loaded.items():
            assert type(t) is torch.Tensor and not t.requires_grad and t.is_contiguous()
            key = t.storage()._cdata if t.numel() == 0 else t.storage().data_ptr()
            out.append(dict(name=name, dtype=str(t.dtype), shape=list(t.shape), stride=list(t.stride()), offset=t.storage_offset(),
                            storage=storages.setdefault(key, len(storages)),
                            bytes=ctypes.string_at(t.data_ptr(), t.numel() * t.element_size()).hex() if t.numel() else ''))
        print(json.dumps(out))
        """;

    private static readonly JsonSerializerOptions Options = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>Loads a file with PyTorch.</summary>
    public static async Task<IReadOnlyList<LoadedByTorch>> LoadAsync(string path) =>
        (await PythonTorch.RunAsync(Script, path)).Deserialize<List<LoadedByTorch>>(Options)!;
}

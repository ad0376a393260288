using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading.Tests;

/// <summary>
/// A checkpoint with a tensor of a quantised type, which safetensors cannot hold.
/// </summary>
public static class BlockSample
{
    /// <summary>Opens 'fine', F16 [4], and one of ggml's blocks of 256 elements in 292 bytes.</summary>
    /// <param name="blockName">The name of the second.</param>
    public static async Task<Checkpoint> OpenAsync(string blockName = "odd")
    {
        // Not disposed: the source that it owns is the new checkpoint's.
        var inner = await Sample.Make(3, ("fine", DType.F16, [4]), ("bytes", DType.U8, [292])).OpenAsync();
        var bytes = inner["bytes"];
        return Checkpoint.OfTensors(
            inner.Files[0], [inner["fine"], new TensorInfo(blockName, DType.Q8_K, new Shape(256), bytes.File, bytes.Offset, bytes.ByteLength)]);
    }
}

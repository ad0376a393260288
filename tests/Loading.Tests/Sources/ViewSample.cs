using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading.Tests;

/// <summary>A checkpoint with a tensor that is a strided view of another's storage, as formats with views have it.</summary>
public static class ViewSample
{
    /// <summary>Opens 'whole', F32 [2, 3], and 'view', its transposition.</summary>
    public static async Task<Checkpoint> OpenAsync()
    {
        // Not disposed: the source that it owns is the new checkpoint's.
        var inner = await Sample.Make(8, ("whole", DType.F32, [2, 3])).OpenAsync();
        var whole = inner["whole"];
        var view = new TensorInfo("view", DType.F32, new Shape(3, 2), whole.File, whole.Offset, whole.ByteLength) { Strides = [1, 3] };
        return Checkpoint.OfTensors(inner.Files[0], [whole, view]);
    }
}

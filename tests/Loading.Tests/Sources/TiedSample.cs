using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading.Tests;

/// <summary>A checkpoint in which several names share one storage, as formats with aliases and views make them.</summary>
public static class TiedSample
{
    /// <summary>Opens a sample with further names for some of its tensors, each where its bytes are.</summary>
    /// <param name="sample">The tensors that have bytes.</param>
    /// <param name="wrap">The source that is read.</param>
    /// <param name="aliases">A name, whose storage it shares, and the dtype and shape that it sees there.</param>
    public static async Task<Checkpoint> OpenAsync(
        Sample sample,
        Func<IByteSource, IByteSource>? wrap,
        params (string Name, string Of, DType DType, long[] Shape)[] aliases)
    {
        // Not disposed: the source that it owns is the new checkpoint's.
        var inner = await sample.OpenAsync(wrap);
        var tensors = inner.Tensors.ToList();
        foreach (var (name, of, dtype, shape) in aliases)
        {
            var first = inner[of];
            var position = tensors.FindLastIndex(tensor => tensor.Offset <= first.Offset) + 1;
            tensors.Insert(position, new TensorInfo(name, dtype, new Shape(shape), first.File, first.Offset, first.ByteLength));
        }

        return Checkpoint.OfTensors(inner.Files[0], tensors);
    }

    /// <summary>The bytes that each name must have: those of the storage.</summary>
    public static IReadOnlyDictionary<string, byte[]> Bytes(Checkpoint checkpoint, Sample sample) => checkpoint.Tensors.ToDictionary(
        tensor => tensor.Name, tensor => sample.File[(int)tensor.Offset..(int)(tensor.Offset + tensor.ByteLength)]);
}

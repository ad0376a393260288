namespace IlgpuLoader.Formats.Tests;

/// <summary>The elements of a tensor one by one, in row-major order, wherever its strides say they are.</summary>
internal static class ElementWalk
{
    public static async Task<byte[]> ReadAsync(TensorInfo tensor)
    {
        var storage = new byte[tensor.ByteLength];
        await tensor.File.Source.ReadExactlyAsync(tensor.Offset, storage);
        if (tensor.Strides.IsDefault)
        {
            return storage;
        }

        var size = tensor.DType.BlockSize;
        var elements = new byte[tensor.ElementCount * size];
        var index = new long[tensor.Shape.Rank];
        for (var i = 0; i < tensor.ElementCount; i++)
        {
            var at = tensor.StorageOffset + index.Select((position, dimension) => position * tensor.Strides[dimension]).Sum();
            storage.AsSpan((int)at * size, size).CopyTo(elements.AsSpan(i * size));
            for (var dimension = index.Length - 1; dimension >= 0 && ++index[dimension] == tensor.Shape[dimension]; dimension--)
            {
                index[dimension] = 0;
            }
        }

        return elements;
    }
}

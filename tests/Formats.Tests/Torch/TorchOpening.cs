using System.Globalization;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Opens the bytes of one PyTorch file at once and a few bytes a read; both must end the same. Reads views by a walk of its own.</summary>
internal static class TorchOpening
{
    /// <summary>The name under which the bytes are opened; messages must begin with it.</summary>
    public const string Name = "folder/model.pt";

    /// <summary>With globals that are on no list as inert records.</summary>
    public static CheckpointOptions Admitting { get; } = new() { Torch = new TorchLimits { AllowUnknownGlobals = true } };

    /// <summary>Opens bytes that are valid.</summary>
    public static async Task<Checkpoint> AcceptedAsync(byte[] file, CheckpointOptions? options = null)
    {
        // What is accepted may cost no more than what is refused.
        var checkpoint = await BoundedOpening.OpenAsync(file, Name, options);
        await using var slowly = await Checkpoint.OpenAsync(new ShortReadSource(new MemorySource(file, Name), 7), options);
        Assert.Equal(checkpoint.Tensors.Select(Line), slowly.Tensors.Select(Line));
        Assert.Equal(checkpoint.Metadata, slowly.Metadata);
        Assert.Equal(checkpoint.Warnings.Select(warning => warning.Message), slowly.Warnings.Select(warning => warning.Message));
        foreach (var tensor in checkpoint.Tensors)
        {
            Assert.InRange(tensor.ByteLength, 0, tensor.File.Source.Length - tensor.Offset);
        }

        return checkpoint;
    }

    /// <summary>Opens bytes that are not valid within the bound of memory, and gives the exception.</summary>
    public static Task<TException> RefusedAsync<TException>(byte[] file, CheckpointErrorCode code, CheckpointOptions? options = null)
        where TException : CheckpointException =>
        BoundedOpening.RefusedAsync<TException>(file, Name, code, options);

    /// <summary>Opens bytes that break a rule; the message must have the tensor.</summary>
    public static async Task<InvalidCheckpointException> InvalidAsync(
        byte[] file, CheckpointErrorCode code, string? tensor = null, CheckpointOptions? options = null)
    {
        var exception = await RefusedAsync<InvalidCheckpointException>(file, code, options);
        Assert.Equal(tensor, exception.Tensor);
        return exception;
    }

    /// <summary>The elements of a tensor in row-major order, by a walk over its strides, one element at a time.</summary>
    public static async Task<byte[]> ValuesAsync(TensorInfo tensor)
    {
        var storage = new byte[tensor.ByteLength];
        await tensor.File.Source.ReadExactlyAsync(tensor.Offset, storage);
        var strides = Strides(tensor);
        var size = tensor.DType.BlockSize;
        var values = new byte[tensor.Shape.ElementCount * size];
        for (long element = 0; element < tensor.Shape.ElementCount; element++)
        {
            var (rest, at) = (element, tensor.StorageOffset);
            for (var i = tensor.Shape.Rank - 1; i >= 0; i--)
            {
                at += rest % tensor.Shape[i] * strides[i];
                rest /= tensor.Shape[i];
            }

            storage.AsSpan((int)(at * size), size).CopyTo(values.AsSpan((int)(element * size)));
        }

        return values;
    }

    /// <summary>The strides of a tensor, also where they are those of its shape.</summary>
    public static long[] Strides(TensorInfo tensor)
    {
        if (!tensor.Strides.IsDefault)
        {
            return [.. tensor.Strides];
        }

        var strides = new long[tensor.Shape.Rank];
        long stride = 1;
        for (var i = strides.Length - 1; i >= 0; i--)
        {
            strides[i] = stride;
            stride *= Math.Max(1, tensor.Shape[i]);
        }

        return strides;
    }

    private static string Line(TensorInfo tensor) => string.Create(
        CultureInfo.InvariantCulture,
        $"{tensor}|{tensor.Offset}|{tensor.ByteLength}|{tensor.StorageOffset}|{(tensor.Strides.IsDefault ? "" : string.Join(',', tensor.Strides))}|{tensor.TiedTo}");
}

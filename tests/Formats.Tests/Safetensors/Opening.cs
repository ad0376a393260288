using System.Globalization;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>
/// Opens the bytes of one file every way a reader must bear: at once, and one byte a read. Both must end the same, and
/// whatever is refused must be closed.
/// </summary>
internal static class Opening
{
    /// <summary>The name under which the bytes are opened; messages must begin with it.</summary>
    public const string Name = "folder/model.safetensors";

    /// <summary>Opens bytes that are valid.</summary>
    public static async Task<Checkpoint> AcceptedAsync(byte[] file, CheckpointOptions? options = null)
    {
        var checkpoint = await Checkpoint.OpenAsync(new MemorySource(file, Name), options);
        await using var slowly = await Checkpoint.OpenAsync(new ShortReadSource(new MemorySource(file, Name)), options);
        Assert.Equal(checkpoint.Tensors.Select(Line), slowly.Tensors.Select(Line));
        Assert.Equal(checkpoint.Metadata, slowly.Metadata);
        AssertConsistent(checkpoint, file.Length);
        return checkpoint;
    }

    /// <summary>Opens bytes that are not valid, and gives the exception.</summary>
    public static async Task<TException> RefusedAsync<TException>(
        byte[] file, CheckpointErrorCode code, CheckpointOptions? options = null, string name = Name)
        where TException : CheckpointException
    {
        var atOnce = new RecordingSource(new MemorySource(file, name));
        var exception = await Assert.ThrowsAsync<TException>(() => Checkpoint.OpenAsync(atOnce, options));
        var slow = new ShortReadSource(new MemorySource(file, name));
        var again = await Assert.ThrowsAsync<TException>(() => Checkpoint.OpenAsync(slow, options));

        Assert.Equal(code, exception.Code);
        Assert.Equal(name, exception.File);
        Assert.StartsWith(name + ": ", exception.Message, StringComparison.Ordinal);
        Assert.Equal(exception.Message, again.Message);
        Assert.Equal(1, atOnce.Disposals);
        Assert.Equal(1, slow.Disposals);
        return exception;
    }

    /// <summary>Opens bytes that break a rule; the message must have tensor and offset wherever the exception has them.</summary>
    public static async Task<InvalidCheckpointException> InvalidAsync(
        byte[] file, CheckpointErrorCode code, string? tensor = null, CheckpointOptions? options = null, string name = Name)
    {
        var exception = await RefusedAsync<InvalidCheckpointException>(file, code, options, name);
        Assert.Equal(tensor, exception.Tensor);
        if (tensor is not null)
        {
            Assert.Contains($"tensor {Quoted.Name(tensor)}", exception.Message, StringComparison.Ordinal);
        }

        if (exception.Offset is { } offset)
        {
            Assert.EndsWith(string.Create(CultureInfo.InvariantCulture, $" (at byte {offset})"), exception.Message, StringComparison.Ordinal);
        }

        return exception;
    }

    /// <summary>Whether every tensor lies within the file, has the size its type and shape ask for, and follows the one before.</summary>
    public static void AssertConsistent(Checkpoint checkpoint, long fileLength)
    {
        // Written out here instead of asked of DType, which the reader itself uses.
        long? position = null;
        TensorInfo? before = null;
        foreach (var tensor in checkpoint.Tensors)
        {
            if (tensor.TiedTo is not null)
            {
                AssertShares(tensor, before!);
                continue;
            }

            before = tensor;
            Assert.InRange(tensor.Offset, 8, fileLength);
            Assert.InRange(tensor.ByteLength, 0, fileLength - tensor.Offset);
            Assert.Equal(position ?? tensor.Offset, tensor.Offset);
            position = tensor.Offset + tensor.ByteLength;
            var bits = tensor.Shape.Aggregate(SafetensorsTypes.Bits[tensor.DType.ToString()], (product, dimension) => product * dimension);
            Assert.Equal(bits, tensor.ByteLength * 8);
        }

        if (position is not null)
        {
            Assert.Equal(fileLength, position);
        }
    }

    // An alias comes behind the tensor that it is tied to, and differs in its name only.
    private static void AssertShares(TensorInfo alias, TensorInfo stored)
    {
        Assert.Equal(stored.Name, alias.TiedTo);
        Assert.NotEqual(stored.Name, alias.Name);
        Assert.Same(stored.File, alias.File);
        Assert.Equal(
            (stored.DType, stored.Shape, stored.Offset, stored.ByteLength, stored.StorageOffset),
            (alias.DType, alias.Shape, alias.Offset, alias.ByteLength, alias.StorageOffset));
        Assert.Equal(stored.IsWholeStorage, alias.IsWholeStorage);
    }

    private static string Line(TensorInfo tensor) =>
        string.Create(CultureInfo.InvariantCulture, $"{tensor.Name}|{tensor.DType}|{tensor.Shape}|{tensor.Offset}|{tensor.ByteLength}|{tensor.TiedTo}");
}

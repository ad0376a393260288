using System.Globalization;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>
/// Opens the bytes of one GGUF file every way a reader must bear: at once, on the calling thread and a few bytes a read. All
/// must end the same.
/// </summary>
internal static class GgufOpening
{
    /// <summary>The name under which the bytes are opened; messages must begin with it.</summary>
    public const string Name = "folder/model.gguf";

    /// <summary>Opens bytes that are valid.</summary>
    public static async Task<Checkpoint> AcceptedAsync(byte[] file, CheckpointOptions? options = null)
    {
        var checkpoint = await Checkpoint.OpenAsync(new MemorySource(file, Name), options);
        await using var slowly = await Checkpoint.OpenAsync(new ShortReadSource(new MemorySource(file, Name), 7), options);
        Assert.Equal(checkpoint.Tensors.Select(Line), slowly.Tensors.Select(Line));
        Assert.Equal(checkpoint.Metadata, slowly.Metadata);
        foreach (var tensor in checkpoint.Tensors)
        {
            Assert.InRange(tensor.Offset, 24, file.Length);
            Assert.InRange(tensor.ByteLength, 0, file.Length - tensor.Offset);
        }

        return checkpoint;
    }

    /// <summary>Opens bytes that are not valid within the bound of memory, and gives the exception.</summary>
    public static Task<TException> RefusedAsync<TException>(byte[] file, CheckpointErrorCode code, CheckpointOptions? options = null)
        where TException : CheckpointException =>
        BoundedOpening.RefusedAsync<TException>(file, Name, code, options);

    /// <summary>Opens bytes that break a rule; the message must have tensor and offset wherever the exception has them.</summary>
    public static async Task<InvalidCheckpointException> InvalidAsync(
        byte[] file, CheckpointErrorCode code, string? tensor = null, CheckpointOptions? options = null)
    {
        var exception = await RefusedAsync<InvalidCheckpointException>(file, code, options);
        Assert.Equal(tensor, exception.Tensor);
        if (tensor is not null)
        {
            Assert.Contains($"tensor {Quoted.Name(tensor)}", exception.Message, StringComparison.Ordinal);
        }

        Assert.InRange(exception.Offset!.Value, 0, file.Length);
        Assert.EndsWith(string.Create(CultureInfo.InvariantCulture, $" (at byte {exception.Offset})"), exception.Message, StringComparison.Ordinal);
        return exception;
    }

    /// <summary>The stored bytes of a tensor.</summary>
    public static async Task<byte[]> BytesAsync(TensorInfo tensor)
    {
        var bytes = new byte[tensor.ByteLength];
        await tensor.File.Source.ReadExactlyAsync(tensor.Offset, bytes);
        return bytes;
    }

    private static string Line(TensorInfo tensor) =>
        string.Create(CultureInfo.InvariantCulture, $"{tensor.Name}|{tensor.DType}|{tensor.Shape}|{tensor.Offset}|{tensor.ByteLength}");
}

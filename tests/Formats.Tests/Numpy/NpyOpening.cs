using System.Buffers.Binary;
using System.Text;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Makes arrays by hand, wrong ones too, and opens them every way a reader must bear.</summary>
internal static class NpyOpening
{
    public const string Path = "folder/weight.npy";

    /// <summary>An array of any header.</summary>
    public static byte[] Array(string header, int dataBytes, int version = 1, long? headerLength = null, Encoding? encoding = null) =>
        Array((encoding ?? Encoding.Latin1).GetBytes(header), new byte[dataBytes], version, headerLength);

    public static byte[] Array(byte[] header, byte[] data, int version = 1, long? headerLength = null)
    {
        var length = new byte[version == 1 ? 2 : 4];
        if (version == 1)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(length, (ushort)(headerLength ?? header.Length));
        }
        else
        {
            BinaryPrimitives.WriteUInt32LittleEndian(length, (uint)(headerLength ?? header.Length));
        }

        return [0x93, .. "NUMPY"u8, (byte)version, 0, .. length, .. header, .. data];
    }

    /// <summary>The header of an array in the words of NumPy.</summary>
    public static string Header(string descr, string shape, string fortran = "False") =>
        $"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n";

    /// <summary>Opens an array at once and a few bytes a read, and gives its one tensor; the source stays open.</summary>
    public static async Task<TensorInfo> AcceptedAsync(byte[] bytes)
    {
        var tensor = Assert.Single((await Checkpoint.OpenAsync(new MemorySource(bytes, Path))).Tensors);
        await using var slowly = await Checkpoint.OpenAsync(new ShortReadSource(new MemorySource(bytes, Path), 7));
        var again = Assert.Single(slowly.Tensors);
        Assert.Equal(("weight", tensor.DType, tensor.Shape, tensor.Offset, tensor.ByteLength), (again.Name, again.DType, again.Shape, again.Offset, again.ByteLength));
        Assert.Equal(await ElementWalk.ReadAsync(tensor), await ElementWalk.ReadAsync(again));
        return tensor;
    }

    /// <summary>Opens an array that breaks a rule within the bound of memory.</summary>
    public static async Task<InvalidCheckpointException> InvalidAsync(byte[] bytes, CheckpointErrorCode code)
    {
        var exception = await RefusedAsync<InvalidCheckpointException>(bytes);
        Assert.Equal(code, exception.Code);
        Assert.InRange(exception.Offset!.Value, 0, bytes.Length);
        return exception;
    }

    public static async Task<TException> RefusedAsync<TException>(byte[] bytes, CheckpointOptions? options = null)
        where TException : CheckpointException
    {
        var exception = await Assert.ThrowsAsync<TException>(() => BoundedOpening.OpenAsync(bytes, Path, options));
        var again = await Assert.ThrowsAsync<TException>(() => Checkpoint.OpenAsync(new ShortReadSource(new MemorySource(bytes, Path), 7), options));
        Assert.Equal(exception.Message, again.Message);
        Assert.Equal(Path, exception.File);
        Assert.StartsWith(Path + ": ", exception.Message, StringComparison.Ordinal);
        return exception;
    }
}

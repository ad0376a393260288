using IlgpuLoader.Formats.Numpy;
using IlgpuLoader.Formats.Zip;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Opens the bytes of an archive of arrays.</summary>
internal static class NpzOpening
{
    public const string Path = "folder/arrays.npz";

    public static Task<FileContent> ReadAsync(byte[] bytes, NumpyLimits? limits = null, CancellationToken cancellationToken = default) =>
        ReadAsync(new MemorySource(bytes, Path), limits, cancellationToken);

    public static async Task<FileContent> ReadAsync(IByteSource source, NumpyLimits? limits = null, CancellationToken cancellationToken = default)
    {
        var file = new CheckpointFile("arrays.npz", Path, "npz", source);
        var directory = await ZipDirectory.ReadAsync(file, cancellationToken);
        return await NpzReader.ReadAsync(file, directory, limits ?? NumpyLimits.Default, cancellationToken);
    }

    public static async Task<TException> RefusedAsync<TException>(byte[] bytes)
        where TException : CheckpointException
    {
        var exception = await Assert.ThrowsAsync<TException>(() => ReadAsync(bytes));
        var again = await Assert.ThrowsAsync<TException>(() => ReadAsync(new ShortReadSource(new MemorySource(bytes, Path), 7)));
        Assert.Equal(exception.Message, again.Message);
        Assert.Equal(Path, exception.File);
        return exception;
    }

    public static byte[] Array(string descr, string shape, byte[] data) =>
        NpyOpening.Array(System.Text.Encoding.ASCII.GetBytes(NpyOpening.Header($"'{descr}'", shape)), data);
}

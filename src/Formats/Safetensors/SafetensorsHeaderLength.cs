using System.Buffers.Binary;

namespace IlgpuLoader.Formats.Safetensors;

/// <summary>Where the tensors of a safetensors file begin.</summary>
internal static class SafetensorsHeaderLength
{
    /// <summary>Reads how many bytes come before the tensors: the header's length and the header.</summary>
    /// <param name="source">A file that was opened as safetensors, so that its header is known to be in it.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static async Task<long> ReadAsync(IByteSource source, CancellationToken cancellationToken)
    {
        var prefix = new byte[sizeof(ulong)];
        await source.ReadExactlyAsync(0, prefix, cancellationToken).ConfigureAwait(false);
        // A file that was changed after it was opened ends where it ends.
        return Math.Min(source.Length, checked((long)BinaryPrimitives.ReadUInt64LittleEndian(prefix) + sizeof(ulong)));
    }
}

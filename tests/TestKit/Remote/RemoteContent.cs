using System.Buffers.Binary;

namespace IlgpuLoader.TestKit;

/// <summary>What a file of a <see cref="RemoteServer"/> holds: bytes that are there, and behind them as many made-up ones as one likes, which take no memory. Safe for any thread.</summary>
/// <param name="head">The first bytes.</param>
/// <param name="generatedBytes">How many made-up bytes follow.</param>
/// <param name="seed">What these are made of.</param>
public sealed class RemoteContent(byte[] head, long generatedBytes = 0, ulong seed = 0)
{
    /// <summary>Its length in bytes.</summary>
    public long Length => head.Length + generatedBytes;

    /// <summary>Fills memory with the bytes from an offset.</summary>
    public void Read(long offset, Span<byte> destination)
    {
        if (offset < head.Length)
        {
            var copied = Math.Min(destination.Length, head.Length - (int)offset);
            head.AsSpan((int)offset, copied).CopyTo(destination);
            offset += copied;
            destination = destination[copied..];
        }

        Span<byte> word = stackalloc byte[sizeof(ulong)];
        while (!destination.IsEmpty)
        {
            var position = offset - head.Length;
            var within = (int)(position & 7);
            BinaryPrimitives.WriteUInt64LittleEndian(word, Mix(seed + (ulong)(position >> 3)));
            var copied = Math.Min(destination.Length, sizeof(ulong) - within);
            word.Slice(within, copied).CopyTo(destination);
            offset += copied;
            destination = destination[copied..];
        }
    }

    /// <summary>All bytes of a range.</summary>
    public byte[] Slice(long offset, int length)
    {
        var bytes = new byte[length];
        Read(offset, bytes);
        return bytes;
    }

    // The finaliser of SplitMix64.
    private static ulong Mix(ulong value)
    {
        value += 0x9E3779B97F4A7C15;
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
        return value ^ (value >> 31);
    }
}

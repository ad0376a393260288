using System.Buffers.Binary;

namespace IlgpuLoader.Formats.Pickle;

/// <summary>
/// Finds where a pickle ends without reading it: nothing before its opcodes says how long it is, and what follows may be
/// gigabytes. Goes on where it stopped when more bytes are there.
/// </summary>
/// <param name="start">Where the pickle begins in the bytes.</param>
internal sealed class PickleExtent(int start)
{
    private const int Lines = -1, TwoLines = -2, None = -3;

    /// <summary>Where the next opcode is; behind STOP where <see cref="IsComplete"/>. May lie behind the bytes so far.</summary>
    public long Position { get; private set; } = start;

    /// <summary>Whether the end has been found.</summary>
    public bool IsComplete { get; private set; }

    /// <summary>Whether there is a byte at <see cref="Position"/> that is no opcode.</summary>
    public bool IsBroken { get; private set; }

    /// <summary>Goes on as far as the bytes reach.</summary>
    /// <param name="bytes">All bytes so far, from the same first one at every call.</param>
    /// <returns>Whether nothing is left to find: the end is, or the pickle is broken.</returns>
    public bool Advance(ReadOnlySpan<byte> bytes)
    {
        while (TryAdvanceOne(bytes))
        {
        }

        return IsComplete || IsBroken;
    }

    /// <summary>Goes on by one opcode.</summary>
    /// <param name="bytes">All bytes so far, from the same first one at every call.</param>
    /// <returns>Whether it went on.</returns>
    public bool TryAdvanceOne(ReadOnlySpan<byte> bytes)
    {
        if (IsComplete || IsBroken || Position >= bytes.Length)
        {
            return false;
        }

        var at = (int)Position;
        var length = Skip((PickleOpcode)bytes[at], bytes[(at + 1)..]);
        if (length < 0)
        {
            IsBroken = length == None;
            return false;
        }

        IsComplete = (PickleOpcode)bytes[at] == PickleOpcode.Stop;
        Position = at + 1 + length;
        return true;
    }

    // The length of an opcode's argument; negative where the bytes do not say it yet.
    private static long Skip(PickleOpcode opcode, ReadOnlySpan<byte> rest)
    {
        var (fixedLength, sizeOfLength) = Argument(opcode);
        return sizeOfLength switch
        {
            0 => fixedLength switch
            {
                Lines => Line(rest),
                TwoLines => Line(rest) is var first and >= 0 && Line(rest[(int)first..]) is var second and >= 0 ? first + second : Lines,
                _ => fixedLength,
            },
            _ when rest.Length < sizeOfLength => Lines,
            1 => 1L + rest[0],
            4 => 4L + BinaryPrimitives.ReadUInt32LittleEndian(rest),
            // No file has so many bytes; held small, so that adding cannot wrap round.
            _ => 8L + (long)Math.Min(BinaryPrimitives.ReadUInt64LittleEndian(rest), long.MaxValue / 4),
        };
    }

    private static long Line(ReadOnlySpan<byte> rest) => rest.IndexOf((byte)'\n') is var end and >= 0 ? end + 1L : Lines;

    private static (int Fixed, int SizeOfLength) Argument(PickleOpcode opcode) => opcode switch
    {
        PickleOpcode.Int or PickleOpcode.Long or PickleOpcode.Float or PickleOpcode.String or PickleOpcode.Unicode or PickleOpcode.Get or PickleOpcode.Put
            or PickleOpcode.PersId => (Lines, 0),
        PickleOpcode.Global or PickleOpcode.Inst => (TwoLines, 0),
        PickleOpcode.BinInt1 or PickleOpcode.BinGet or PickleOpcode.BinPut or PickleOpcode.Protocol or PickleOpcode.Ext1 => (1, 0),
        PickleOpcode.BinInt2 or PickleOpcode.Ext2 => (2, 0),
        PickleOpcode.BinInt or PickleOpcode.LongBinGet or PickleOpcode.LongBinPut or PickleOpcode.Ext4 => (4, 0),
        PickleOpcode.BinFloat or PickleOpcode.Frame => (8, 0),
        PickleOpcode.ShortBinBytes or PickleOpcode.ShortBinString or PickleOpcode.ShortBinUnicode or PickleOpcode.Long1 => (0, 1),
        PickleOpcode.BinBytes or PickleOpcode.BinString or PickleOpcode.BinUnicode or PickleOpcode.Long4 => (0, 4),
        PickleOpcode.BinBytes8 or PickleOpcode.BinUnicode8 or PickleOpcode.ByteArray8 => (0, 8),
        _ => PickleOpcodes.Name(opcode) is null ? (None, 0) : (0, 0),
    };
}

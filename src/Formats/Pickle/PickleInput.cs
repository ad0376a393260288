using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace IlgpuLoader.Formats.Pickle;

/// <summary>The bytes of pickles and the arguments of opcodes in them.</summary>
/// <param name="pickle">The bytes.</param>
/// <param name="settings">The longest text.</param>
/// <param name="errors">Names the opcode whose argument is read.</param>
internal sealed class PickleInput(ReadOnlyMemory<byte> pickle, PickleSettings settings, PickleErrors errors)
{
    // Behind every position.
    private const int NoFrame = int.MaxValue;

    // The array itself: asking memory for its span costs more than most opcodes.
    private readonly ArraySegment<byte> _segment =
        MemoryMarshal.TryGetArray(pickle, out var segment) ? segment : new ArraySegment<byte>(pickle.ToArray());

    private int _frameEnd = NoFrame;
    private int _position;

    /// <summary>Where the next byte is.</summary>
    public int Position => _position;

    private int Remaining => _segment.Count - _position;

    /// <summary>Begins with a pickle.</summary>
    public void Begin() => _frameEnd = NoFrame;

    /// <summary>Reads an opcode and tells it to the errors.</summary>
    public PickleOpcode ReadOpcode()
    {
        if (_position >= _frameEnd)
        {
            EndFrame();
        }

        if (_position == _segment.Count)
        {
            throw errors.Endless(_position);
        }

        errors.Offset = _position;
        return errors.Opcode = (PickleOpcode)_segment.AsSpan()[_position++];
    }

    /// <summary>Reads the length of a frame, which begins behind it.</summary>
    public void ReadFrame()
    {
        var length = ReadLength8();
        if (_frameEnd != NoFrame)
        {
            throw errors.Invalid($"begins within another frame, which goes on to byte {settings.BaseOffset + _frameEnd}");
        }

        if (length > (ulong)Remaining)
        {
            throw errors.Truncated($"says that {length} bytes follow, and {Remaining} do");
        }

        _frameEnd = _position + (int)length;
    }

    /// <summary>Checks behind a STOP that no frame goes on.</summary>
    public void Finish()
    {
        if (_frameEnd != NoFrame && _position != _frameEnd)
        {
            throw errors.Invalid($"does not end its frame, which ends at byte {settings.BaseOffset + _frameEnd}");
        }
    }

    /// <summary>Reads so many bytes.</summary>
    public ReadOnlySpan<byte> Read(int count)
    {
        if (count > Remaining)
        {
            throw Missing((ulong)count);
        }

        var read = _segment.AsSpan(_position, count);
        _position += count;
        return read;
    }

    /// <summary>Reads an unsigned byte.</summary>
    public int ReadByte() => Read(1)[0];

    /// <summary>Reads an unsigned number of 16 bits.</summary>
    public int ReadUInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Read(2));

    /// <summary>Reads a signed number of 32 bits.</summary>
    public int ReadInt32() => BinaryPrimitives.ReadInt32LittleEndian(Read(4));

    /// <summary>Reads an unsigned number of 32 bits.</summary>
    public uint ReadUInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Read(4));

    /// <summary>Reads a double, highest byte first as in no other argument.</summary>
    public double ReadDouble() => BinaryPrimitives.ReadDoubleBigEndian(Read(8));

    /// <summary>Reads a string behind a length of 8 bits.</summary>
    public ReadOnlySpan<byte> ReadString1() => ReadString((ulong)ReadByte());

    /// <summary>Reads a string behind a length of 32 bits.</summary>
    public ReadOnlySpan<byte> ReadString4() => ReadString(ReadUInt32());

    /// <summary>Reads a string behind a length of 64 bits.</summary>
    public ReadOnlySpan<byte> ReadString8() => ReadString(ReadLength8());

    /// <summary>Reads a string behind a length of 32 bits that is signed, as it is in protocol 1.</summary>
    public ReadOnlySpan<byte> ReadSignedString4() => ReadString((ulong)ReadSignedLength());

    /// <summary>Reads the bytes of an integer behind a signed length of 32 bits.</summary>
    public ReadOnlySpan<byte> ReadSigned4() => Read(ReadSignedLength());

    /// <summary>Reads text up to a line feed, which is consumed and left out.</summary>
    public ReadOnlySpan<byte> ReadLine()
    {
        var length = _segment.AsSpan(_position).IndexOf((byte)'\n');
        if (length < 0)
        {
            throw errors.Truncated("has an argument whose line does not end");
        }

        var line = ReadString((ulong)length);
        _position++;
        return line;
    }

    private int ReadSignedLength()
    {
        var length = ReadInt32();
        return length < 0 ? throw errors.Invalid($"has the length {length}, and none may be negative") : length;
    }

    private ulong ReadLength8() => BinaryPrimitives.ReadUInt64LittleEndian(Read(8));

    private ReadOnlySpan<byte> ReadString(ulong length)
    {
        if (length > (ulong)Remaining)
        {
            throw Missing(length);
        }

        if (length > (ulong)settings.MaximumPickleStringBytes)
        {
            throw errors.Beyond(
                "length of a string in the pickle",
                length,
                settings.MaximumPickleStringBytes,
                nameof(PickleSettings.MaximumPickleStringBytes));
        }

        return Read((int)length);
    }

    private InvalidCheckpointException Missing(ulong count)
    {
        return errors.Truncated($"has an argument of {count} bytes, of which {Remaining} are there");
    }

    private void EndFrame()
    {
        // Python's pickler ends a frame before anything that would cross its end, and its unpickler insists on that.
        if (_position > _frameEnd)
        {
            throw errors.Invalid($"has an argument that crosses the end of its frame at byte {settings.BaseOffset + _frameEnd}");
        }

        _frameEnd = NoFrame;
    }
}

namespace IlgpuLoader.Formats.Zip;

/// <summary>The CRC-32 of a record whose pieces come in any order and from several threads, which are joined at the end.</summary>
internal sealed class RecordChecksum
{
    private readonly Lock _lock = new();
    private readonly List<(long Offset, long Length, uint Crc)> _pieces = [];

    /// <summary>Adds a piece.</summary>
    /// <param name="offset">Where it begins in the record, in bytes.</param>
    /// <param name="length">How many bytes it has.</param>
    /// <param name="crc">Their CRC-32.</param>
    public void Add(long offset, long length, uint crc)
    {
        if (length == 0)
        {
            return;
        }

        lock (_lock)
        {
            // Bytes mostly come in order: joined at once, a record is one piece however small its parts are.
            if (_pieces.Count > 0 && _pieces[^1] is var last && last.Offset + last.Length == offset)
            {
                _pieces[^1] = (last.Offset, last.Length + length, Crc32.Combine(last.Crc, crc, length));
            }
            else
            {
                _pieces.Add((offset, length, crc));
            }
        }
    }

    /// <summary>The CRC-32 of all pieces behind some bytes.</summary>
    /// <param name="crc">The CRC-32 of the bytes before.</param>
    /// <param name="length">How many bytes the pieces must make.</param>
    /// <returns>Null where they do not lie side by side: bytes were written twice, and others never.</returns>
    public uint? Join(uint crc, long length)
    {
        lock (_lock)
        {
            _pieces.Sort();
            long position = 0;
            foreach (var piece in _pieces)
            {
                if (piece.Offset != position)
                {
                    return null;
                }

                crc = Crc32.Combine(crc, piece.Crc, piece.Length);
                position += piece.Length;
            }

            return position == length ? crc : null;
        }
    }
}

using System.Buffers.Binary;

namespace IlgpuLoader.Formats.Gguf;

/// <summary>
/// Reads arrays of the metadata: walks over their elements to see that they are whole, and keeps their bytes in the one
/// form that <see cref="GgufArray"/> knows.
/// </summary>
/// <param name="bytes">The header; its position is behind the type of the value.</param>
/// <param name="limits">What is accepted.</param>
/// <param name="lengthBytes">The size of counts and lengths: 4 in version 1, 8 later.</param>
internal sealed class GgufArrayReader(GgufHeaderBytes bytes, GgufLimits limits, int lengthBytes)
{
    // A few microseconds.
    private const int ElementsPerCheck = 1024;

    /// <summary>Reads one array.</summary>
    /// <param name="key">The key whose value it is, for messages.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <exception cref="CheckpointException">It breaks a rule or exceeds a limit.</exception>
    public async ValueTask<GgufArray> ReadAsync(string key, CancellationToken cancellationToken)
    {
        var (type, count) = await ReadStartAsync(key, 1, cancellationToken).ConfigureAwait(false);
        bytes.KeepFromHere();
        var from = bytes.Position;
        var encodedLength = await WalkAsync(key, type, count, 1, cancellationToken).ConfigureAwait(false);
        var storedLength = checked((int)(bytes.Position - from));
        bytes.Expand(encodedLength - storedLength);
        if (encodedLength > Array.MaxLength)
        {
            throw bytes.Beyond($"size of the array {Quoted.Name(key)}", encodedLength, Array.MaxLength, nameof(GgufLimits.MaximumHeaderBytes));
        }

        // What was stored lies at the end of the room that the translation needs: it only grows, by lengths that come before
        // what they measure, so that what is written never reaches what was not read yet.
        var encoded = GC.AllocateUninitializedArray<byte>((int)encodedLength);
        await bytes.CopyKeptAsync(encoded.AsMemory(encoded.Length - storedLength), cancellationToken).ConfigureAwait(false);
        if (lengthBytes != sizeof(ulong) || bytes.IsBigEndian)
        {
            ReadOnlySpan<byte> source = encoded.AsSpan(encoded.Length - storedLength);
            var target = encoded.AsSpan();
            Translate(type, count, ref source, ref target, cancellationToken);
        }

        return new GgufArray(type, count, encoded);
    }

    // Goes past the elements, and gives the size that they have in the translated form.
    private async ValueTask<long> WalkAsync(string key, GgufValueType type, int count, int depth, CancellationToken cancellationToken)
    {
        if (type.Size > 0)
        {
            var size = (long)count * type.Size;
            bytes.Skip(size);
            return size;
        }

        var from = bytes.Position;
        if (type == GgufValueType.STRING)
        {
            for (var left = count; left > 0; left -= WalkStringsInMemory(key, left))
            {
                cancellationToken.ThrowIfCancellationRequested();
                await bytes.EnsureAsync(lengthBytes, cancellationToken).ConfigureAwait(false);
            }

            return bytes.Position - from + ((long)count * (sizeof(ulong) - lengthBytes));
        }

        var total = 0L;
        for (var i = 0; i < count; i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var (elementType, elementCount) = await ReadStartAsync(key, depth + 1, cancellationToken).ConfigureAwait(false);
            total += sizeof(uint) + sizeof(ulong)
                + await WalkAsync(key, elementType, elementCount, depth + 1, cancellationToken).ConfigureAwait(false);
        }

        return total;
    }

    // Goes past as many strings as have their length in memory, at least one, and gives their number.
    private int WalkStringsInMemory(string key, int most)
    {
        var available = bytes.Available;
        var position = 0L;
        var walked = 0;
        while (walked < most && position + lengthBytes <= available.Length)
        {
            var length = ReadLength(available[(int)position..]);
            var remaining = bytes.Remaining - position - lengthBytes;
            if (length > (ulong)remaining || length > (ulong)limits.MaximumStringBytes)
            {
                bytes.Skip(position);
                throw length > (ulong)remaining
                    ? bytes.Invalid(
                        CheckpointErrorCode.HeaderOutOfFile,
                        $"a string of the array {Quoted.Name(key)} has {length} bytes, and {remaining} follow: the file was cut, or is damaged.")
                    : bytes.Beyond(
                        $"length of a string of the array {Quoted.Name(key)}",
                        length,
                        limits.MaximumStringBytes,
                        nameof(GgufLimits.MaximumStringBytes));
            }

            position += lengthBytes + (long)length;
            walked++;
        }

        bytes.Skip(position);
        return walked;
    }

    private async ValueTask<(GgufValueType Type, int Count)> ReadStartAsync(string key, int depth, CancellationToken cancellationToken)
    {
        await bytes.EnsureAsync(sizeof(uint) + lengthBytes, cancellationToken).ConfigureAwait(false);
        var type = (GgufValueType)bytes.TakeUInt32();
        if (!type.IsKnown)
        {
            throw bytes.Invalid(
                CheckpointErrorCode.MetadataInvalid,
                $"the elements of the array {Quoted.Name(key)} have the type {(int)type}, and there are types 0 to "
                + $"{(int)GgufValueType.FLOAT64}: the file is damaged.");
        }

        if (depth > limits.MaximumArrayDepth || (type == GgufValueType.ARRAY && depth == limits.MaximumArrayDepth))
        {
            throw bytes.Beyond(
                $"depth of the array {Quoted.Name(key)}", depth + 1, limits.MaximumArrayDepth, nameof(GgufLimits.MaximumArrayDepth));
        }

        var count = lengthBytes == sizeof(uint) ? bytes.TakeUInt32() : bytes.TakeUInt64();
        var least = type switch
        {
            GgufValueType.STRING => lengthBytes,
            GgufValueType.ARRAY => sizeof(uint) + lengthBytes,
            _ => type.Size,
        };
        if (count > (ulong)(bytes.Remaining / least))
        {
            throw bytes.Invalid(
                CheckpointErrorCode.HeaderOutOfFile,
                $"the array {Quoted.Name(key)} has {count} elements of {type}, and the {bytes.Remaining} bytes that follow have room for "
                + $"{bytes.Remaining / least} at most: the file was cut, or is damaged.");
        }

        return count <= (ulong)limits.MaximumArrayLength
            ? (type, (int)count)
            : throw bytes.Beyond(
                $"length of the array {Quoted.Name(key)}", count, limits.MaximumArrayLength, nameof(GgufLimits.MaximumArrayLength));
    }

    private ulong ReadLength(ReadOnlySpan<byte> at) => (lengthBytes, bytes.IsBigEndian) switch
    {
        (sizeof(uint), _) => BinaryPrimitives.ReadUInt32LittleEndian(at),
        (_, true) => BinaryPrimitives.ReadUInt64BigEndian(at),
        _ => BinaryPrimitives.ReadUInt64LittleEndian(at),
    };

    // Elements that were walked over, into little-endian ones with lengths of 8 bytes.
    private void Translate(
        GgufValueType type, int count, ref ReadOnlySpan<byte> source, ref Span<byte> target, CancellationToken cancellationToken)
    {
        if (type.Size > 0)
        {
            var size = count * type.Size;
            source[..size].CopyTo(target);
            if (bytes.IsBigEndian)
            {
                ByteOrder.Swap(target[..size], type.Size);
            }

            source = source[size..];
            target = target[size..];
            return;
        }

        for (var i = 0; i < count; i++)
        {
            if (i % ElementsPerCheck == 0)
            {
                cancellationToken.ThrowIfCancellationRequested();
            }

            var elementType = GgufValueType.UINT8;
            if (type == GgufValueType.ARRAY)
            {
                elementType = (GgufValueType)(bytes.IsBigEndian
                    ? BinaryPrimitives.ReadUInt32BigEndian(source)
                    : BinaryPrimitives.ReadUInt32LittleEndian(source));
                BinaryPrimitives.WriteUInt32LittleEndian(target, (uint)elementType);
                source = source[sizeof(uint)..];
                target = target[sizeof(uint)..];
            }

            // A string is an array of bytes here.
            var length = ReadLength(source);
            BinaryPrimitives.WriteUInt64LittleEndian(target, length);
            source = source[lengthBytes..];
            target = target[sizeof(ulong)..];
            Translate(elementType, (int)length, ref source, ref target, cancellationToken);
        }
    }
}

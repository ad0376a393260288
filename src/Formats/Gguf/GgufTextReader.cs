using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Unicode;

namespace IlgpuLoader.Formats.Gguf;

/// <summary>Reads keys, names and string values of a header. Lengths are held against limits before anything is allocated.</summary>
/// <param name="bytes">The header; its position is at the length of the text.</param>
/// <param name="limits">What is accepted.</param>
/// <param name="lengthBytes">The size of lengths: 4 in version 1, 8 later.</param>
internal sealed class GgufTextReader(GgufHeaderBytes bytes, GgufLimits limits, int lengthBytes)
{
    // Above it, a text is decoded piece by piece: with all of its bytes in memory beside it, it would take three times its
    // size instead of two.
    private const int LargestWhole = 1 << 20;

    private const int PieceBytes = 64 << 10;

    /// <summary>Reads a key or a name, which must be UTF-8.</summary>
    /// <param name="what">What it is, for messages.</param>
    /// <param name="maximum">The most bytes.</param>
    /// <param name="option">The property of <see cref="GgufLimits"/> that says so.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <exception cref="CheckpointException">It is none, breaks a rule or exceeds a limit.</exception>
    public async ValueTask<string> ReadNameAsync(string what, int maximum, string option, CancellationToken cancellationToken)
    {
        var length = await ReadLengthAsync(what, maximum, option, cancellationToken).ConfigureAwait(false);
        var from = bytes.Position;
        var (text, isValid) = await ReadAsync(length, cancellationToken).ConfigureAwait(false);
        if (!isValid)
        {
            bytes.GoBack(from);
            throw bytes.Invalid(CheckpointErrorCode.HeaderNotUtf8, $"a {what} is not valid UTF-8: {Quoted.Name(text)}.");
        }

        return text;
    }

    /// <summary>Reads a string value.</summary>
    /// <param name="key">The key whose value it is, for messages.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <returns>The text, with U+FFFD for what is not valid UTF-8, and whether all of it is.</returns>
    /// <exception cref="CheckpointException">It breaks a rule or exceeds a limit.</exception>
    public async ValueTask<(string Text, bool IsValid)> ReadValueAsync(string key, CancellationToken cancellationToken)
    {
        var length = await ReadLengthAsync(
            $"metadata value of {Quoted.Name(key)}", limits.MaximumStringBytes, nameof(GgufLimits.MaximumStringBytes), cancellationToken)
            .ConfigureAwait(false);
        return await ReadAsync(length, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask<(string Text, bool IsValid)> ReadAsync(int length, CancellationToken cancellationToken)
    {
        // Two bytes a character, of which the file has one already.
        bytes.Expand(length);
        if (length > LargestWhole)
        {
            return await ReadInPiecesAsync(length, cancellationToken).ConfigureAwait(false);
        }

        await bytes.EnsureAsync(length, cancellationToken).ConfigureAwait(false);
        var text = bytes.Take(length);
        return (Encoding.UTF8.GetString(text), Utf8.IsValid(text));
    }

    // Once to count the characters, and once more to have them.
    private async ValueTask<(string Text, bool IsValid)> ReadInPiecesAsync(int length, CancellationToken cancellationToken)
    {
        bytes.ThrowIfBeyond(length);
        var from = bytes.Position;
        // No piece has more characters than bytes.
        var scratch = ArrayPool<char>.Shared.Rent(PieceBytes);
        try
        {
            var (count, isValid) = await DecodeAsync(length, scratch, isScratch: true, cancellationToken).ConfigureAwait(false);
            bytes.GoBack(from);
            var text = new string('\0', count);
            // Nobody else has seen this string yet. string.Create would want all bytes at hand, since it cannot wait for them.
            _ = await DecodeAsync(length, MemoryMarshal.AsMemory(text.AsMemory()), isScratch: false, cancellationToken).ConfigureAwait(false);
            return (text, isValid);
        }
        finally
        {
            ArrayPool<char>.Shared.Return(scratch);
        }
    }

    // A source that changes between the two times gives other characters, but no more than there is room for.
    private async ValueTask<(int Count, bool IsValid)> DecodeAsync(
        int length, Memory<char> target, bool isScratch, CancellationToken cancellationToken)
    {
        var (count, isValid) = (0, true);
        for (var left = length; left > 0;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var size = Math.Min(left, PieceBytes);
            await bytes.EnsureAsync(size, cancellationToken).ConfigureAwait(false);
            // The last bytes may be the beginning of a character, which waits for the next piece.
            _ = Utf8.ToUtf16(
                bytes.Available[..size],
                target.Span[(isScratch ? 0 : count)..],
                out var read,
                out var written,
                replaceInvalidSequences: true,
                isFinalBlock: size == left);
            isValid &= Utf8.IsValid(bytes.Available[..read]);
            if (read == 0)
            {
                break;
            }

            bytes.Skip(read);
            left -= read;
            count += written;
        }

        return (count, isValid);
    }

    private async ValueTask<int> ReadLengthAsync(string what, int maximum, string option, CancellationToken cancellationToken)
    {
        await bytes.EnsureAsync(lengthBytes, cancellationToken).ConfigureAwait(false);
        var length = lengthBytes == sizeof(uint) ? bytes.TakeUInt32() : bytes.TakeUInt64();
        if (length > (ulong)bytes.Remaining)
        {
            throw bytes.Invalid(
                CheckpointErrorCode.HeaderOutOfFile,
                $"a {what} has {length} bytes, and {bytes.Remaining} follow: the file was cut, or is damaged.");
        }

        return length <= (ulong)maximum
            ? (int)length
            : throw bytes.Beyond(
                $"length of a {what}",
                length,
                maximum,
                option,
                option == nameof(GgufLimits.MaximumNameBytes) ? CheckpointErrorCode.TensorNameInvalid : CheckpointErrorCode.LimitExceeded);
    }
}

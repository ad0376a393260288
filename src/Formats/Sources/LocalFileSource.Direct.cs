using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Formats;

/// <content>Reads past the page cache.</content>
public sealed partial class LocalFileSource
{
    /// <summary>Whether the file system is known to refuse reads past the page cache. It may turn out to with any of them.</summary>
    public bool RefusesDirect => _refusesDirect;

    /// <summary>What reads past the page cache are aligned to; opens the file for them.</summary>
    /// <returns>The alignment, or null where the file system refuses them.</returns>
    /// <exception cref="IOException">The file was closed meanwhile, and cannot be opened again.</exception>
    /// <exception cref="InvalidCheckpointException">The file was replaced since it was opened.</exception>
    public DirectAlignment? FindDirectAlignment()
    {
        if (AcquireDirect() is null)
        {
            return null;
        }

        _direct.Release();
        return _alignment;
    }

    /// <summary>Finds out what a part of the file is like to read now. Takes some tens of microseconds, whatever its size.</summary>
    /// <param name="offset">Where the part begins, in bytes from the start.</param>
    /// <param name="length">How long it is; what lies behind the end of the file does not count.</param>
    /// <inheritdoc cref="FindDirectAlignment" path="/exception"/>
    public FileCondition Examine(long offset, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        var alignment = FindDirectAlignment();
        var handle = Acquire();
        try
        {
            return new FileCondition(
                FileSystemKinds.Of(handle), alignment, PageCache.ResidentShare(handle, offset, Math.Min(length, Length - offset)));
        }
        finally
        {
            _file.Release();
        }
    }

    /// <summary>
    /// Reads bytes past the page cache into a buffer with room for the whole blocks that they lie in; where the file system refuses,
    /// through the cache. Blocks.
    /// </summary>
    /// <param name="offset">The first byte, from the start of the file.</param>
    /// <param name="length">How many bytes.</param>
    /// <param name="room">
    /// The buffer. <see cref="DirectAlignment.Margin"/> bytes more than <paramref name="length"/> are enough for any; whole blocks to an
    /// aligned address need none more.
    /// </param>
    /// <returns>Where in the buffer the bytes begin.</returns>
    /// <exception cref="ArgumentException">The buffer is too small.</exception>
    /// <exception cref="IOException">The bytes cannot be read.</exception>
    /// <exception cref="InvalidCheckpointException">The file ends before them, or was replaced since it was opened.</exception>
    public unsafe int ReadExactlyDirect(long offset, int length, Span<byte> room)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        if (length > room.Length)
        {
            throw TooSmall();
        }

        if (length > 0 && AcquireDirect() is { } handle)
        {
            try
            {
                fixed (byte* start = room)
                {
                    var before = (int)(-(nint)start & (_alignment.Memory - 1));
                    var (first, end) = (_alignment.Floor(offset), checked(offset + length));
                    var blocks = _alignment.Ceiling(end) - first;
                    if (before + blocks > room.Length)
                    {
                        throw TooSmall();
                    }

                    var begin = before + (int)(offset - first);
                    var reached = ReadBlocks(handle, start + before, first, (int)blocks, end);
                    if (reached < end)
                    {
                        // What is missing comes through the cache, or the file ends there, which is found and said by the same words.
                        var rest = Math.Max(reached, offset);
                        this.ReadExactly(rest, room.Slice(begin + (int)(rest - offset), (int)(end - rest)));
                    }

                    return begin;
                }
            }
            finally
            {
                _direct.Release();
            }
        }

        this.ReadExactly(offset, room[..length]);
        return 0;

        static ArgumentException TooSmall() => new("The buffer has no room for the whole blocks that the bytes lie in.", nameof(room));
    }

    private SafeFileHandle? AcquireDirect()
    {
        if (_refusesDirect)
        {
            return null;
        }

        if (_direct.TryAcquire(null) is { } open)
        {
            return open;
        }

        // Before the other one's lock is taken: acquiring takes the limit's, which comes first.
        var file = Acquire();
        try
        {
            return _direct.TryAcquire(() => OpenDirect(file));
        }
        finally
        {
            _file.Release();
        }
    }

    private SafeFileHandle? OpenDirect(SafeFileHandle file)
    {
        if (_calls.TryOpen(file, out var isForGood) is var (handle, alignment))
        {
            _alignment = alignment;
            return handle;
        }

        _refusesDirect = isForGood;
        return null;
    }

    // Reads whole blocks until the bytes before the end that is wanted are there, and says how far it came: less than that where the
    // file system refused, or the file ends.
    private unsafe long ReadBlocks(SafeFileHandle handle, byte* destination, long first, int length, long end)
    {
        for (var reached = first; reached < end;)
        {
            // Behind a read that ended within a block, that block is read again.
            var from = _alignment.Floor(reached);
            var read = _calls.Read(handle, destination + (from - first), (int)(first + length - from), from);
            if (read < 0)
            {
                _refusesDirect = true;
                return reached;
            }

            if (from + read <= reached)
            {
                return reached;
            }

            reached = from + read;
        }

        return end;
    }
}

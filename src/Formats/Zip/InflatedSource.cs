using System.Buffers;

namespace IlgpuLoader.Formats.Zip;

/// <summary>
/// The bytes of a deflated record as if they were not: random access for several readers over what can only be inflated from
/// its beginning on. Does not own the archive; safe for parallel readers.
/// </summary>
/// <remarks>
/// What reads cost: those that go forward, each beginning where one before it ended, inflate the record once. A reader that
/// finds no pass before its offset inflates all bytes up to there, so readers side by side inflate the record once each at most,
/// and reads that go backward once each. Memory is that of <see cref="InflationCursors"/>, whatever the size of the record.
/// It is not <see cref="ISynchronousByteSource"/>: getting to an offset may take long, and only a token can end it.
/// </remarks>
internal sealed class InflatedSource : ISequentialByteSource
{
    private const int SkippedAtOnce = 64 * 1024;

    private readonly CheckpointFile _file;
    private readonly ZipEntry _entry;
    private readonly InflationCursors _cursors;

    /// <summary>Makes a source over a record; reads nothing.</summary>
    /// <param name="file">The archive.</param>
    /// <param name="entry">The record, which is deflated and not encrypted.</param>
    /// <param name="cursors">The passes through the records of this archive.</param>
    /// <exception cref="InvalidCheckpointException">The record cannot become as long as the directory says.</exception>
    public InflatedSource(CheckpointFile file, ZipEntry entry, InflationCursors cursors)
    {
        InflationCursor.ThrowIfImpossible(file, entry);
        _file = file;
        _entry = entry;
        _cursors = cursors;
    }

    /// <inheritdoc/>
    public string Name => _file.Path;

    /// <inheritdoc/>
    public long Length => _entry.Length;

    /// <inheritdoc/>
    public bool IsSequentialAt(long offset) => true;

    /// <inheritdoc/>
    /// <exception cref="InvalidCheckpointException">The record is damaged, or not as long as the directory says.</exception>
    public ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        cancellationToken.ThrowIfCancellationRequested();
        var wanted = destination[..(int)Math.Min(destination.Length, Math.Max(0, Length - offset))];
        if (wanted.IsEmpty)
        {
            return ValueTask.FromResult(0);
        }

        // Over a local file nothing here waits for anything: inflating is work, and readers that ask side by side want it done so.
        return new ValueTask<int>(
            _file.Source is ISynchronousByteSource
                ? Task.Run(() => InflateAsync(offset, wanted, cancellationToken), cancellationToken)
                : InflateAsync(offset, wanted, cancellationToken));
    }

    /// <inheritdoc/>
    /// <remarks>Whoever has this source has the archive, and asks that.</remarks>
    public ValueTask EnsureUnchangedAsync(CancellationToken cancellationToken = default) => ValueTask.CompletedTask;

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _cursors.EndAsync(_entry);

    private async Task<int> InflateAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken)
    {
        var cursor = await _cursors
            .TakeAsync(_entry, offset, () => new InflationCursor(_file, _entry), cancellationToken)
            .ConfigureAwait(false);
        try
        {
            await SkipAsync(cursor, offset, cancellationToken).ConfigureAwait(false);
            await cursor.ReadAsync(destination, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            await _cursors.EndAsync(cursor).ConfigureAwait(false);
            throw;
        }

        if (cursor.IsAtEnd)
        {
            await _cursors.EndAsync(cursor).ConfigureAwait(false);
        }
        else
        {
            await _cursors.ReturnAsync(cursor).ConfigureAwait(false);
        }

        return destination.Length;
    }

    private static async ValueTask SkipAsync(InflationCursor cursor, long offset, CancellationToken cancellationToken)
    {
        if (cursor.Position == offset)
        {
            return;
        }

        var skipped = ArrayPool<byte>.Shared.Rent(SkippedAtOnce);
        try
        {
            while (cursor.Position < offset)
            {
                var count = (int)Math.Min(SkippedAtOnce, offset - cursor.Position);
                await cursor.ReadAsync(skipped.AsMemory(0, count), cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(skipped);
        }
    }
}

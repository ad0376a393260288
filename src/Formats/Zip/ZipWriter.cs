namespace IlgpuLoader.Formats.Zip;

/// <summary>
/// Writes a zip archive of stored records whose lengths are known, as PyTorch lays its own out: bytes aligned to 64, whole or
/// not at all (<see cref="AtomicFile"/>). The bytes of tensors may come in any order and from several threads; headers follow
/// with the commit, when their CRC-32 is known.
/// </summary>
internal sealed class ZipWriter : ITensorWriter
{
    private readonly AtomicFile _file;
    private readonly IReadOnlyList<ZipRecordPlan> _records;
    private readonly ZipLayout _layout;
    private readonly TensorRegions _regions;
    private readonly Dictionary<string, RecordChecksum> _checksums;

    private ZipWriter(AtomicFile file, IReadOnlyList<ZipRecordPlan> records, ZipLayout layout)
    {
        _file = file;
        _records = records;
        _layout = layout;
        var regions = new List<TensorRegion>(records.Count);
        _checksums = new Dictionary<string, RecordChecksum>(records.Count, StringComparer.Ordinal);
        for (var i = 0; i < records.Count; i++)
        {
            if (records[i].Tensor is { } tensor)
            {
                regions.Add(new TensorRegion(tensor, layout.DataOffset(i) + records[i].Content.Length, records[i].ByteLength));
                _checksums.Add(tensor, new RecordChecksum());
            }
        }

        _regions = new TensorRegions(file, regions);
    }

    /// <inheritdoc/>
    public string Path => _file.Path;

    /// <inheritdoc/>
    public long Length => _layout.Length;

    /// <summary>Begins an archive: takes the space.</summary>
    /// <param name="path">Where it will appear, for messages.</param>
    /// <param name="format">The format that is written, for messages.</param>
    /// <param name="create">Makes the file for a length.</param>
    /// <param name="records">The records in their order; the names of their tensors differ.</param>
    /// <exception cref="ArgumentException">A name is not allowed or occurs twice, or the sizes do not fit 64 bits.</exception>
    /// <exception cref="CheckpointLimitException">The directory would exceed what readers accept.</exception>
    /// <exception cref="IOException">The file cannot be made, or the disk is full.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    public static ZipWriter Create(string path, string format, Func<long, AtomicFile> create, IReadOnlyList<ZipRecordPlan> records)
    {
        ZipLayout layout;
        try
        {
            layout = new ZipLayout(records);
        }
        catch (OverflowException exception)
        {
            throw new ArgumentException($"The records take more than {long.MaxValue} bytes.", nameof(records), exception);
        }

        ThrowIfAbove("number of zip entries", records.Count, ZipLimits.DefaultMaximumEntries);
        ThrowIfAbove("length of the zip directory", layout.DirectoryBytes, ZipLimits.DefaultMaximumDirectoryBytes);
        return new ZipWriter(create(layout.Length), records, layout);

        void ThrowIfAbove(string limit, long actual, long maximum)
        {
            if (actual > maximum)
            {
                throw new CheckpointLimitException(limit, actual, maximum, "the number of shards", path, format);
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask WriteAsync(string name, long offset, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken = default)
    {
        await _regions.WriteAsync(name, offset, bytes, cancellationToken).ConfigureAwait(false);
        _checksums[name].Add(offset, bytes.Length, Crc32.Compute(bytes.Span));
    }

    /// <inheritdoc/>
    public void Write(string name, long offset, ReadOnlySpan<byte> bytes)
    {
        _regions.Write(name, offset, bytes);
        _checksums[name].Add(offset, bytes.Length, Crc32.Compute(bytes));
    }

    /// <inheritdoc/>
    public async ValueTask CommitAsync(CancellationToken cancellationToken = default)
    {
        _regions.ThrowIfIncomplete();
        var crcs = new uint[_records.Count];
        for (var i = 0; i < crcs.Length; i++)
        {
            var record = _records[i];
            crcs[i] = Crc32.Compute(record.Content.Span);
            if (record.Tensor is { } tensor)
            {
                crcs[i] = _checksums[tensor].Join(crcs[i], record.ByteLength)
                    ?? throw new InvalidOperationException($"{Path}: some bytes of tensor {Quoted.Name(tensor)} were written twice, and others never.");
            }

            await _file.WriteAsync(_layout.HeaderOffset(i), _layout.LocalHeader(i, crcs[i]), cancellationToken).ConfigureAwait(false);
        }

        await _file.WriteAsync(_layout.DirectoryOffset, _layout.Directory(crcs), cancellationToken).ConfigureAwait(false);
        await _file.CommitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Closes the file and, if it was not committed, removes it.</summary>
    public ValueTask DisposeAsync() => _file.DisposeAsync();
}

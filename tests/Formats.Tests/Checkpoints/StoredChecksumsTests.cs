using System.IO.Compression;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>The bytes of archives against the CRC-32 of their records, which .NET's own reader of zip archives knows too.</summary>
public sealed class StoredChecksumsTests
{
    public static TheoryData<string> Archives =>
        [.. GoldenArchive.Names("torch").Where(name => name.EndsWith(".npz", StringComparison.Ordinal)
            || (!name.StartsWith("hostile", StringComparison.Ordinal) && Path.GetExtension(name) is ".pt" or ".bin" && GoldenArchive.Read("torch", name)[0] == (byte)'P'))];

    [Theory]
    [MemberData(nameof(Archives))]
    public async Task Ensure_GoldenArchive_IsWhole(string file)
    {
        var bytes = GoldenArchive.Read("torch", file);
        await using var checkpoint = await OpenAsync(new MemorySource(bytes, file));
        var seen = new Seen();
        Assert.Empty(await StoredChecksums.EnsureAsync(checkpoint, seen));
        using var archive = new ZipArchive(new MemoryStream(bytes));
        Assert.Equal(archive.Entries.Sum(entry => entry.CompressedLength), StoredChecksums.ByteLength(checkpoint));
        Assert.Equal(StoredChecksums.ByteLength(checkpoint), seen.Last);
    }

    [Theory]
    [InlineData("views.zip.pt")]
    [InlineData("tied.zip.pt")]
    [InlineData("npy/stored.npz")]
    [InlineData("npy/deflated.npz")]
    public async Task Ensure_OneBitOfARecordFlipped_NamesTheRecordAndWhereItIs(string file)
    {
        var bytes = GoldenArchive.Read("torch", file);
        await using var whole = await OpenAsync(new MemorySource(bytes, file));
        var tensor = whole.Tensors.First(tensor => tensor.ByteLength > 0);
        // Of a deflated array the last byte of its record: the tensor lies in a section behind the file.
        var isDeflated = tensor.Offset >= bytes.Length;
        using var archive = new ZipArchive(new MemoryStream(bytes));
        var entry = archive.GetEntry(tensor.Name + ".npy");
        var at = isDeflated
            ? bytes.AsSpan().IndexOf(System.Text.Encoding.UTF8.GetBytes(tensor.Name + ".npy")) + tensor.Name.Length + 4 + 40
            : (int)(tensor.Offset + tensor.ByteLength - 1);
        // Memory that rots once it was opened.
        await using var checkpoint = await OpenAsync(new MemorySource(bytes, file));
        bytes[at] ^= 0x10;
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => StoredChecksums.EnsureAsync(checkpoint));
        Assert.Equal(CheckpointErrorCode.ArchiveInvalid, exception.Code);
        Assert.InRange(exception.Offset!.Value, 1, at);
        Assert.True(at - exception.Offset.Value < Math.Max(entry?.CompressedLength ?? 0, tensor.ByteLength));
        Assert.Contains(isDeflated || entry is not null ? $"'{tensor.Name}.npy'" : "/data/", exception.Message, StringComparison.Ordinal);
        Assert.Equal(isDeflated ? null : tensor.Name, exception.Tensor);
    }

    [Fact]
    public async Task Ensure_BigEndianAndAppendedSections_ChecksWhatIsStored()
    {
        // The checkpoint's source turns the first array round and has the second behind the file.
        var bytes = new ZipBuilder()
            .Add("big.npy", GoldenArchive.Read("torch", "npy/be_f4.npy"))
            .Add("deflated.npy", GoldenArchive.Read("torch", "npy/c_f4.npy"), record => record.Deflate())
            .ToBytes();
        await using var checkpoint = await OpenAsync(new MemorySource(bytes, "a.npz"));
        Assert.Empty(await StoredChecksums.EnsureAsync(checkpoint));
    }

    [Fact]
    public async Task Ensure_NoCrc_IsSaidAndNotChecked()
    {
        var bytes = new ZipBuilder()
            .Add("a.npy", GoldenArchive.Read("torch", "npy/c_f4.npy"), record => record.Both(header => header.Crc = 0))
            .Add("empty", [])
            .ToBytes();
        await using var checkpoint = await OpenAsync(new MemorySource(bytes, "a.npz"));
        Assert.StartsWith("1 of its records have no CRC-32", Assert.Single(await StoredChecksums.EnsureAsync(checkpoint)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ensure_SeveralDamaged_CountsThemBesideTheFirst()
    {
        var array = GoldenArchive.Read("torch", "npy/c_f4.npy");
        var bytes = new ZipBuilder()
            .Add("a.npy", array)
            .Add("b.npy", array, record => record.Both(header => header.Crc ^= 1))
            .Add("c.npy", array, record => record.Both(header => header.Crc ^= 1))
            .Add("d.npy", array, record => record.Both(header => header.Crc ^= 1))
            .ToBytes();
        await using var checkpoint = await OpenAsync(new MemorySource(bytes, "a.npz"));
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => StoredChecksums.EnsureAsync(checkpoint));
        Assert.Equal("b", exception.Tensor);
        Assert.Contains("and 2 more records are damaged", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ensure_FileWithoutChecksums_ReadsNothing()
    {
        await using var checkpoint = await OpenAsync(new MemorySource(SafetensorsBuilder.Tiny()));
        Assert.Equal(0, StoredChecksums.ByteLength(checkpoint));
        Assert.Empty(await StoredChecksums.EnsureAsync(checkpoint));
    }

    [Fact]
    public async Task Ensure_ReadsFailOrAreCancelled_EndsWithThat()
    {
        var bytes = GoldenArchive.Read("torch", "many300.zip.pt");
        var recording = new RecordingSource(new MemorySource(bytes));
        await using (await OpenAsync(recording))
        {
        }

        await using var failing = await OpenAsync(ThrowingSource.AfterReads(new MemorySource(bytes), recording.Reads.Count + 5));
        await Assert.ThrowsAsync<IOException>(() => StoredChecksums.EnsureAsync(failing));
        await using var checkpoint = await OpenAsync(new ShortReadSource(new MemorySource(bytes), 100));
        Assert.Empty(await StoredChecksums.EnsureAsync(checkpoint));
        using var stop = new CancellationTokenSource();
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => StoredChecksums.EnsureAsync(checkpoint, null, stop.Token));
    }

    private static Task<Checkpoint> OpenAsync(IByteSource source) => Checkpoint.OpenAsync(
        source, new CheckpointOptions { Torch = new Torch.TorchLimits { AllowUnknownGlobals = true } });

    private sealed class Seen : IProgress<long>
    {
        private long _last;

        public long Last => Volatile.Read(ref _last);

        public void Report(long value)
        {
            long seen;
            while (value > (seen = Last) && Interlocked.CompareExchange(ref _last, value, seen) != seen)
            {
            }
        }
    }
}

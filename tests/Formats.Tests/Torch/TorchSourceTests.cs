using System.IO.Compression;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>How the reader treats its source, and that no damage to a file ends in anything but an exception of ours.</summary>
public sealed class TorchSourceTests
{
    private static readonly byte[][] Samples =
    [
        .. ((string[])["checkpoint.zip.pt", "checkpoint.legacy.pt", "views.zip.pt", "quantized.zip.pt", "proto4.legacy.pt", "script.jit.pt"])
            .Select(name => GoldenArchive.Read(TorchManifest.Set, name)),
    ];

    [Fact]
    public async Task Open_SourceThatFailsAtAnyRead_PassesTheFailureOnAndClosesIt()
    {
        foreach (var file in Samples)
        {
            var counting = new RecordingSource(new MemorySource(file, TorchOpening.Name));
            await using (await Checkpoint.OpenAsync(counting, TorchOpening.Admitting))
            {
            }

            for (var good = 0; good < counting.Reads.Count; good++)
            {
                var source = ThrowingSource.AfterReads(new MemorySource(file, TorchOpening.Name), good);
                var exception = await Assert.ThrowsAsync<IOException>(() => Checkpoint.OpenAsync(source, TorchOpening.Admitting));
                Assert.Equal(ThrowingSource.Message, exception.Message);
                Assert.Equal(1, source.Disposals);
            }
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Open_CancelledAtARead_ReadsNoFurtherAndClosesTheSource(int atRead)
    {
        foreach (var file in Samples)
        {
            using var cancellation = new CancellationTokenSource();
            var source = new CancellingSource(new MemorySource(file, TorchOpening.Name), cancellation, atRead);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Checkpoint.OpenAsync(source, TorchOpening.Admitting, cancellationToken: cancellation.Token));
            Assert.Equal(0, source.ReadsAfterwards);
            Assert.Equal(1, source.Disposals);
        }
    }

    [Fact]
    public async Task Open_FileCutAnywhere_IsRefusedOrGivesWhatLiesBefore()
    {
        foreach (var file in Samples)
        {
            for (var length = 0; length < file.Length; length += 97)
            {
                await HoldsAsync(file[..length]);
            }
        }
    }

    [Fact]
    public async Task Open_FileWithBytesChanged_EndsInACheckpointOrAnExceptionOfOurs()
    {
        // Always the same changes, so that a failure can be looked into.
        var random = new Random(20260102);
        for (var round = 0; round < 600; round++)
        {
            var file = Samples[round % Samples.Length].ToArray();
            var changes = random.Next(1, 4);
            for (var i = 0; i < changes; i++)
            {
                // Pickles lie at the beginning, or, of TorchScript, before the directory at the end; elsewhere are values.
                var at = (round / Samples.Length % 3) switch
                {
                    0 => random.Next(Math.Min(file.Length, 2500)),
                    1 => file.Length - 1 - random.Next(Math.Min(file.Length, 1500)),
                    _ => random.Next(file.Length),
                };
                file[at] = random.Next(3) == 0 ? (byte)(file[at] ^ (1 << random.Next(8))) : (byte)random.Next(256);
            }

            await HoldsAsync(file);
        }
    }

    [Fact]
    public async Task Open_PickleOfAnArchiveWithBytesChanged_ReachesTheStackMachineAndHolds()
    {
        var random = new Random(20260103);
        var (archives, read) = (Samples.Where(sample => sample.AsSpan().StartsWith("PK"u8)).ToArray(), 0);
        for (var round = 0; round < 600; round++)
        {
            // Changed outside the archive, whose checksums would find the damage first, and packed again.
            var file = Repacked(archives[round % archives.Length], pickle =>
            {
                for (var i = random.Next(1, 4); i > 0; i--)
                {
                    pickle[random.Next(pickle.Length)] = (byte)random.Next(256);
                }
            });
            read += await HoldsAsync(file) is null or { Code: not CheckpointErrorCode.ArchiveInvalid } ? 1 : 0;
        }

        // Those with another key of a storage find no record; nearly all others end in the pickle or behind it.
        Assert.InRange(read, 400, 600);
    }

    private static byte[] Repacked(byte[] archive, Action<byte[]> change)
    {
        using var result = new MemoryStream();
        using (var from = new ZipArchive(new MemoryStream(archive), ZipArchiveMode.Read))
        using (var to = new ZipArchive(result, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var entry in from.Entries)
            {
                using var content = new MemoryStream();
                using (var stream = entry.Open())
                {
                    stream.CopyTo(content);
                }

                var bytes = content.ToArray();
                if (entry.Name == "data.pkl")
                {
                    change(bytes);
                }

                using var written = to.CreateEntry(entry.FullName, CompressionLevel.NoCompression).Open();
                written.Write(bytes);
            }
        }

        return result.ToArray();
    }

    // What was wrong; null where the file was accepted.
    private static async Task<CheckpointException?> HoldsAsync(byte[] file)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        var opening = Checkpoint.OpenAsync(new MemorySource(file, "folder/model.pt"), TorchOpening.Admitting);
        Assert.True(opening.IsCompleted);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, file.Length + BoundedOpening.AllocationBound);
        try
        {
            await using var checkpoint = await opening;
            foreach (var tensor in checkpoint.Tensors)
            {
                // Whatever a damaged file says, a view lies in its storage and the storage in the file.
                Assert.InRange(tensor.Offset + tensor.ByteLength, 0, tensor.File.Source.Length);
                if (tensor.ElementCount is > 0 and < 100_000)
                {
                    _ = await TorchOpening.ValuesAsync(tensor);
                }
            }
        }
        catch (CheckpointException exception)
        {
            // What is to be expected.
            return exception;
        }

        return null;
    }
}

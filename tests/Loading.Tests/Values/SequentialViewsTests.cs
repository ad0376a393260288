using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class SequentialViewsTests
{
    [Theory]
    // The view sees 4 * 60 * 50 * 2 bytes: whole in memory, or in ranges of which each takes a pass for each of at most five boxes.
    [InlineData(24_000, 1)]
    [InlineData(23_999, 2 * 5)]
    [InlineData(5000, 5 * 5)]
    public async Task A_view_is_read_once_or_in_ranges_of_the_budget_however_small_the_pieces_are(int budget, int passes)
    {
        var made = ViewSample.Make(1, DType.F16, 4, 60, 50);
        ForwardSource? source = null;
        await using var checkpoint = made.Open(inner => source = new ForwardSource(inner), new ViewShape("t", [50, 4, 60], [1, 3000, 50], 0));
        var tensor = checkpoint["t"];
        SequentialViews.Of(tensor.File.Source).BudgetBytes = budget;
        var all = new byte[24_000];
        for (var first = 0; first < 12_000; first += 77)
        {
            await StridedReader.ReadAsync(tensor, first, all.AsMemory(first * 2, Math.Min(77, 12_000 - first) * 2), default);
            Assert.InRange(SequentialViews.Of(tensor.File.Source).KeptBytes, first + 77 < 12_000 ? 1 : 0, budget);
        }

        Assert.Equal(made.Bytes(tensor), all);
        Assert.InRange(source!.Passes, 1, passes);
        // All was given out, and nothing is kept.
        Assert.Equal(0, SequentialViews.Of(tensor.File.Source).KeptBytes);
    }

    [Fact]
    public async Task Readers_side_by_side_share_what_is_read_and_wait_for_room()
    {
        var made = ViewSample.Make(1, DType.U8, 4000);
        await using var checkpoint = made.Open(
            inner => new ForwardSource(new ShortReadSource(inner, 300)),
            new ViewShape("a", [50, 40], [1, 50], 0), new ViewShape("b", [50, 40], [1, 50], 2000), new ViewShape("c", [30, 40], [1, 100], 0));
        // One of the three at a time.
        var views = SequentialViews.Of(checkpoint["a"].File.Source);
        views.BudgetBytes = 3999;
        var expected = checkpoint.Tensors.ToDictionary(tensor => tensor.Name, made.Bytes);
        await Parallel.ForAsync(0, 300, async (i, token) =>
        {
            var tensor = checkpoint.Tensors[i % 3];
            var first = new Random(i).Next((int)tensor.ElementCount);
            var bytes = new byte[new Random(-i).Next((int)tensor.ElementCount - first) + 1];
            await StridedReader.ReadAsync(tensor, first, bytes, token);
            Assert.Equal(expected[tensor.Name][first..(first + bytes.Length)], bytes);
            Assert.InRange(views.KeptBytes, 0, 3999);
        }).WaitAsync(TimeSpan.FromMinutes(1));
    }

    [Fact]
    public async Task A_read_that_fails_or_is_cancelled_leaves_nothing_and_the_next_one_reads()
    {
        var made = ViewSample.Make(1, DType.U8, 4000);
        ActingSource? source = null;
        await using var checkpoint = made.Open(
            inner => new ForwardSource(source = new ActingSource(inner)), new ViewShape("t", [50, 80], [1, 50], 0));
        var tensor = checkpoint["t"];
        using var cancellation = new CancellationTokenSource();
        source!.Arm(1, () => throw new IOException("no"));
        var error = await Assert.ThrowsAsync<IOException>(() => StridedReader.ReadAsync(tensor, 0, new byte[10], default).AsTask());
        Assert.Contains("tensor 't' could not be read", error.Message, StringComparison.Ordinal);
        source.Arm(1, () => cancellation.Token.ThrowIfCancellationRequested());
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => StridedReader.ReadAsync(tensor, 0, new byte[10], default).AsTask());
        Assert.Equal(0, SequentialViews.Of(tensor.File.Source).KeptBytes);
        var all = new byte[4000];
        await StridedReader.ReadAsync(tensor, 0, all, default);
        Assert.Equal(made.Bytes(tensor), all);
    }

    [Fact]
    public async Task A_deflated_array_in_fortran_order_is_inflated_once_however_many_pieces_it_has()
    {
        // Three pieces of 16 MiB, of bytes that deflate makes smaller.
        const int rows = 5 << 20;
        const int columns = 8;
        var stored = new byte[rows * columns];
        new Random(1).NextBytes(stored);
        for (var i = 0; i < stored.Length; i++)
        {
            stored[i] &= 1;
        }

        var rowMajor = new byte[stored.Length];
        for (var row = 0; row < rows; row++)
        {
            for (var column = 0; column < columns; column++)
            {
                rowMajor[(row * columns) + column] = stored[(column * rows) + row];
            }
        }

        var archive = Archive($"{{'descr': '|u1', 'fortran_order': True, 'shape': ({rows}, {columns}), }}", stored);
        var source = new RecordingSource(new MemorySource(archive, "a.npz"));
        await using var checkpoint = await Checkpoint.OpenAsync(source);
        var before = source.BytesRead;
        var hash = Assert.Single(await TensorHasher.HashStoredAsync(checkpoint));
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(rowMajor)), hash.Sha256);
        Assert.InRange(source.BytesRead - before, 1, archive.Length + (1 << 20));
    }

    private static byte[] Archive(string header, byte[] values)
    {
        using var stream = new MemoryStream();
        using (var zip = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
        {
            using var record = zip.CreateEntry("a.npy", CompressionLevel.Fastest).Open();
            var text = header.PadRight(128 - 11) + "\n";
            record.Write([0x93, .. "NUMPY"u8, 1, 0, (byte)text.Length, 0, .. Encoding.ASCII.GetBytes(text)]);
            record.Write(values);
        }

        return stream.ToArray();
    }
}

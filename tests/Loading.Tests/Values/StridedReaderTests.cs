using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class StridedReaderTests
{
    [Fact]
    public void Any_range_of_any_view_has_the_elements_that_its_strides_say()
    {
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed => CheckAsync(new Random(seed), seed).GetAwaiter().GetResult())
            .Check(Config.QuickThrowOnFailure.WithMaxTest(400));
    }

    [Fact]
    public async Task A_transposed_matrix_is_read_in_few_long_reads_that_the_scratch_memory_holds()
    {
        // 16 MiB in rows of 16 KiB: a quarter of them a read, all of it in one pass.
        var made = ViewSample.Make(1, DType.F32, 1024, 4096);
        RecordingSource? source = null;
        await using var checkpoint = made.Open(inner => source = new RecordingSource(inner), new ViewShape("t", [4096, 1024], [1, 4096], 0));
        var all = new byte[16 << 20];
        await StridedReader.ReadAsync(checkpoint["t"], 0, all, default);
        Assert.Equal(16 << 20, source!.BytesRead);
        Assert.Equal(4, source.Reads.Count);
        Assert.All(source.Reads, read => Assert.InRange(read.Asked, 1, StridedReader.ScratchBytes));
        Assert.True(made.Storage.Length == all.Length && Transposed(made.Storage, 1024, 4096).AsSpan().SequenceEqual(all));
    }

    [Theory]
    // A gap of as much as a read costs is not read, one byte less is.
    [InlineData((64 << 10) + 100, 40, 40 * 100)]
    [InlineData((64 << 10) + 99, 1, (39 * ((64 << 10) + 99)) + 100)]
    public async Task Gaps_are_read_where_that_is_cheaper_than_another_read(int stride, int reads, int bytes)
    {
        var made = ViewSample.Make(1, DType.U8, 40L * stride);
        RecordingSource? source = null;
        await using var checkpoint = made.Open(inner => source = new RecordingSource(inner), new ViewShape("t", [40, 100], [stride, 1], 0));
        var all = new byte[4000];
        await StridedReader.ReadAsync(checkpoint["t"], 0, all, default);
        Assert.Equal((reads, bytes), (source!.Reads.Count, (int)source.BytesRead));
        Assert.Equal(made.Bytes(checkpoint["t"]), all);
    }

    [Fact]
    public async Task Long_rows_are_read_to_where_they_go_and_what_is_expanded_or_overlaps_is_read_once()
    {
        var made = ViewSample.Make(1, DType.F32, 3, 2_000_000);
        RecordingSource? source = null;
        await using var checkpoint = made.Open(
            inner => source = new RecordingSource(inner),
            new ViewShape("rows", [2, 1_900_000], [4_000_000, 1], 0),
            new ViewShape("expanded", [1000, 50, 7], [0, 1, 0], 5),
            new ViewShape("windows", [991, 10], [1, 1], 0));
        var all = new byte[2 * 7_600_000];
        await StridedReader.ReadAsync(checkpoint["rows"], 0, all, default);
        Assert.Equal([7_600_000, 7_600_000], source!.Reads.Select(read => read.Asked));
        Assert.True(all.AsSpan(0, 7_600_000).SequenceEqual(made.Storage[..7_600_000]));
        Assert.True(all.AsSpan(7_600_000).SequenceEqual(made.Storage.Slice(16_000_000, 7_600_000)));
        foreach (var (name, bytes) in new[] { ("expanded", 200), ("windows", 4000) })
        {
            var (tensor, before) = (checkpoint[name], source.BytesRead);
            var values = new byte[tensor.DataByteLength];
            await StridedReader.ReadAsync(tensor, 0, values, default);
            Assert.Equal(bytes, source.BytesRead - before);
            Assert.Equal(made.Bytes(tensor), values);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Rows_longer_than_the_scratch_memory_with_small_gaps_are_read_to_where_they_go(int rows)
    {
        // One row is a box whose outermost dimension has one index.
        const int row = StridedReader.ScratchBytes + 64;
        var made = ViewSample.Make(1, DType.U8, rows * (row + 100L));
        await using var checkpoint = made.Open(new ViewShape("t", [rows, row], [row + 100, 1], 0));
        var all = new byte[rows * row];
        await StridedReader.ReadAsync(checkpoint["t"], 0, all, default);
        for (var i = 0; i < rows; i++)
        {
            Assert.True(made.Storage.Slice(i * (row + 100), row).SequenceEqual(all.AsSpan(i * row, row)));
            foreach (var (from, length) in new[] { (0, row), (2, row - 5) })
            {
                var one = new byte[length];
                await StridedReader.ReadAsync(checkpoint["t"], (i * (long)row) + from, one, default);
                Assert.True(all.AsSpan((i * row) + from, length).SequenceEqual(one));
            }
        }
    }

    [Fact]
    public async Task A_failed_read_names_tensor_and_offset_once()
    {
        var made = ViewSample.Make(1, DType.U8, 1 << 20);
        await using var checkpoint = made.Open(inner => ThrowingSource.AfterReads(inner, 4), new ViewShape("t", [5, 100], [100_000, 1], 7));
        var error = await Assert.ThrowsAsync<IOException>(() => StridedReader.ReadAsync(checkpoint["t"], 0, new byte[500], default).AsTask());
        Assert.StartsWith($"views.bin: tensor 't' could not be read at byte {checkpoint["t"].DataOffset + 400_000}: ", error.Message, StringComparison.Ordinal);
        await using var cut = made.Open(inner => new CutSource(inner, 300_000), new ViewShape("t", [5, 100], [100_000, 1], 7));
        var invalid = await Assert.ThrowsAsync<InvalidCheckpointException>(() => StridedReader.ReadAsync(cut["t"], 0, new byte[500], default).AsTask());
        Assert.Equal((CheckpointErrorCode.FileTruncated, "t"), (invalid.Code, invalid.Tensor));
    }

    [Fact]
    public async Task Cancelling_ends_between_two_reads()
    {
        var made = ViewSample.Make(1, DType.U8, 1 << 20);
        ActingSource? source = null;
        await using var checkpoint = made.Open(inner => source = new ActingSource(inner), new ViewShape("t", [5, 100], [100_000, 1], 7));
        using var cancellation = new CancellationTokenSource();
        source!.Arm(2, cancellation.Cancel);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => StridedReader.ReadAsync(checkpoint["t"], 0, new byte[500], cancellation.Token).AsTask());
        Assert.Equal(0, source.ReadsAfterwards);
    }

    private static async Task CheckAsync(Random random, int seed)
    {
        var dtype = ViewGenerator.NextDType(random);
        var made = ViewSample.Make(seed, dtype, random.Next(1, random.Next(4) == 0 ? 400_000 : 500));
        var (most, isShort, isSynchronous) = (random.Next(1, 5000), random.Next(3) == 0, random.Next(2) == 0);
        await using var checkpoint = made.Open(
            inner =>
            {
                inner = isShort ? new ShortReadSource(inner, most) : inner;
                return isSynchronous ? new SynchronousSource(inner) : inner;
            },
            ViewGenerator.Next(random, "t", made.Elements));
        var tensor = checkpoint["t"];
        var expected = made.Bytes(tensor);
        var first = random.NextInt64(tensor.ElementCount + 1);
        var count = random.NextInt64(tensor.ElementCount - first + 1);
        foreach (var (from, elements) in new[] { (0, tensor.ElementCount), (first, count) })
        {
            var bytes = new byte[elements * dtype.BlockSize];
            await StridedReader.ReadAsync(tensor, from, bytes, default);
            Assert.True(expected.AsSpan((int)from * dtype.BlockSize, bytes.Length).SequenceEqual(bytes), $"{tensor} [{string.Join(", ", tensor.Strides)}]");

            // So little memory that every view has rows that it does not hold.
            Array.Clear(bytes);
            await StridedReader.ReadAsync(tensor, from, bytes, 64, 24, default);
            Assert.True(expected.AsSpan((int)from * dtype.BlockSize, bytes.Length).SequenceEqual(bytes), $"{tensor} [{string.Join(", ", tensor.Strides)}], 64 bytes");
        }

        if (tensor.ElementCount > 0)
        {
            var element = random.NextInt64(tensor.ElementCount);
            var value = made.Storage[(int)(TensorPieces.OffsetOf(tensor, element) - tensor.Offset)..][..dtype.BlockSize];
            Assert.True(value.SequenceEqual(expected.AsSpan((int)element * dtype.BlockSize, dtype.BlockSize)));
        }
    }

    private static byte[] Transposed(ReadOnlySpan<byte> storage, int rows, int columns)
    {
        var result = new byte[storage.Length];
        for (var row = 0; row < rows; row++)
        {
            for (var column = 0; column < columns; column++)
            {
                storage.Slice(((row * columns) + column) * 4, 4).CopyTo(result.AsSpan(((column * rows) + row) * 4));
            }
        }

        return result;
    }
}

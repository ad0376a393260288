using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class StatisticsReaderTests
{
    public static TheoryData<DType> Decodable => new(DType.All.Where(dtype => dtype.IsSafetensors));

    [Theory]
    [MemberData(nameof(Decodable))]
    public async Task Every_dtype_has_the_statistics_of_its_values(DType dtype)
    {
        // A piece and some more; of the widest types, whose pieces have the fewest elements, a stretch and some more.
        var seam = (dtype.BlockSize >= 8 ? 16L : 1L) * TensorPieces.ElementsPerPiece(dtype);
        var sample = Sample.Make(
            (int)dtype,
            ("long", dtype, [seam + (4096 * 3) + (4L * dtype.BlockLength)]),
            ("short", dtype, [4L * dtype.BlockLength]),
            ("empty", dtype, [0, 4]));
        await using var checkpoint = await sample.OpenAsync();
        foreach (var result in await StatisticsReader.ReadAsync(checkpoint))
        {
            AssertStatistics(Decode(dtype, sample.Tensors[result.Tensor.Name]), sample.Tensors[result.Tensor.Name], dtype, result.Values!);
        }
    }

    [Fact]
    public async Task A_scalar_is_its_own_mean()
    {
        var file = new SafetensorsBuilder().Add("a", "F32", [], [0xcd, 0xcc, 0xcc, 0x3d]).ToBytes();
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(file));
        var statistics = await StatisticsReader.ReadAsync(checkpoint["a"]);
        Assert.Equal((1L, (double?)0.1f, 0.0), (statistics.Count, statistics.Mean, statistics.StandardDeviation));
        Assert.Equal(("0.1", "0.1"), (statistics.Minimum.ToString(), statistics.Maximum.ToString()));
    }

    [Fact]
    public async Task A_constant_tensor_has_no_deviation_whatever_sums_round_to()
    {
        var floats = Enumerable.Repeat(0.1f, 10_007).ToArray();
        var file = new SafetensorsBuilder().Add("a", "F32", [10_007], MemoryMarshal.AsBytes<float>(floats)).ToBytes();
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(file));
        var statistics = await StatisticsReader.ReadAsync(checkpoint["a"]);
        Assert.Equal(((double)0.1f, 0.0), (statistics.Mean, statistics.StandardDeviation));
    }

    [Fact]
    public async Task Extremes_of_wide_integers_are_exact()
    {
        long[] signed = [long.MinValue, long.MaxValue, 0];
        ulong[] unsigned = [ulong.MaxValue, ulong.MaxValue - 1];
        var file = new SafetensorsBuilder()
            .Add("i", "I64", [3], MemoryMarshal.AsBytes<long>(signed)).Add("u", "U64", [2], MemoryMarshal.AsBytes<ulong>(unsigned)).ToBytes();
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(file));
        var i = await StatisticsReader.ReadAsync(checkpoint["i"]);
        Assert.Equal(("-9223372036854775808", "9223372036854775807", 1L), (i.Minimum.ToString(), i.Maximum.ToString(), i.ZeroCount));
        var u = await StatisticsReader.ReadAsync(checkpoint["u"]);
        Assert.Equal(("18446744073709551614", "18446744073709551615"), (u.Minimum.ToString(), u.Maximum.ToString()));
    }

    [Fact]
    public async Task Cores_and_the_order_of_arrival_change_no_bit()
    {
        var sample = Sample.Make(5, ("a", DType.BF16, [20 << 20]), ("b", DType.F32, [1000]));
        var whole = await StatisticsAsync(inner => inner);
        for (var round = 0; round < 3; round++)
        {
            var random = new Random(round);
            Assert.Equal(whole, await StatisticsAsync(inner => new DelayingSource(inner, random)));
        }

        async Task<IEnumerable<ValueStatistics?>> StatisticsAsync(Func<IByteSource, IByteSource> wrap)
        {
            await using var checkpoint = await sample.OpenAsync(wrap);
            return (await StatisticsReader.ReadAsync(checkpoint)).Select(result => result.Values).ToArray();
        }
    }

    [Fact]
    public async Task Each_byte_of_the_chosen_tensors_is_read_once_in_bounded_pieces()
    {
        var sample = Sample.Make(6, ("a", DType.F32, [1 << 20]), ("b", DType.U8, [333]), ("left out", DType.U8, [10]));
        RecordingSource? recording = null;
        await using var checkpoint = await sample.OpenAsync(inner => recording = new RecordingSource(inner));
        var before = recording!.Reads.Count;
        var progress = new RecordedProgress();
        await StatisticsReader.ReadAsync(checkpoint, new TensorChoice([], ["left*"]), progress);
        var reads = recording.Reads.Skip(before).OrderBy(read => read.Offset).ToArray();
        Assert.Equal((4 << 20) + 333, reads.Sum(read => read.Given));
        Assert.All(reads.Zip(reads.Skip(1)), pair => Assert.Equal(pair.First.Offset + pair.First.Given, pair.Second.Offset));
        Assert.All(reads, read => Assert.InRange(read.Asked, 1, 1 << 20));
    }

    [Fact]
    public async Task A_view_has_the_statistics_of_a_copy_of_its_elements_to_the_bit()
    {
        // More than two stretches, which are merged.
        var made = ViewSample.Make(5, DType.F32, 3000, 3100);
        await using var checkpoint = made.Open(new ViewShape("turned", [3100, 3000], [1, 3100], 0));
        await using var copy = await Sample.Of(new SafetensorsBuilder().Add("turned", "F32", [3100, 3000], made.Bytes(checkpoint["turned"])).ToBytes()).OpenAsync();
        var results = await StatisticsReader.ReadAsync(checkpoint);
        var expected = await StatisticsReader.ReadAsync(copy["turned"]);
        Assert.Equal(expected, results[0].Values);
        Assert.Equal(
            (await StatisticsReader.ReadHistogramAsync(copy["turned"], expected)).ToArray(),
            (await StatisticsReader.ReadHistogramAsync(checkpoint["turned"], expected)).ToArray());
    }

    [Fact]
    public async Task Short_reads_change_nothing()
    {
        var sample = Sample.Make(9, ("a", DType.F16, [30_001]));
        await using var whole = await sample.OpenAsync();
        await using var parts = await sample.OpenAsync(inner => new ShortReadSource(inner, 77));
        Assert.Equal(await StatisticsReader.ReadAsync(whole["a"]), await StatisticsReader.ReadAsync(parts["a"]));
    }

    [Fact]
    public async Task Failures_name_file_tensor_and_offset()
    {
        var sample = Sample.Make(10, ("a", DType.F32, [10]), ("b", DType.F16, [5000]));
        await using var failing = await sample.OpenAsync(inner => ThrowingSource.AfterBytes(inner, sample.File.Length - 1));
        var unreadable = await Assert.ThrowsAsync<IOException>(() => StatisticsReader.ReadAsync(failing));
        var offset = failing["b"].Offset;
        Assert.StartsWith(
            $"sample.safetensors: tensor 'b' could not be read at byte {offset}: {ThrowingSource.Message}", unreadable.Message, StringComparison.Ordinal);
        await using var cut = await sample.OpenAsync(inner => new CutSource(inner, sample.File.Length - 1));
        var ended = await Assert.ThrowsAsync<InvalidCheckpointException>(() => StatisticsReader.ReadAsync(cut));
        Assert.Equal(
            (CheckpointErrorCode.FileTruncated, "b", sample.File.Length - 1L, "sample.safetensors"), (ended.Code, ended.Tensor, ended.Offset!.Value, ended.File));
    }

    [Fact]
    public async Task Cancellation_ends_it_within_one_piece_a_core()
    {
        var sample = Sample.Make(11, ("a", DType.U8, [40 << 20]));
        using var stop = new CancellationTokenSource();
        LateReadsSource? source = null;
        // Two reads are the opening's.
        await using var checkpoint = await sample.OpenAsync(inner => source = new LateReadsSource(inner, stop, 4));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => StatisticsReader.ReadAsync(checkpoint, cancellationToken: stop.Token));
        Assert.InRange(source!.LateReads, 0, Environment.ProcessorCount);
    }

    [Fact]
    public async Task A_file_that_changes_meanwhile_has_no_statistics()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("model.safetensors", Sample.Make(4, ("a", DType.U8, [50])).File);
        var source = new ActingSource(new LocalFileSource(path));
        await using var checkpoint = await Checkpoint.OpenAsync(source);
        source.Arm(1, () => File.SetLastWriteTimeUtc(path, File.GetLastWriteTimeUtc(path).AddSeconds(5)));
        var error = await Assert.ThrowsAsync<InvalidCheckpointException>(() => StatisticsReader.ReadAsync(checkpoint));
        Assert.Equal(CheckpointErrorCode.FileChanged, error.Code);
    }

    private static double[] Decode(DType dtype, byte[] stored)
    {
        var codec = Codecs.Of(dtype);
        var values = new double[stored.Length / dtype.BlockSize * dtype.BlockLength * codec.ValuesPerElement];
        codec.DecodeScalar(stored, MemoryMarshal.AsBytes(values.AsSpan()), DType.F64);
        return values;
    }

    private static void AssertStatistics(double[] values, byte[] stored, DType dtype, ValueStatistics statistics)
    {
        var finite = values.Where(double.IsFinite).ToArray();
        Assert.Equal(
            (values.Length, finite.Length, values.Count(double.IsNaN), values.Count(double.IsPositiveInfinity), values.Count(double.IsNegativeInfinity)),
            (statistics.Count, statistics.FiniteCount, statistics.NaNCount, statistics.PositiveInfinityCount, statistics.NegativeInfinityCount));
        Assert.Equal(finite.Count(value => value == 0), statistics.ZeroCount);
        if (finite.Length == 0)
        {
            Assert.Equal((null, null, null, null), (statistics.Minimum, statistics.Maximum, statistics.Mean, statistics.StandardDeviation));
            return;
        }

        Assert.Equal((finite.Min(), finite.Max()), (statistics.Minimum!.Value.Number + 0.0, statistics.Maximum!.Value.Number + 0.0));
        if (dtype == DType.I64)
        {
            Assert.Equal((Int128)MemoryMarshal.Cast<byte, long>(stored).ToArray().Min(), statistics.Minimum.Value.Exact);
        }

        // Scaled to one, so that the random doubles' squares exist; two passes.
        var scale = finite.Max(Math.Abs);
        scale = scale == 0 ? 1 : scale;
        var mean = finite.Sum(value => value / scale) / finite.Length;
        Assert.Equal(mean, statistics.Mean!.Value / scale, 1e-9);
        var deviation = Math.Sqrt(finite.Sum(value => ((value / scale) - mean) * ((value / scale) - mean)) / finite.Length);
        Assert.Equal(
            scale > 1e150 ? double.PositiveInfinity : deviation,
            statistics.StandardDeviation!.Value / (scale > 1e150 ? 1 : scale),
            1e-9);
    }

    // Gives bytes late by chance, so that stretches end in another order each time.
    private sealed class DelayingSource(IByteSource inner, Random random) : SourceDouble(inner)
    {
        public override async ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default)
        {
            bool late;
            lock (random)
            {
                late = random.Next(4) == 0;
            }

            await Task.Delay(late ? 2 : 0, cancellationToken);
            return await Inner.ReadAsync(offset, destination, cancellationToken);
        }
    }
}

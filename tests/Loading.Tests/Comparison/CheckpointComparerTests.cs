using System.Numerics;
using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class CheckpointComparerTests
{
    public static TheoryData<DType> Safetensors => new(DType.All.Where(dtype => dtype.IsSafetensors));

    [Fact]
    public async Task Names_dtypes_and_shapes_come_in_the_order_of_the_first_and_then_of_the_second()
    {
        var left = Sample.Make(1, ("same", DType.F32, [2]), ("gone", DType.F32, [2]), ("type", DType.F16, [2]), ("shape", DType.U8, [2, 3]));
        var right = Sample.Make(2, ("new", DType.F32, [1]), ("shape", DType.U8, [3, 2]), ("type", DType.BF16, [2]), ("same", DType.F32, [2]), ("also", DType.U8, [1]));
        var comparison = await CompareAsync(left, right, compareValues: false);
        Assert.Equal(
            [
                ("same", TensorDifferences.None),
                ("gone", TensorDifferences.Removed),
                ("type", TensorDifferences.DType),
                ("shape", TensorDifferences.Shape),
                ("new", TensorDifferences.Added),
                ("also", TensorDifferences.Added),
            ],
            comparison.Tensors.Select(tensor => (tensor.Name, tensor.Differences)));
        Assert.True(comparison is { IsDifferent: true, IsComplete: true, ComparedValues: false });
        Assert.All(comparison.Tensors, tensor => Assert.Null(tensor.Values));
    }

    [Theory]
    [MemberData(nameof(Safetensors))]
    public async Task Equal_bytes_are_equal_in_every_dtype_and_one_other_byte_is_found(DType dtype)
    {
        var sample = Sample.Make(3, ("a", dtype, [TensorPieces.ElementsPerPiece(dtype) + (8L * dtype.BlockLength)]), ("empty", dtype, [0]));
        var equal = await CompareAsync(sample, sample);
        Assert.True(equal is { IsDifferent: false, IsComplete: true });
        var changed = (byte[])sample.File.Clone();
        changed[^1] ^= 0xff;
        var found = (await CompareAsync(sample, Sample.Of(changed))).Tensors.Single(tensor => tensor.Name == "a");
        Assert.NotEqual(TensorDifferences.None, found.Differences);
        Assert.Null(found.Error);
        Assert.NotNull(found.Values);
    }

    [Fact]
    public async Task Counts_and_extremes_are_those_of_a_plain_loop_at_every_length()
    {
        double[] hard = [0, -0.0, 1, -1, double.NaN, double.PositiveInfinity, double.NegativeInfinity, 5e-324, double.MaxValue, -double.MaxValue, 3.5];
        var random = new Random(4);
        for (var length = 1; length <= 100; length++)
        {
            var set = length % 2 == 0 ? hard : hard[..4];
            var left = random.GetItems(set, length);
            var right = left.Select(value => random.Next(3) == 0 ? random.GetItems(set, 1)[0] : value).ToArray();
            var values = await ValuesAsync("F64", left, "F64", right);
            var pairs = left.Zip(right).Where(pair => pair.First != pair.Second && !(double.IsNaN(pair.First) && double.IsNaN(pair.Second))).ToArray();
            Assert.Equal((length, pairs.Length), (values.Count, values.DifferentCount));
            Assert.Equal(pairs.Count(pair => double.IsNaN(pair.Second)), values.NaNAppeared);
            Assert.Equal(pairs.Count(pair => double.IsNaN(pair.First)), values.NaNDisappeared);
            Assert.Equal(
                left.Zip(right).Count(pair => BitConverter.DoubleToInt64Bits(pair.First) != BitConverter.DoubleToInt64Bits(pair.Second)) - pairs.Length,
                values.BytesOnlyCount);
            var numbers = pairs.Where(pair => !double.IsNaN(pair.First) && !double.IsNaN(pair.Second)).ToArray();
            Assert.Equal(numbers.Length == 0 ? null : numbers.Max(pair => Math.Abs(pair.First - pair.Second)), values.Largest?.Absolute);
            if (values.Largest is { } largest)
            {
                Assert.Equal((left[largest.Element], right[largest.Element]), (largest.Left.Number, largest.Right.Number));
                Assert.Equal(
                    left.Zip(right).TakeWhile(pair => Math.Abs(pair.First - pair.Second) != largest.Absolute || pair.First == pair.Second).Count(), largest.Element);
            }

            var finite = numbers.Where(pair => double.IsFinite(pair.First) && double.IsFinite(pair.Second)).ToArray();
            Assert.Equal(finite.Length == 0, values.LargestRelative is null);
            Assert.Equal(
                finite.Select(pair => Math.Abs((pair.First / Larger(pair)) - (pair.Second / Larger(pair)))).DefaultIfEmpty().Max(),
                values.LargestRelative ?? 0,
                1e-15);
        }

        static double Larger((double First, double Second) pair) => Math.Max(Math.Abs(pair.First), Math.Abs(pair.Second));
    }

    [Fact]
    public async Task A_bfloat16_tensor_equals_its_float32_copy_and_differs_where_that_was_changed()
    {
        var sample = Sample.Make(5, ("a", DType.BF16, [40, 1000]));
        var floats = new float[40_000];
        var codec = Codecs.Of(DType.BF16);
        codec.DecodeScalar(sample.Tensors["a"], MemoryMarshal.AsBytes(floats.AsSpan()), DType.F32);
        var copy = (await CompareAsync(sample, Floats(floats))).Tensors.Single();
        Assert.Equal((TensorDifferences.DType, 0L, 0L), (copy.Differences, copy.Values!.DifferentCount, copy.Values.BytesOnlyCount));
        (floats[39_999], floats[12_345]) = (1e38f * 3, 1);
        floats[7] = float.IsNaN(floats[7]) ? 1 : float.NaN;
        var changed = (await CompareAsync(sample, Floats(floats))).Tensors.Single();
        Assert.Equal((TensorDifferences.DType | TensorDifferences.Values, 3L), (changed.Differences, changed.Values!.DifferentCount));
        Assert.Equal(1, changed.Values.NaNAppeared + changed.Values.NaNDisappeared);

        static Sample Floats(float[] floats) =>
            Sample.Of(new SafetensorsBuilder().Add("a", "F32", [40, 1000], MemoryMarshal.AsBytes(floats.AsSpan())).ToBytes());
    }

    [Fact]
    public async Task Wide_integers_are_compared_exactly_also_with_other_types()
    {
        const long beyond = (1L << 53) + 1;
        var neighbours = await ValuesAsync("I64", new[] { beyond, long.MinValue, 3 }, "I64", new[] { beyond - 1, long.MinValue, 3 });
        Assert.Equal((1L, 1.0, 0L), (neighbours.DifferentCount, neighbours.Largest!.Absolute, neighbours.BytesOnlyCount));
        Assert.Equal(("9007199254740993", "9007199254740992"), (neighbours.Largest.Left.ToString(), neighbours.Largest.Right.ToString()));
        var unsigned = await ValuesAsync("I64", new[] { -1L, 5 }, "U64", new ulong[] { ulong.MaxValue, 5 });
        Assert.Equal((1L, 18446744073709551616.0), (unsigned.DifferentCount, unsigned.Largest!.Absolute));
        var doubles = await ValuesAsync("I64", new long[] { beyond, 1, 2, 3 }, "F64", new[] { (double)beyond, 1, 2.5, double.NaN });
        Assert.Equal((3L, 1L, 1.0), (doubles.DifferentCount, doubles.NaNAppeared, doubles.Largest!.Absolute));
    }

    [Fact]
    public async Task Parts_of_complex_numbers_are_compared_and_bytes_alone_are_counted_by_element()
    {
        var values = await ValuesAsync("C64", new[] { 1f, 2, 0, 4, 0f, 6 }, "C64", new[] { 1f, 2, -0f, 4.5f, -0f, 6 });
        Assert.Equal((6L, 1L, 1L), (values.Count, values.DifferentCount, values.BytesOnlyCount));
        Assert.Equal((1L, 1, 4.0, 4.5, DType.F32), (values.Largest!.Element, values.Largest.Part, values.Largest.Left.Number, values.Largest.Right.Number, values.Largest.Left.DType));
    }

    [Fact]
    public async Task Complex_and_real_are_not_compared_and_shapes_that_differ_neither()
    {
        var left = Sample.Make(6, ("mixed", DType.C64, [2]), ("shape", DType.U8, [2]));
        var right = Sample.Make(6, ("mixed", DType.F32, [2]), ("shape", DType.U8, [3]));
        var comparison = await CompareAsync(left, right);
        Assert.Contains("complex", comparison.Tensors[0].Error, StringComparison.Ordinal);
        Assert.Equal((TensorDifferences.Shape, null, null), (comparison.Tensors[1].Differences, comparison.Tensors[1].Values, comparison.Tensors[1].Error));
        Assert.False(comparison.IsComplete);
    }

    [Fact]
    public async Task What_gguf_metadata_says_of_files_is_no_difference_between_models()
    {
        var left = new GgufBuilder { Alignment = 64 }
            .Add("general.alignment", 64u).Add("split.no", (ushort)0).Add("split.count", (ushort)1).Add("split.tensors.count", 1).Add("name", "left");
        var right = new GgufBuilder().Add("split.count", (ushort)0).Add("name", "right");
        await using var leftModel = await Checkpoint.OpenAsync(new MemorySource(left.Tensor("t", 24, [1], [1]).ToBytes()));
        await using var rightModel = await Checkpoint.OpenAsync(new MemorySource(right.Tensor("t", 24, [1], [1]).ToBytes()));
        var comparison = await CheckpointComparer.CompareAsync(leftModel, rightModel, compareValues: false);
        Assert.Equal(("name", "left", "right"), Assert.Single(comparison.Metadata) is var entry ? (entry.Key, entry.Left, entry.Right) : default);
        // Of a safetensors file they are text like any other.
        await using var other = await Checkpoint.OpenAsync(new MemorySource(
            new SafetensorsBuilder().AddMetadata(new Dictionary<string, string> { ["split.count"] = "1" }).Add("t", "I8", [1], [1]).ToBytes()));
        comparison = await CheckpointComparer.CompareAsync(leftModel, other, compareValues: false);
        Assert.Equal(["name", "split.count"], comparison.Metadata.Select(difference => difference.Key).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Metadata_is_reported_and_makes_no_difference()
    {
        var left = new SafetensorsBuilder().AddMetadata(new Dictionary<string, string> { ["a"] = "1", ["b"] = "2", ["c"] = "3" }).Add("t", "U8", [1], [1]);
        var right = new SafetensorsBuilder().AddMetadata(new Dictionary<string, string> { ["a"] = "1", ["b"] = "x", ["d"] = "4" }).Add("t", "U8", [1], [1]);
        var comparison = await CompareAsync(Sample.Of(left.ToBytes()), Sample.Of(right.ToBytes()));
        Assert.Equal(
            [("b", "2", "x"), ("c", "3", null), ("d", null, (object?)"4")],
            comparison.Metadata.Select(entry => (entry.Key, entry.Left, entry.Right)).OrderBy(entry => entry.Key, StringComparer.Ordinal));
        Assert.False(comparison.IsDifferent);
    }

    [Fact]
    public async Task Metadata_of_equal_values_is_equal_however_it_is_nested()
    {
        // Two readings of one file: no array and no list is the other one.
        await using var left = WithMetadata(Values(2));
        await using var right = WithMetadata(Values(2));
        Assert.Empty((await CheckpointComparer.CompareAsync(left, right, compareValues: false)).Metadata);
        await using var other = WithMetadata(Values(3));
        Assert.Equal(
            Values(2).Keys, (await CheckpointComparer.CompareAsync(left, other, compareValues: false)).Metadata.Select(difference => difference.Key));

        static Dictionary<string, object> Values(byte last) => new()
        {
            ["bytes"] = new byte[] { 1, last },
            ["list"] = new TorchList(1L, new byte[] { last }),
            ["nested"] = new TorchList(new TorchList(new Complex(double.NaN, last)), new TorchList(), DBNull.Value),
            ["array"] = new object[] { new TorchList(new byte[] { last }), new byte[] { 1, last } },
        };

        static Checkpoint WithMetadata(Dictionary<string, object> metadata)
        {
            var file = new CheckpointFile("m", "m", "test", new MemorySource(new byte[1], "m"));
            return Checkpoint.OfFiles("m", [new OpenedFile(file, new FileContent([new TensorInfo("t", DType.U8, new Shape(1), file, 0, 1)], metadata))], null);
        }
    }

    [Fact]
    public async Task A_tensor_of_many_stretches_is_compared_whole_in_bounded_pieces_through_short_reads()
    {
        var sample = Sample.Make(7, ("a", DType.U8, [(33 << 20) + 5]));
        var changed = (byte[])sample.File.Clone();
        foreach (var mebibyte in new[] { 1, 16, 17, 32 })
        {
            changed[changed.Length - 5 - (mebibyte << 20)] ^= 1;
        }

        var progress = new RecordedProgress();
        RecordingSource? recording = null;
        await using var left = await sample.OpenAsync(inner => recording = new RecordingSource(inner));
        await using var right = await Sample.Of(changed).OpenAsync(inner => new ShortReadSource(inner, 333_333));
        var comparison = await CheckpointComparer.CompareAsync(left, right, compareValues: true, progress: progress);
        Assert.Equal((4L, 1.0), (comparison.Tensors[0].Values!.DifferentCount, comparison.Tensors[0].Values!.Largest!.Absolute));
        Assert.Equal(1L << 20, comparison.Tensors[0].Values!.Largest!.Element);
        Assert.All(recording!.Reads, read => Assert.InRange(read.Asked, 0, 1 << 20));
    }

    [Fact]
    public async Task Failures_and_cancellation_come_through()
    {
        var sample = Sample.Make(8, ("a", DType.F16, [5000]));
        await using var whole = await sample.OpenAsync();
        await using var failing = await sample.OpenAsync(inner => ThrowingSource.AfterBytes(inner, sample.File.Length - 1));
        var unreadable = await Assert.ThrowsAsync<IOException>(() => CheckpointComparer.CompareAsync(whole, failing, compareValues: true));
        Assert.Contains("tensor 'a' could not be read", unreadable.Message, StringComparison.Ordinal);
        await using var cut = await sample.OpenAsync(inner => new CutSource(inner, sample.File.Length - 1));
        var ended = await Assert.ThrowsAsync<InvalidCheckpointException>(() => CheckpointComparer.CompareAsync(cut, whole, compareValues: true));
        Assert.Equal((CheckpointErrorCode.FileTruncated, "a"), (ended.Code, ended.Tensor));
        var cancelled = new CancellationToken(canceled: true);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => CheckpointComparer.CompareAsync(whole, whole, compareValues: true, cancellationToken: cancelled));
    }

    [Fact]
    public async Task Cancellation_ends_it_within_one_piece_a_core()
    {
        var sample = Sample.Make(9, ("a", DType.U8, [40 << 20]));
        using var stop = new CancellationTokenSource();
        LateReadsSource? source = null;
        await using var left = await sample.OpenAsync(inner => source = new LateReadsSource(inner, stop, 4));
        await using var right = await sample.OpenAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => CheckpointComparer.CompareAsync(left, right, compareValues: true, cancellationToken: stop.Token));
        Assert.InRange(source!.LateReads, 0, Environment.ProcessorCount);
    }

    [Fact]
    public async Task A_file_that_changes_meanwhile_is_not_compared()
    {
        using var folder = new TemporaryFolder();
        var sample = Sample.Make(4, ("a", DType.U8, [50]));
        var path = folder.Write("model.safetensors", sample.File);
        var source = new ActingSource(new LocalFileSource(path));
        await using var left = await sample.OpenAsync();
        await using var right = await Checkpoint.OpenAsync(source);
        source.Arm(1, () => File.SetLastWriteTimeUtc(path, File.GetLastWriteTimeUtc(path).AddSeconds(5)));
        var error = await Assert.ThrowsAsync<InvalidCheckpointException>(() => CheckpointComparer.CompareAsync(left, right, compareValues: true));
        Assert.Equal(CheckpointErrorCode.FileChanged, error.Code);
    }

    private static async Task<CheckpointComparison> CompareAsync(Sample left, Sample right, bool compareValues = true)
    {
        await using var first = await left.OpenAsync();
        await using var second = await right.OpenAsync();
        return await CheckpointComparer.CompareAsync(first, second, compareValues);
    }

    private static async Task<ValueComparison> ValuesAsync<TLeft, TRight>(string leftType, TLeft[] left, string rightType, TRight[] right)
        where TLeft : unmanaged
        where TRight : unmanaged
    {
        var comparison = await CompareAsync(Of(leftType, left), Of(rightType, right));
        return comparison.Tensors.Single().Values!;

        static Sample Of<T>(string dtype, T[] values)
            where T : unmanaged =>
            Sample.Of(new SafetensorsBuilder()
                .Add("a", dtype, [(ulong)(dtype == "C64" ? values.Length / 2 : values.Length)], MemoryMarshal.AsBytes(values.AsSpan())).ToBytes());
    }
}

using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Strided copies as a device is told of them, with the threads run one after the other here.</summary>
public sealed class StridedWordsTests
{
    private static readonly DType[] Types =
        [DType.U8, DType.BF16, DType.F32, DType.I64, DType.C128, DType.F4, DType.F6_E2M3, DType.Q4_0, DType.Q6_K];

    [Fact]
    public void The_threads_of_all_launches_move_each_unit_and_touch_nothing_else()
    {
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new Random(seed);
            var dtype = random.GetItems(Types, 1)[0];
            var sizes = Sizes(random, dtype);
            // Not always where an element would be aligned.
            var from = StridedCase.Random(random, dtype, sizes, mayRepeat: true) with { ByteOffset = random.Next(20) };
            var to = StridedCase.Random(random, dtype, sizes, mayRepeat: false) with { ByteOffset = random.Next(20) };
            var source = DeviceBytes.Random(seed, from.MemoryBytes);
            var destination = DeviceBytes.Random(~seed, to.MemoryBytes);
            var expected = destination.ToArray();
            foreach (var (read, write) in from.Offsets().Zip(to.Offsets()))
            {
                source.AsSpan((int)read, dtype.BlockSize).CopyTo(expected.AsSpan((int)write));
            }

            var most = random.Next(2) == 0 ? 1 << 30 : random.Next(1, 30);
            var words = StridedWords.Create(View(from), View(to));
            Assert.Equal(sizes.Contains(0), words is null);
            Run(words, most, source, destination);
            Assert.True(expected.AsSpan().SequenceEqual(destination), $"{from} -> {to}");
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(1000));
    }

    [Fact]
    public void A_pattern_is_repeated_from_the_start_of_each_run()
    {
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new Random(seed);
            var dtype = random.GetItems(Types, 1)[0];
            var to = StridedCase.Random(random, dtype, Sizes(random, dtype), mayRepeat: true) with { ByteOffset = random.Next(20) };
            var element = DeviceBytes.Random(seed, dtype.BlockSize);
            var pattern = Enumerable.Repeat(element, 16).SelectMany(bytes => bytes).ToArray();
            var destination = DeviceBytes.Random(~seed, to.MemoryBytes);
            var expected = destination.ToArray();
            foreach (var write in to.Offsets())
            {
                element.CopyTo(expected.AsSpan((int)write));
            }

            foreach (var words in StridedWords.Repeat(pattern.Length, View(to)))
            {
                Run(words, 1 << 30, pattern, destination);
            }

            Assert.True(expected.AsSpan().SequenceEqual(destination), $"{to}");
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(1000));
    }

    [Theory]
    [InlineData(DType.BF16, 0, 0, 16)]
    [InlineData(DType.BF16, 32, 8, 8)]
    [InlineData(DType.BF16, 2, 0, 2)]
    [InlineData(DType.F32, 0, 1, 1)]
    [InlineData(DType.Q6_K, 0, 0, 16)]
    [InlineData(DType.Q6_K, 210, 16, 2)]
    public void Words_are_as_wide_as_places_strides_and_rows_allow(DType dtype, long from, long to, int expected)
    {
        var shape = new Shape(4, 8 * dtype.BlockLength);
        var source = new StridedView(Memory(), dtype, shape, [16, 1], from);
        var destination = new StridedView(Memory(), dtype, shape, [24, 1], to);
        Assert.Equal(expected, StridedWords.Create(source, destination)!.WordBytes);
    }

    [Fact]
    public void Threads_write_side_by_side_also_where_dimensions_are_exchanged()
    {
        var shape = new Shape(300, 200);
        var words = StridedWords.Create(
            new StridedView(Memory(), DType.F32, shape, [200, 1], 0), new StridedView(Memory(), DType.F32, shape, [1, 300], 0))!;
        Assert.Equal((4, new(300, 200, 1)), (words.WordBytes, words.Loops[^1]));
    }

    [Fact]
    public void Any_thread_finds_its_place_among_any_sizes()
    {
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new Random(seed);
            var loops = new StridedLayout.Dimension[1 + random.Next(CopyLoops.MostLoops)];
            long most = int.MaxValue;
            for (var i = loops.Length - 1; i >= 0; i--)
            {
                // Sizes of every magnitude, powers of two and their neighbours among them.
                var size = random.Next(3) == 0 ? (1L << random.Next(31)) + random.Next(-1, 2) : random.Next() >> random.Next(31);
                size = Math.Clamp(size, 1, most);
                most /= size;
                loops[i] = new(size, random.NextInt64(1L << 50), random.NextInt64(1L << 50));
            }

            var threads = (int)loops.Aggregate(1L, (product, loop) => product * loop.Size);
            var (source, destination) = (random.NextInt64(1L << 60), random.NextInt64(1L << 60));
            var launch = new CopyLoops(loops, source, destination);
            foreach (var thread in (int[])[0, threads - 1, random.Next(threads), random.Next(threads)])
            {
                var (rest, from, to) = ((long)thread, source, destination);
                for (var i = loops.Length - 1; i >= 0; i--)
                {
                    from += rest % loops[i].Size * loops[i].Source;
                    to += rest % loops[i].Size * loops[i].Destination;
                    rest /= loops[i].Size;
                }

                Assert.Equal((from, to), launch.Find(thread));
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(5000));
    }

    [Fact]
    public void Launches_beyond_32_bits_are_cut_without_a_seam()
    {
        // 5 rows of 2^34 bytes each: 2^30 words of 16 bytes.
        var shape = new Shape(5, 1L << 34);
        var words = StridedWords.Create(
            new StridedView(Memory(), DType.U8, shape, [1L << 35, 1], 0), new StridedView(Memory(), DType.U8, shape, [1L << 36, 1], 64))!;
        var launches = words.Launches((1L << 30) - 1).ToArray();
        Assert.Equal(10, launches.Length);
        Assert.Equal(5L << 30, launches.Sum(launch => (long)launch.ThreadCount));
        for (var i = 0; i < launches.Length; i++)
        {
            var (row, first) = (i / 2L, i % 2 == 0 ? 0 : (1L << 30) - 1);
            Assert.Equal(((row << 31) + first, (row << 32) + first + 4), launches[i].Loops.Find(0));
        }
    }

    private static void Run(StridedWords? words, long most, byte[] source, byte[] destination)
    {
        if (words is null)
        {
            return;
        }

        var size = words.WordBytes;
        foreach (var (threads, loops) in words.Launches(most))
        {
            Assert.InRange(threads, 1, most);
            for (var thread = 0; thread < threads; thread++)
            {
                var (read, write) = loops.Find(thread);
                source.AsSpan((int)read * size, size).CopyTo(destination.AsSpan((int)write * size));
            }
        }
    }

    private static long[] Sizes(Random random, DType dtype) =>
        [.. Enumerable.Range(0, (dtype.BlockLength == 1 ? 0 : 1) + random.Next(6)).Select(_ => random.Next(20) == 0 ? 0L : random.Next(1, 5))];

    private static StridedView View(StridedCase form) => new(Memory(), form.DType, form.Shape, form.Strides, form.ByteOffset);

    private static DeviceMemory Memory() => MetaDevice.Shared.Allocate(0);
}
